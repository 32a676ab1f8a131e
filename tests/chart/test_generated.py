"""The derived files are what their sources say."""

import pytest

from charts.generator.__main__ import main, outdated
from charts.generator.crd import crd_template
from charts.generator.readme import documented, readme


def test_the_derived_files_are_up_to_date() -> None:
    assert outdated() == []


def test_the_command_knows_no_other_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--force"]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_value_without_a_comment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.c needs a comment"):
        list(documented("a:\n  # -- Documented.\n  b: 1\n  c: 2\n"))


def test_a_documented_object_speaks_for_its_parts() -> None:
    [value] = documented("# -- Whole.\na:\n  b: 1\n  c: {}\n")
    assert (value.path, value.default, value.description) == ("a", {"b": 1, "c": {}}, "Whole.")


def test_the_table_takes_its_place_in_the_prose() -> None:
    assert readme("before\n{{ values }}\nafter\n", "# -- One.\na: x\n").splitlines() == [
        "before",
        "| Value | Default | What it is for |",
        "| --- | --- | --- |",
        '| `a` | `"x"` | One. |',
        "after",
    ]


def test_braces_in_the_crd_are_not_taken_for_a_template() -> None:
    crd = "metadata:\n  name: x\n  labels:\n    a: b\nspec: '{{ x }}'\n"
    assert """spec: '{{ "{{" }} x }}'\n""" in crd_template(crd)


def test_a_crd_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="0 blocks of labels"):
        crd_template("metadata:\n  name: x\n")
