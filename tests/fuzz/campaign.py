"""One stretch of fuzzing: inputs that seed and number alone decide, so that any finding can be had again."""

import traceback
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import TARGETS, Corpus, Target

CHUNK = 2000
"""Inputs that one process takes at a time, from a random generator of their own."""
_MOST_KEPT = 20


@dataclass
class Counts:
    """What became of the inputs for one parser. Of findings that are alike, the first is kept."""

    target: str
    inputs: int = 0
    accepted: int = 0
    findings_in_all: int = 0
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    _kinds: set[str] = field(default_factory=set)

    def take(self, kind: str, finding: str) -> None:
        """Note a finding."""
        self.findings_in_all += 1
        self._keep(kind, finding)

    def add(self, other: "Counts") -> None:
        """Another stretch of the same parser."""
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.findings_in_all += other.findings_in_all
        for finding in other.findings:
            self._keep(finding.partition("\n")[0], finding)

    def report(self, seed: int) -> dict[str, Any]:
        """As JSON."""
        return {
            "parser": self.target,
            "seed": seed,
            "inputs": self.inputs,
            "accepted": self.accepted,
            "inputsPerSecond": round(self.inputs / self.seconds) if self.seconds else None,
            "findings": self.findings_in_all,
            "holds": not self.findings_in_all,
            "examples": self.findings,
        }

    def _keep(self, kind: str, finding: str) -> None:
        if kind not in self._kinds and len(self.findings) < _MOST_KEPT:
            self._kinds.add(kind)
            self.findings.append(finding)


def names() -> list[str]:
    """The parsers."""
    return [target.name for target in TARGETS]


def fuzz(name: str, count: int, seed: int, chunk: int) -> Counts:
    """So many inputs of one chunk for the parser of this name."""
    target, corpus = _prepared(name)
    return fuzz_with(target, corpus, count, Random(f"{seed}/{name}/{chunk}"))


def fuzz_with(target: Target, corpus: Corpus, count: int, random: Random) -> Counts:
    """The same with any target."""
    counts, mutator = Counts(target.name), Mutator(random, corpus.names)
    for _ in range(count):
        given = target.make(mutator, corpus.draw(random))
        counts.inputs += 1
        try:
            counts.accepted += target.check(given)
        except Exception as error:  # any is a finding: a parser raises only what its check expects
            counts.take(_kind(error), f"{_kind(error)}\n  {error!s:.300}\n  input: {given!r:.1500}")
    return counts


def _kind(error: Exception) -> str:
    """Where it came from, which tells findings that are alike."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    last = [entry for entry in traceback.extract_tb(error.__traceback__) if "loadstar" in entry.filename]
    place = last[-1] if last else frame
    calls = [entry.lineno for entry in traceback.extract_tb(error.__traceback__) if "fuzz" in entry.filename]
    return f"{type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno} by {calls}"


@cache
def _prepared(name: str) -> tuple[Target, Corpus]:
    target = next(target for target in TARGETS if target.name == name)
    return target, Corpus(target)
