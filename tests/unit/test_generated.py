"""Generated files say what their sources say; the chart's own are compared in tests/chart."""

from pathlib import Path

import pytest

from tests.generate import ROOT, own_files


@pytest.mark.parametrize("path", own_files(), ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    message = f"{path.relative_to(ROOT)} is not what its source says: run make generate"
    assert path.read_text() == own_files()[path], message
