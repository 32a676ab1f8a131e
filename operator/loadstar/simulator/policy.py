"""What a placement policy is asked, and what it may look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loadstar.core.jobs import Job
from loadstar.simulator.fleet import Fleet, Integers
from loadstar.simulator.truth import History

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ask:
    """One job to place: its number, and what one rank asks for (columns as a fleet's)."""

    number: int
    job: Job
    asked: Integers
    ranks: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A job that was placed: rows of its ranks' nodes, and when."""

    ask: Ask
    rows: tuple[int, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Over:
    """A job that has ended, and when."""

    bound: Bound
    at: float


@dataclass(slots=True)
class View:
    """What a policy may look at. `free` is what no rank has requested, shape (nodes, 3); `bound` those who run."""

    fleet: Fleet
    free: Integers
    history: History
    now: float
    bound: dict[int, Bound] = field(default_factory=dict)
    sampled_at: float = -np.inf
    """When the newest sample that can be read was taken."""


@dataclass(frozen=True, slots=True)
class Question:
    """Where to put a job: among the nodes that fit by request."""

    ask: Ask
    view: View
    fits: Mask


class Policy(Protocol):
    """Chooses nodes. Told of every scrape, of what it placed and of what ended."""

    def scraped(self, view: View) -> None:
        """A new sample of every node can be read."""

    def choose(self, question: Question) -> Sequence[int] | None:
        """A row per rank among those that fit, all different; None to let the job wait."""

    def placed(self, bound: Bound) -> None:
        """The job runs from now on."""

    def ended(self, over: Over) -> None:
        """The job has left its nodes."""
