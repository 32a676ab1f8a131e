"""Data that are read block by block: the same samples as in memory, each once in an epoch, for any number of ranks."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import (
    CLASSES,
    NUMBERS,
    classes_table,
    dataset,
    read,
    refused,
    table,
    write,
    write_idx,
    write_images,
    write_parquet,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstar_trainer.data import Data, Pass, Samples, Stream, folds
from loadstar_trainer.data.limits import memory, stream_above
from loadstar_trainer.data.order import Order
from loadstar_trainer.data.streams import Share
from loadstar_trainer.failures import Failure, Refused

PARTS = ("training", "validation", "test")


class Numbered:
    """Blocks of these sizes, whose samples are their own numbers; remembers which blocks were read."""

    shape = (1,)

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.read_blocks: set[int] = set()

    def read(self, number: int) -> Samples:
        self.read_blocks.add(number)
        first = sum(self.sizes[:number])
        numbers = np.arange(first, first + self.sizes[number])
        return Samples(numbers[:, None], numbers)


def numbered(sizes: Sequence[int], rows: Sequence[int] | None = None, group: int = 4) -> Stream:
    chosen = np.arange(sum(sizes)) if rows is None else np.array(rows, np.int64)
    return Stream(Numbered(sizes), chosen, None, group)


def batches(
    stream: Stream, world_size: int, batch_size: int = 8, start: int = 0, epoch: int = 1
) -> list[list[int]]:
    """The targets of each batch over all ranks, in the epoch's order."""
    ranks = [
        list(stream.batches(Pass(7, epoch, batch_size, start, rank, world_size)))
        for rank in range(world_size)
    ]
    assert len({len(shares) for shares in ranks}) == 1
    return [_merged(shares) for shares in zip(*ranks, strict=True)]


def _merged(shares: Sequence[Share]) -> list[int]:
    positions = np.concatenate([share.positions for share in shares])
    targets = np.concatenate([share.samples.targets for share in shares])
    assert np.array_equal(np.sort(positions), positions.min() + np.arange(len(positions)))
    return [int(target) for target in targets[np.argsort(positions)]]


SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=20).filter(any)


@given(SIZES, st.integers(1, 9), st.integers(1, 6), st.integers(1, 40), st.data())
@settings(max_examples=150, deadline=None)
def test_each_sample_comes_once_in_batches_that_no_number_of_ranks_changes(
    sizes: list[int], ranks: int, group: int, batch_size: int, data: Any
) -> None:
    rows = sorted(data.draw(st.sets(st.integers(0, sum(sizes) - 1), min_size=1)))
    stream = numbered(sizes, rows, group)
    alone = batches(stream, 1, batch_size)
    assert sorted(itertools.chain(*alone)) == rows
    assert [len(batch) for batch in alone[:-1]] == [batch_size] * (len(alone) - 1)
    assert batches(stream, ranks, batch_size) == alone


@given(SIZES, st.integers(1, 4), st.integers(1, 12), st.data())
@settings(max_examples=100, deadline=None)
def test_an_epoch_goes_on_at_any_step(sizes: list[int], ranks: int, batch_size: int, data: Any) -> None:
    stream = numbered(sizes)
    whole = batches(stream, 1, batch_size)
    start = data.draw(st.integers(0, len(whole) - 1))
    assert batches(stream, ranks, batch_size, start) == whole[start:]


def test_each_epoch_has_an_order_of_its_own() -> None:
    stream = numbered([10] * 10)
    first, again, second = (list(itertools.chain(*batches(stream, 1, epoch=epoch))) for epoch in (1, 1, 2))
    assert first == again
    assert first != second
    assert first != sorted(first)


def test_a_rank_reads_only_its_own_blocks() -> None:
    read_by: list[set[int]] = []
    for rank in range(4):
        blocks = Numbered([5] * 64)
        list(Stream(blocks, np.arange(320), None, 16).batches(Pass(0, 1, 32, 0, rank, 4)))
        read_by.append(blocks.read_blocks)
    # One block more is read for its shape.
    assert [len(blocks) for blocks in read_by] == pytest.approx([16] * 4, abs=1)
    assert set().union(*read_by) == set(range(64))


def test_ranks_have_about_equal_shares_of_each_batch() -> None:
    order = Order(np.full(64, 50), 64, 0, 1)
    groups, _ = order.starts()
    owners = order.group(0, 0, groups[0], 4).owners
    for batch in np.split(owners, range(128, len(owners), 128)):
        assert np.bincount(batch, minlength=4) == pytest.approx([32] * 4, abs=16)


def test_going_on_late_in_an_epoch_skips_what_was_read_before() -> None:
    blocks = Numbered([8] * 40)
    list(Stream(blocks, np.arange(320), None, 4).batches(Pass(0, 1, 8, 36, 0, 1)))
    assert len(blocks.read_blocks) <= 5


