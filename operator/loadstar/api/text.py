"""Text that came from users' programs, made fit to be shown to people."""

import re
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


_NAMES_AN_ERROR = re.compile(r"\b\w*(?:Error|Exception)\b: *\S")


def last_words(output: str, most_bytes: int) -> str | None:
    """The line that tells most of the last ones that a program wrote before it failed; None if it wrote nothing.

    The last line that names an error, such as `ValueError: …`: a launcher around the program often has more to say
    after it. Otherwise the last line with a letter or digit in it.
    """
    lines = [
        line for text in output.splitlines() if any(map(str.isalnum, line := one_line(text, most_bytes)))
    ]
    return next(
        (line for line in reversed(lines) if _NAMES_AN_ERROR.search(line)), lines[-1] if lines else None
    )
