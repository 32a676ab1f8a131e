"""What pods ask of a node, and the mix of such requests that a cluster usually gets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MILLI = 1000
"""Milli-GPUs of a whole GPU."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one pod asks of one node: millicores, bytes, GPUs, and of each GPU `share` milli-GPUs.

    `products` are the GPU products it can use, empty for any.
    """

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    share: int = MILLI
    products: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < self.share <= MILLI:
            raise ValueError(f"share is {self.share}: it is a part of a GPU in 1..{MILLI} milli-GPUs")
        if self.gpus > 1 and self.share < MILLI:
            raise ValueError(f"{self.gpus} GPUs of {self.share} milli-GPUs each: only one GPU can be shared")

    @property
    def milli(self) -> int:
        """All milli-GPUs together."""
        return self.gpus * self.share

    def uses(self, product: str) -> bool:
        """Whether GPUs of this product will do."""
        return not self.products or product in self.products


@dataclass(frozen=True, slots=True)
class Mix:
    """The usual requests, each with its weight p_m: its part of all of them, all parts adding up to 1.

    A request for no GPU can use none of them: it makes all that is free count as fragments, everywhere alike.
    """

    parts: tuple[tuple[Ask, float], ...]

    @classmethod
    def typical(cls, counts: Mapping[Ask, float], cover: float = 1.0) -> "Mix":
        """The most popular requests that together are at least `cover` of all."""
        ranked = sorted(counts.items(), key=_popularity, reverse=True)
        wanted, kept = cover * sum(count for _, count in ranked), 0.0
        parts: list[tuple[Ask, float]] = []
        for ask, count in ranked:
            if kept >= wanted:
                break
            parts.append((ask, count))
            kept += count
        return cls(tuple((ask, count / kept) for ask, count in parts))

    def by_scarcity(self, gpus: Mapping[str, int]) -> "Mix":
        """Each weight times all GPUs over those that the request can use: the demand on each of these.

        `gpus` counts the cluster's GPUs by product. The weights no longer add up to 1; a request that no node can
        serve is left out.
        """
        total = sum(gpus.values())
        usable = {
            ask: sum(count for product, count in gpus.items() if ask.uses(product)) for ask, _ in self.parts
        }
        return Mix(tuple((ask, part * total / usable[ask]) for ask, part in self.parts if usable[ask]))


def _popularity(counted: tuple[Ask, float]) -> tuple[float, int, int, int, list[str]]:
    ask, count = counted
    return count, ask.cpu, ask.milli, ask.memory, sorted(ask.products)


class MixLearner:
    """The mix of the requests seen lately: each new one counts a little more than the one before it.

    At most 256 kinds are kept, the least popular going first, so that memory and tables stay small.
    """

    _KINDS = 256

    def __init__(self, start: Iterable[Ask], remembered: float = 1000.0) -> None:
        """`start` is assumed before anything is seen, as a tenth of the `remembered` number of requests."""
        assumed = tuple(start)
        self._fade = 1.0 - 1.0 / remembered
        self._counts = {ask: remembered / 10 / len(assumed) for ask in assumed}

    def see(self, ask: Ask, times: int = 1) -> None:
        """One more job with so many pods that ask for this."""
        fade = self._fade**times
        self._counts = {known: count * fade for known, count in self._counts.items()}
        self._counts[ask] = self._counts.get(ask, 0.0) + times
        if len(self._counts) > self._KINDS:
            del self._counts[min(self._counts.items(), key=_popularity)[0]]

    def mix(self) -> Mix:
        """The usual requests as of now."""
        return Mix.typical(self._counts)
