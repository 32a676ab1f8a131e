"""How much free GPU capacity the usual requests could no longer use, in thousandths of a GPU ("milli-GPUs").

The measure is that of FGD (Weng et al., "Beware of Fragmentation", USENIX ATC 2023). With request m of the usual mix
as popular as p_m, and u(m) the free milli-GPUs of a node that m could use,

    F(node) = Σ_m p_m · (free - u(m)),      growth = F(after a placement) - F(before)

u(m) is 0 where the product, the free CPU or memory, or the number of devices with enough free do not suffice for m,
else what is free on the devices that have m's share free. So u needs no look at every m: for requests of one device
it is a sum over devices of a value that depends on the device's free share and the node's free CPU and memory alone,
and for requests of several whole devices it depends on how many are wholly free; both are tables made once per mix.

Three things are added to FGD's. Memory counts as CPU does. `Mix.by_scarcity` weighs a request for certain products by
how few GPUs of these there are, so that others keep off them. And `packing_cost` adds a little for what is left over
on a node (best fit): growth alone can't tell most empty nodes from each other, and FGD then depends on the order of
names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.mix import MILLI, Ask, Mix, MixLearner

__all__ = ["MILLI", "Ask", "Fragmentation", "Free", "Mix", "MixLearner", "packing_cost"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Index = NDArray[np.intp]


@dataclass(slots=True)
class Free:
    """What nodes have free: millicores, bytes, milli-GPUs of each device (0 where a node has fewer), product.

    `kind` is the product as `Fragmentation.kinds` numbers it.
    """

    cpu: Counts
    memory: Counts
    devices: Counts
    kind: Index

    def rows(self, rows: Index) -> "Free":
        """A copy of these nodes."""
        return Free(self.cpu[rows], self.memory[rows], self.devices[rows], self.kind[rows])

    def take(self, row: int, ask: Ask, device: int) -> None:
        """Give the node's capacity to `ask`: a part of `device`, or the first wholly free devices."""
        self.cpu[row] -= ask.cpu
        self.memory[row] -= ask.memory
        if ask.share < MILLI:
            self.devices[row, device] -= ask.share
        elif ask.gpus:
            whole = np.flatnonzero(self.devices[row] == MILLI)[: ask.gpus]
            self.devices[row, whole] = 0