def make(folder: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """A small data set of this format, and the fields that it is read with."""
    path = folder / f"d.{name}"
    if name == "csv":
        rows = [
            (a, "red" if n % 7 else "blue", y)
            for n, ((a, _), y) in enumerate(zip(NUMBERS, CLASSES, strict=True))
        ]
        write(path, table([*rows[:9], ("", "red", "no"), *rows[9:]]))
    elif name == "npy":
        np.save(path, np.column_stack([NUMBERS, NUMBERS.sum(axis=1)]))
    elif name == "parquet":
        write_parquet(path, {"a": NUMBERS[:, 0], "b": NUMBERS[:, 1], "y": CLASSES})
    elif name == "idx":
        write_idx(write_idx(path, "train", 60), "t10k", 12)
    elif name == "images":
        write_images(path)
    else:
        write(folder / "d.txt", "the quick brown fox " * 500)
        return folder / "d.txt", {}
    return path, {"preprocess": {"dropMissing": True}} if name == "csv" else {}


def both(path: Path, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> tuple[Data, Data]:
    """The data in memory, and read block by block."""
    whole = read(path, **fields)
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "640")
    streamed = read(path, **fields)
    assert isinstance(whole.training, Samples)
    assert isinstance(streamed.training, Stream)
    return whole, streamed


def samples_of(stream: Samples | Stream) -> Samples:
    """All of a stream, in the order of the file."""
    assert isinstance(stream, Stream)
    shares = list(stream.batches(Pass(0, 1, 16, 0, 0, 1)))
    joined = Samples.join([share.samples for share in shares])
    order = Order(np.diff(stream._bounds), stream.group, 0, 1)
    groups, starts = order.starts()
    places = []
    for number, blocks in enumerate(groups):
        group = order.group(number, int(starts[number]), blocks, 1)
        places.append(stream._bounds[blocks[group.places]] + group.rows)
    return joined.take(np.argsort(np.concatenate(places)))


@pytest.mark.parametrize("name", ["csv", "npy", "parquet", "idx", "images", "txt"])
def test_streamed_data_are_those_in_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fields = make(tmp_path, name)
    whole, streamed = both(path, monkeypatch, **fields)
    assert (streamed.hash, streamed.sizes, streamed.shape) == (whole.hash, whole.sizes, whole.shape)
    assert (streamed.labels, streamed.columns, streamed.class_counts) == (
        whole.labels,
        whole.columns,
        whole.class_counts,
    )
    for part in PARTS:
        expected, found = getattr(whole, part), samples_of(getattr(streamed, part))
        assert np.array_equal(found.targets, expected.targets)
        assert found.features == pytest.approx(expected.features, abs=1e-6)


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_streamed_data_are_scaled_alike(scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "d.csv", classes_table())
    whole, streamed = both(path, monkeypatch, preprocess={"scale": scale})
    assert isinstance(whole.test, Samples)
    assert samples_of(streamed.test).features == pytest.approx(whole.test.features, abs=1e-6)


def test_folds_stream_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = dataset(write(tmp_path / "d.csv", classes_table()))
    whole = list(folds(fields, 3))
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "640")
    for expected, found in zip(whole, folds(fields, 3), strict=True):
        assert isinstance(expected.test, Samples)
        assert samples_of(found.test).features == pytest.approx(expected.test.features, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "line", "sentence"),
    [
        (50, "1,,no", "column 'b', row 50: the value is missing"),
        (50, "1,x,no", "column 'b', row 50: 'x' is text"),
        (50, "1,2", "line 51 has 2 fields"),
        (60, "1,2,other", "class 'other'"),
    ],
)
def test_what_is_wrong_in_a_late_block_is_told_with_its_row(
    row: int, line: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = classes_table().splitlines()
    lines[row] = line
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "640")
    assert sentence in refused(write(tmp_path / "d.csv", "\n".join(lines)))


def test_a_file_that_changes_while_it_is_read_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "640")
    path = write(tmp_path / "d.csv", classes_table())
    data = read(path)
    write(path, classes_table(["new"] * 60))
    with pytest.raises(Failure, match="was changed while it was read") as caught:
        samples_of(data.training)
    assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "1048576"}, 1 << 20),
        ({"memory.max": "max"}, 8 << 30),
        ({"memory/memory.limit_in_bytes": "2097152"}, 2 << 20),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, 8 << 30),
        ({}, 8 << 30),
    ],
)
def test_the_memory_is_the_pods(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    for name, content in files.items():
        write(tmp_path / "cgroup" / name, content + "\n")
    meminfo = write(tmp_path / "meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n")
    assert memory(tmp_path / "cgroup", meminfo) == expected
    assert stream_above(tmp_path / "cgroup", meminfo) == expected // 4


def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "1Gi")
    with pytest.raises(Refused, match="LOADSTAR_STREAM_BYTES is '1Gi'"):
        stream_above()


def test_ranks_beyond_the_blocks_of_a_group_have_their_share_too() -> None:
    order = Order(np.full(4, 30), 4, 0, 1)
    owners = order.group(0, 0, order.starts()[0][0], 12).owners
    assert np.bincount(owners, minlength=12).tolist() == [10] * 12
