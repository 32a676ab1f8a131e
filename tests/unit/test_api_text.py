"""What people are shown of the output of users' programs."""

import pytest

from loadstar.api.text import last_words, one_line

OUTPUT: dict[str, tuple[str, str | None]] = {
    "it wrote nothing": ("", None),
    "it wrote only rules": ("=====\n-----\n\n", None),
    "its last line tells": ("loading\nout of disk space\n", "out of disk space"),
    "rules follow": ("out of disk space\n=====\n", "out of disk space"),
    "an error is named": ("ValueError: no rows\nbye\n", "ValueError: no rows"),
    "the last of several errors": ("OSError: disk\nraised\nRuntimeError: stop\n", "RuntimeError: stop"),
    "a launcher says more after it": (
        "[rank0]: my.CustomError: no rows\nerrors.ChildFailedError: \n====\nerror_file: <N/A>\n====\n",
        "[rank0]: my.CustomError: no rows",
    ),
    "it holds control characters": ("\x1b[31mno\trows\u202e\n", "[31mno rows"),
}


@pytest.mark.parametrize("case", OUTPUT)
def test_the_line_that_tells_most_when(case: str) -> None:
    output, line = OUTPUT[case]
    assert last_words(output, 100) == line


def test_a_long_line_is_cut_at_a_whole_letter() -> None:
    assert last_words("é" * 100, 20) == "é" * 8 + "…"
    assert one_line("é" * 100, 20) == "é" * 8 + "…"