class Fragmentation:
    """The tables of one mix for nodes of the given products: F, and its growth by a placement, for many nodes."""

    def __init__(self, mix: Mix, products: Iterable[str]) -> None:
        self.products = tuple(sorted(set(products)))
        self._weight = sum(part for _, part in mix.parts)
        parts = [(ask, part) for ask, part in mix.parts if ask.gpus]
        asks = [ask for ask, _ in parts]
        self._cpus = np.unique(np.array([ask.cpu for ask in asks], dtype=np.int64))
        self._memories = np.unique(np.array([ask.memory for ask in asks], dtype=np.int64))
        shares = np.unique(np.array([ask.share for ask in asks if ask.gpus == 1], dtype=np.int64))
        self._level: Index = np.searchsorted(shares, np.arange(MILLI + 1), side="right")
        self._most = max((ask.gpus for ask in asks), default=0)
        hosts = len(self._cpus) + 1, len(self._memories) + 1
        single = np.zeros((len(self.products), *hosts, len(shares) + 1))
        several = np.zeros((len(self.products), *hosts, self._most + 1))
        for ask, part in parts:
            host = np.searchsorted(self._cpus, ask.cpu) + 1, np.searchsorted(self._memories, ask.memory) + 1
            for kind, product in enumerate(self.products):
                if ask.uses(product) and ask.gpus == 1:
                    single[(kind, *host, self._level[ask.share])] += part
                elif ask.uses(product):
                    several[(kind, *host, ask.gpus)] += part
        self._single, self._levels = _summed(single), single.shape[-1]
        self._several = _summed(several)
        self._hosts = hosts[0] * hosts[1]

    def kinds(self, products: Sequence[str]) -> Index:
        """The number of each node's product; KeyError for one the tables were not made for."""
        number = {product: kind for kind, product in enumerate(self.products)}
        return np.fromiter((number[product] for product in products), dtype=np.intp, count=len(products))

    def of(self, free: Free) -> Array:
        """F of each node, in milli-GPUs."""
        return np.asarray(self._weight * free.devices.sum(axis=1) - self._usable(free))

    def growth(self, ask: Ask, free: Free) -> tuple[Array, Index]:
        """F's growth on each node by placing `ask` there, and the device on which a shared GPU makes it least.

        The growth is inf where the GPUs do not suffice; free CPU, memory and product are the caller's to look at.
        """
        before = self._usable(free)
        after = Free(free.cpu - ask.cpu, free.memory - ask.memory, free.devices, free.kind)
        if ask.share < MILLI and ask.gpus:
            usable = self._usable_shared(ask, after)
            device = usable.argmax(axis=1)
            best = usable[np.arange(len(device)), device]
        else:
            best, device = self._usable_whole(ask.gpus, after), np.zeros(len(before), dtype=np.intp)
        return np.where(np.isneginf(best), np.inf, before - best - self._weight * ask.milli), device

    def whole_growth(self, ask: Ask, cpu: Counts, memory: Counts, gpus: Counts, kind: Index) -> Array:
        """F's growth by `ask` on nodes whose `gpus` free GPUs are all wholly free; inf where these do not suffice."""
        left = gpus - ask.gpus
        before = self._usable_of_whole(self._host(cpu, memory, kind), gpus)
        after = self._usable_of_whole(
            self._host(cpu - ask.cpu, memory - ask.memory, kind), np.maximum(left, 0)
        )
        return np.where(left < 0, np.inf, before - after - self._weight * ask.milli)

    def _host(self, cpu: Counts, memory: Counts, kind: Index) -> Index:
        """The row of the tables for a node's product, free CPU and free memory."""
        row = kind * (len(self._cpus) + 1) + self._cpus.searchsorted(cpu, side="right")
        return np.asarray(row * (len(self._memories) + 1) + self._memories.searchsorted(memory, side="right"))

    def _usable(self, free: Free) -> Array:
        return self._usable_whole(0, free)

    def _by_devices(self, host: Index, devices: Counts) -> Array:
        """What requests for one device can use of each device."""
        return np.asarray(
            self._single.take((host * self._levels)[:, None] + self._level.take(devices)) * devices
        )

    def _by_several(self, host: Index, whole: Counts) -> Array:
        """What requests for several devices can use of so many wholly free ones."""
        parts = self._several.take(host * (self._most + 1) + np.minimum(whole, self._most))
        return np.asarray(parts * whole * MILLI)

    def _usable_of_whole(self, host: Index, whole: Counts) -> Array:
        one = self._single.take(host * self._levels + self._level[MILLI]) * MILLI
        return np.asarray(one * whole + self._by_several(host, whole))

    def _usable_whole(self, taken: int, free: Free) -> Array:
        """Σ_m p_m·u(m) with so many wholly free devices taken; -inf where there are fewer."""
        host = self._host(free.cpu, free.memory, free.kind)
        whole = (free.devices == MILLI).sum(axis=1)
        usable = self._by_devices(host, free.devices).sum(axis=1)
        if not taken:
            return np.asarray(usable + self._by_several(host, whole))
        usable -= taken * MILLI * self._single.take(host * self._levels + self._level[MILLI])
        left = np.maximum(whole - taken, 0)
        return np.where(whole < taken, -np.inf, usable + self._by_several(host, left))

    def _usable_shared(self, ask: Ask, free: Free) -> Array:
        """Σ_m p_m·u(m) with a part of one device taken, for each device; -inf where it has too little free."""
        host = self._host(free.cpu, free.memory, free.kind)
        intact = free.devices == MILLI
        whole = intact.sum(axis=1)[:, None] - intact
        single = self._by_devices(host, free.devices)
        left = free.devices - ask.share
        changed = self._by_devices(host, np.maximum(left, 0)) - single + single.sum(axis=1)[:, None]
        return np.where(left < 0, -np.inf, changed + self._by_several(host[:, None], whole))


LEFTOVER = 0.1
"""GPUs of growth that weigh as much as the difference between the largest node empty and a full one.

Of 0.06, 0.1 and 0.2 the one that is best at worst over the openb trace's job lists and lists made from them (more
shared, several and specified GPUs; seeds 0-2); the other two are within 0.1 % of the GPUs of it.
"""


def packing_cost(growth: Array, cpu: Counts, milli: Counts, largest: tuple[int, int]) -> Array:
    """What a placement costs, in GPUs: F's growth and, as a light weight, what is free on the node (best fit).

    `cpu` and `milli` are the free millicores and milli-GPUs before the placement, `largest` the most of both that
    any node has. Rounded, so that nodes in the same state tie on every machine.
    """
    left = (cpu / max(largest[0], 1) + milli / max(largest[1], 1)) / 2
    return np.asarray(np.round(growth / MILLI + LEFTOVER * left, 9))


def _summed(table: Array) -> Array:
    """Each entry with all that need no more of anything, as one flat array."""
    for axis in range(1, table.ndim):
        table = table.cumsum(axis=axis)
    return table.ravel()
