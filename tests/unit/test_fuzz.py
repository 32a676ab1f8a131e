"""A small run of the fuzzer, the same each time; and that it sees what it is there to see."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.fuzz.campaign import fuzz, fuzz_with
from tests.fuzz.strict import WrongAccept
from tests.fuzz.targets import TARGETS, Corpus
from tests.fuzz.wire import printed

INPUTS = 5000  # for each of the four parsers


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_breaks_a_parser_or_is_let_through(target: Any) -> None:
    counts = fuzz(target.name, INPUTS, 0, 0)
    assert counts.findings == []
    assert INPUTS / 20 < counts.accepted < INPUTS


def test_the_same_seed_makes_the_same_inputs() -> None:
    drawn: list[bytes] = []

    def note(given: bytes) -> bool:
        drawn.append(given)
        return False

    target = replace(TARGETS[0], check=note)
    for _ in range(2):
        fuzz_with(target, Corpus(target), 50, Random("again"))
    assert drawn[:50] == drawn[50:]
    assert len(set(drawn)) > 40


def test_what_a_parser_raises_is_a_finding() -> None:
    def broken(given: Any) -> bool:
        raise KeyError("attempt")

    target = replace(TARGETS[0], check=broken)
    counts = fuzz_with(target, Corpus(target), 10, Random("broken"))
    assert (counts.findings_in_all, len(counts.findings)) == (10, 1)
    assert "KeyError" in counts.findings[0]


@pytest.mark.parametrize("value", ["nan", "1e999", "0.5", "٣"])
def test_a_number_that_nobody_printed_or_that_is_none_is_a_wrong_accept(value: str) -> None:
    with pytest.raises(WrongAccept):
        printed((("loss", value),), f"loss={'0.25' if value == '0.5' else value}")
