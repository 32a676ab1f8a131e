"""Text that came from users' programs, made fit to be shown to people."""

import unicodedata


def one_line(text: str, most_bytes: int | None = None) -> str:
    """The text on one line, without control and other invisible characters, in at most `most_bytes` of UTF-8.

    Whoever reads it in a terminal must see nothing but text: no escape sequence, no change of direction.
    """
    visible = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in text)
    line = " ".join(visible.split())
    if most_bytes is None or len(line.encode()) <= most_bytes:
        return line
    mark = "…"
    return line.encode()[: most_bytes - len(mark.encode())].decode(errors="ignore") + mark
