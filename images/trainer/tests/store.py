"""The part of the S3 protocol that reading takes, over a dictionary: HEAD, GET with a range, and listing a bucket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

KEY = "reader"


class Store(ThreadingHTTPServer):
    """Objects by bucket/key. Who has not signed as KEY is refused; whether the signature is right is not looked at."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.objects: dict[str, bytes] = {}
        self.bytes_sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def put(self, path: str, content: str | bytes) -> None:
        self.objects[path] = content.encode() if isinstance(content, str) else content


@contextmanager
def serve() -> Iterator[Store]:
    """A store that answers until the block ends."""
    with Store() as store:
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield store
        store.shutdown()
        thread.join()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer in one piece; in two, the second waits 40 ms for the kernel
    server: Store

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).strip("/").partition("/")
        buckets = {path.partition("/")[0] for path in self.server.objects}
        if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            self._error(403, "AccessDenied")
        elif bucket not in buckets:
            self._error(404, "NoSuchBucket")
        elif not key:
            self._list(bucket, parse_qs(url.query, keep_blank_values=True))
        elif (content := self.server.objects.get(f"{bucket}/{key}")) is None:
            self._error(404, "NoSuchKey")
        else:
            self._object(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read what they need from the store."""

    def _object(self, content: bytes) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, content)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        self._answer(
            206, part, {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"}
        )

    def _list(self, bucket: str, query: dict[str, list[str]]) -> None:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        keys, folders = [], set()
        for path in sorted(self.server.objects):
            own, _, key = path.partition("/")
            if own != bucket or not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                keys.append((key, len(self.server.objects[path])))
        entries = [
            f"<Contents><Key>{quote(key)}</Key><Size>{size}</Size>"
            '<ETag>"0"</ETag><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>'
            for key, size in keys
        ]
        entries += [
            f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders)
        ]
        count = len(keys) + len(folders)
        body = f"<Name>{escape(bucket)}</Name><KeyCount>{count}</KeyCount><IsTruncated>false</IsTruncated>"
        body += f"<EncodingType>url</EncodingType>{''.join(entries)}"
        self._answer(200, f"<ListBucketResult>{body}</ListBucketResult>".encode())

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            self.server.bytes_sent += len(content)
