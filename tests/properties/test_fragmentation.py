"""Fragmentation by tables is what its definition says, for any mix and nodes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadstar.core.fragmentation import Fragmentation, Free
from loadstar.core.memo import RowMemo
from loadstar.core.mix import MILLI, Ask, Mix

PRODUCTS = ("", "A100", "T4")
CPU, MEMORY = st.integers(0, 5), st.integers(0, 3)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    gpus = draw(st.integers(0, 4))
    share = draw(st.sampled_from((200, 500, 900, MILLI))) if gpus == 1 else MILLI
    return Ask(draw(CPU), draw(MEMORY), gpus, share, draw(st.frozensets(st.sampled_from(PRODUCTS[1:]))))


@st.composite
def mixes(draw: st.DrawFn, by_scarcity: bool = False) -> Mix:
    mix = Mix.typical(draw(st.dictionaries(asks(), st.integers(1, 20), max_size=6)))
    supply = st.fixed_dictionaries({product: st.integers(1, 99) for product in PRODUCTS})
    return mix.by_scarcity(draw(supply)) if by_scarcity else mix


@st.composite
def frees(draw: st.DrawFn, devices: tuple[int, ...] = (0, 100, 500, 600, MILLI)) -> Free:
    node = st.tuples(CPU, MEMORY, st.integers(0, 2), st.tuples(*[st.sampled_from(devices)] * 4))
    nodes = draw(st.lists(node, min_size=1, max_size=4))
    cpu, memory, kind, left = (np.array(column) for column in zip(*nodes, strict=True))
    return Free(cpu, memory, left, kind)


def fits(ask: Ask, free: Free, node: int) -> bool:
    enough = np.count_nonzero(free.devices[node] >= ask.share) >= ask.gpus
    return bool(
        free.cpu[node] >= ask.cpu
        and free.memory[node] >= ask.memory
        and enough
        and ask.uses(PRODUCTS[free.kind[node]])
    )


def by_definition(mix: Mix, free: Free, node: int) -> float:
    """F as the paper has it: request by request, device by device."""
    left, total = free.devices[node], 0.0
    for ask, part in mix.parts:
        usable = left[left >= ask.share].sum() if ask.gpus and fits(ask, free, node) else 0
        total += part * float(left.sum() - usable)
    return total


@given(mixes() | mixes(by_scarcity=True), frees())
def test_the_tables_say_what_the_definition_says(mix: Mix, free: Free) -> None:
    found = Fragmentation(mix, PRODUCTS).of(free)
    assert np.allclose(found, [by_definition(mix, free, node) for node in range(len(free.cpu))])


@given(mixes(), frees())
def test_fragmentation_is_never_below_zero_nor_above_what_is_free(mix: Mix, free: Free) -> None:
    found = Fragmentation(mix, PRODUCTS).of(free)
    assert (found >= -1e-9).all()
    assert (found <= free.devices.sum(axis=1) + 1e-9).all()


@given(mixes() | mixes(by_scarcity=True), frees(), asks())
def test_growth_is_the_difference_that_the_placement_makes(mix: Mix, free: Free, ask: Ask) -> None:
    tables = Fragmentation(mix, PRODUCTS)
    growth, device = tables.growth(ask, free)
    before = tables.of(free)
    for node in range(len(free.cpu)):
        if fits(ask, free, node):
            placed = free.rows(np.arange(len(free.cpu)))
            placed.take(node, ask, int(device[node]))
            assert np.isclose(growth[node], tables.of(placed)[node] - before[node])


@given(mixes(), frees(), asks())
def test_a_shared_gpu_goes_where_it_does_the_least_harm(mix: Mix, free: Free, ask: Ask) -> None:
    tables = Fragmentation(mix, PRODUCTS)
    growth, _ = tables.growth(ask, free)
    if ask.gpus != 1 or ask.share == MILLI:
        return
    for node in range(len(free.cpu)):
        for device in np.flatnonzero(free.devices[node] >= ask.share):
            placed = free.rows(np.arange(len(free.cpu)))
            placed.take(node, ask, int(device))
            assert growth[node] <= tables.of(placed)[node] - tables.of(free)[node] + 1e-9


@given(mixes(), frees(devices=(0, MILLI)), asks())
def test_counts_of_whole_gpus_give_what_the_devices_give(mix: Mix, free: Free, ask: Ask) -> None:
    tables, whole = Fragmentation(mix, PRODUCTS), Ask(ask.cpu, ask.memory, ask.gpus, products=ask.products)
    gpus = np.count_nonzero(free.devices, axis=1)
    by_count = tables.whole_growth(whole, free.cpu, free.memory, gpus, free.kind)
    assert np.allclose(by_count, tables.growth(whole, free)[0])


@given(mixes(), frees(), asks(), st.data())
def test_more_free_cpu_never_makes_less_usable(mix: Mix, free: Free, ask: Ask, data: st.DataObject) -> None:
    tables = Fragmentation(mix, PRODUCTS)
    richer = free.rows(np.arange(len(free.cpu)))
    richer.cpu += data.draw(st.integers(0, 5))
    assert (tables.of(richer) <= tables.of(free) + 1e-9).all()


@given(mixes(), frees(), st.lists(asks(), min_size=1, max_size=8), st.data())
def test_a_memo_told_of_every_change_equals_working_it_out_anew(
    mix: Mix, free: Free, questions: list[Ask], data: st.DataObject
) -> None:
    tables = Fragmentation(mix, PRODUCTS)
    memo: RowMemo[Ask] = RowMemo(len(free.cpu), lambda ask, rows: tables.growth(ask, free.rows(rows))[0])
    for ask in questions:
        growth, device = tables.growth(ask, free)
        assert np.array_equal(memo.of(ask), growth)
        row = data.draw(st.integers(0, len(free.cpu) - 1))
        if fits(ask, free, row):
            free.take(row, ask, int(device[row]))
            memo.changed(row)
