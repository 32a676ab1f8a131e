"""What is made of each format of files: samples, classes, columns, and how the format is found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import (
    CLASSES,
    NUMBERS,
    classes_table,
    read,
    table,
    write,
    write_idx,
    write_images,
    write_parquet,
)

from loadstar_trainer.data import Column, Data, Samples

NONE = {"scale": "none"}


def training(data: Data) -> Samples:
    assert isinstance(data.training, Samples)
    return data.training


def all_features(data: Data) -> "np.ndarray[Any, Any]":
    parts = [data.training, data.validation, data.test]
    return np.concatenate([part.features for part in parts if isinstance(part, Samples)])


def test_csv_has_texts_as_classes_in_alphabetical_order(tmp_path: Path) -> None:
    data = read(write(tmp_path / "d.csv", classes_table()), preprocess=NONE)
    assert (data.task, data.classes, data.labels) == ("classification", 3, ("maybe", "no", "yes"))
    assert data.columns == (Column("a", 0, 1), Column("b", 1, 2))
    assert data.sizes == {"train": 42, "validation": 6, "test": 12}
    assert data.class_counts == (14, 14, 14)
    known = {tuple(row): label for row, label in zip(NUMBERS.tolist(), CLASSES, strict=True)}
    for row, target in zip(training(data).features.tolist(), training(data).targets, strict=True):
        assert known[tuple(row)] == data.labels[target]


@pytest.mark.parametrize(
    ("target", "fields", "task", "labels"),
    [
        ([n % 2 for n in range(60)], {}, "classification", ("0", "1")),
        ([float(n % 2) for n in range(60)], {}, "classification", ("0", "1")),
        ([n % 2 + 9 for n in range(60)], {}, "classification", ("9", "10")),
        ([n % 2 == 0 for n in range(60)], {}, "classification", ("False", "True")),
        ([n / 7 for n in range(60)], {}, "regression", ()),
        (list(range(60)), {"task": "regression"}, "regression", ()),
        ([n % 2 / 2 for n in range(60)], {"task": "classification"}, "classification", ("0.0", "0.5")),
        (
            ["1" if n % 2 else "a" for n in range(60)],
            {"task": "classification"},
            "classification",
            ("1", "a"),
        ),
        (
            ["1" if n % 4 else "01" for n in range(30)] + ["2"] * 30,
            {"task": "classification"},
            "classification",
            None,
        ),
    ],
)
def test_the_task_follows_from_the_target_unless_given(
    target: list[Any], fields: dict[str, Any], task: str, labels: tuple[str, ...] | None, tmp_path: Path
) -> None:
    data = read(write(tmp_path / "d.csv", classes_table(target)), **fields)
    assert data.task == task
    assert data.classes == 2 if labels is None else data.labels == labels


@pytest.mark.parametrize("target", ["y", 2])
def test_a_target_is_named_or_counted(target: str | int, tmp_path: Path) -> None:
    moved = table([(y, *row) for row, y in zip(NUMBERS.tolist(), CLASSES, strict=True)], "y,a,b")
    first = read(write(tmp_path / "moved.csv", moved), target="y" if target == "y" else 0)
    last = read(write(tmp_path / "d.csv", classes_table()), target=target)
    assert first.hash == last.hash


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (lambda text: text.replace(",", ";"), {}),
        (lambda text: text.replace(",", "\t"), {}),
        (lambda text: text.replace("\n", "\r\n"), {}),
        (lambda text: "\ufeff" + text, {}),
        (lambda text: text.replace("\n", "\n\n"), {}),
        (lambda text: text.replace("no\n", '"no"\n'), {}),
        (lambda text: text.replace(",", ", "), {}),
        (lambda text: text.rstrip("\n"), {}),
        (lambda text: text, {"features": ["a", "b"]}),
    ],
    ids=["semicolons", "tabs", "crlf", "bom", "blank-lines", "quotes", "spaces", "no-newline", "features"],
)
def test_spellings_of_csv_are_one_data_set(change: Any, fields: dict[str, Any], tmp_path: Path) -> None:
    plain = read(write(tmp_path / "plain.csv", classes_table()))
    assert read(write(tmp_path / "other.csv", change(classes_table())), **fields).hash == plain.hash


def test_csv_without_a_header_has_its_columns_numbered(tmp_path: Path) -> None:
    numbers = [(*row, n % 2) for n, row in enumerate(NUMBERS.tolist())]
    data = read(write(tmp_path / "d.csv", table(numbers, header="")))
    assert [column.name for column in data.columns] == ["0", "1"]
    assert sum(data.sizes.values()) == 60


def test_fields_in_quotes_may_hold_separators_and_line_ends(tmp_path: Path) -> None:
    rows = [(a, '"x,\n""y"' if n % 3 else "z", n % 2) for n, (a, _) in enumerate(NUMBERS.tolist())]
    data = read(write(tmp_path / "d.csv", table(rows)))
    assert sum(data.sizes.values()) == 60
    assert data.shape == (3,)


def test_texts_among_features_become_a_column_for_each(tmp_path: Path) -> None:
    rows = [(a, ("red", "blue")[n % 2], n % 3) for n, (a, _) in enumerate(NUMBERS.tolist())]
    data = read(write(tmp_path / "d.csv", table(rows)), preprocess=NONE)
    assert data.columns == (Column("a", 0, 1), Column("b", 1, 3))
    assert set(map(tuple, all_features(data)[:, 1:].tolist())) == {(0.0, 1.0), (1.0, 0.0)}


@pytest.mark.parametrize("mark", ["", "NA", "nan", "NaN", "null", " "])
def test_rows_that_lack_something_are_dropped_on_request(mark: str, tmp_path: Path) -> None:
    lines = classes_table().splitlines()
    lines[5] = f"{mark},1,no"
    lines[9] = f"1,2,{mark}"
    data = read(write(tmp_path / "d.csv", "\n".join(lines)), preprocess={"dropMissing": True})
    assert sum(data.sizes.values()) == 58
    assert not np.isnan(all_features(data)).any()


def test_a_text_column_gives_the_bytes_of_each_text(tmp_path: Path) -> None:
    rows = [(a, "123" if n == 0 else "abc" * 50, n % 2) for n, (a, _) in enumerate(NUMBERS.tolist())]
    data = read(write(tmp_path / "d.csv", table(rows)), textColumn="b")
    assert (data.shape, all_features(data).dtype) == ((128,), np.uint8)
    texts = {bytes(row).rstrip(b"\0") for row in all_features(data)}
    assert texts == {b"123", (b"abc" * 50)[:128]}


@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_a_table_with_the_target_last(dtype: str, order: Any, tmp_path: Path) -> None:
    rows = np.column_stack([NUMBERS, np.arange(60) % 2]).astype(dtype)
    np.save(tmp_path / "d.npy", np.asarray(rows, order=order))
    data = read(tmp_path / "d.npy", preprocess=NONE)
    assert (data.task, data.classes, data.shape) == ("classification", 2, (2,))
    assert {tuple(row) for row in all_features(data)} == {tuple(row) for row in rows[:, :2]}


def test_npy_takes_another_column_as_target(tmp_path: Path) -> None:
    np.save(tmp_path / "last.npy", np.column_stack([NUMBERS, np.arange(60) % 2]))
    np.save(tmp_path / "first.npy", np.column_stack([np.arange(60) % 2, NUMBERS]))
    assert read(tmp_path / "first.npy", target=0).hash == read(tmp_path / "last.npy").hash


def test_npz_has_features_in_x_and_targets_in_y(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=NUMBERS, y=np.array(CLASSES))
    data = read(tmp_path / "d.npz")
    assert data.labels == ("maybe", "no", "yes")
    assert data.hash == read(write(tmp_path / "d.csv", classes_table())).hash


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 5), (1, 4, 5)), ((3, 8, 7), (3, 8, 7)), ((8, 7, 3), (3, 8, 7)), ((1, 4, 3), (1, 4, 3))],
)
def test_npz_may_hold_images(shape: tuple[int, ...], expected: tuple[int, ...], tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, *shape)).astype(np.uint8)
    np.savez_compressed(tmp_path / "d.npz", images=images, label=np.arange(20) % 2)
    data = read(tmp_path / "d.npz", target="label")
    assert (data.shape, data.columns) == (expected, ())


def test_parquet_is_the_same_data_as_csv(tmp_path: Path) -> None:
    write_parquet(tmp_path / "d.parquet", {"a": NUMBERS[:, 0], "b": NUMBERS[:, 1], "y": CLASSES})
    assert read(tmp_path / "d.parquet").hash == read(write(tmp_path / "d.csv", classes_table())).hash


def test_parquet_columns_may_be_booleans_integers_and_dictionaries(tmp_path: Path) -> None:
    import pyarrow as arrow

    columns = {
        "on": [n % 3 == 0 for n in range(60)],
        "count": arrow.array([n % 5 for n in range(60)], arrow.int16()),
        "colour": arrow.array(["red", "blue"] * 30).dictionary_encode(),
        "y": [n % 2 == 0 for n in range(60)],
    }
    data = read(write_parquet(tmp_path / "d.parquet", columns))
    assert (data.shape, data.task, data.classes) == ((4,), "classification", 2)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_without_files_of_a_test_set_is_split_as_asked(packed: bool, tmp_path: Path) -> None:
    data = read(write_idx(tmp_path / "mnist", "train", 60, packed))
    assert data.sizes == {"train": 42, "validation": 6, "test": 12}
    assert (data.shape, data.classes, training(data).features.dtype) == ((1, 4, 5), 3, np.float32)


def test_idx_files_of_a_test_set_are_the_test_part(tmp_path: Path) -> None:
    folder = write_idx(write_idx(tmp_path / "mnist", "train", 60), "t10k", 12)
    data = read(folder)
    assert data.sizes == {"train": 54, "validation": 6, "test": 12}
    assert isinstance(data.test, Samples)
    assert data.test.targets.tolist() == [n % 3 for n in range(12)]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_folders_of_images_are_classes(mode: str, channels: int, tmp_path: Path) -> None:
    data = read(write_images(tmp_path / "pets", mode), preprocess=NONE)
    assert (data.labels, data.shape) == (("cat", "dog"), (channels, 4, 5))
    assert sum(data.sizes.values()) == 24
    assert all_features(data).max() > 200


def test_image_folders_train_and_test_are_parts(tmp_path: Path) -> None:
    write_images(tmp_path / "pets" / "train")
    write_images(tmp_path / "pets" / "test", count=3)
    assert read(tmp_path / "pets").sizes == {"train": 22, "validation": 2, "test": 6}


def test_text_is_cut_into_windows_of_contiguous_parts(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    data = read(write(tmp_path / "d.txt", content), split={"validation": 0.1, "test": 0.2})
    assert (data.task, data.classes, data.shape) == ("language", 256, (128,))
    first = training(data)
    assert np.array_equal(first.features.reshape(-1)[1:], first.targets.reshape(-1)[:-1])
    assert bytes(first.features.reshape(-1)) == content[: first.features.size]
    assert isinstance(data.test, Samples)
    assert bytes(data.test.features.reshape(-1)) == content[8192 : 8192 + data.test.features.size]


def test_a_given_format_goes_before_the_ending(tmp_path: Path) -> None:
    named = write(tmp_path / "table.data", classes_table())
    assert read(named, format="csv").hash == read(write(tmp_path / "d.csv", classes_table())).hash


def test_the_order_of_rows_is_in_the_hash(tmp_path: Path) -> None:
    header, *rows = classes_table().splitlines()
    turned = "\n".join([header, *reversed(rows)])
    assert (
        read(write(tmp_path / "a.csv", turned)).hash != read(write(tmp_path / "b.csv", classes_table())).hash
    )


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_images_of_bytes_are_scaled_by_the_training_part_alone(scale: str, tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mnist", "train", 60)
    raw = read(folder, preprocess=NONE)
    data = read(folder, preprocess={"scale": scale})
    pixels = training(raw).features.astype(float)
    low, width = (pixels.mean(), pixels.std()) if scale == "standard" else (pixels.min(), np.ptp(pixels))
    assert training(data).features == pytest.approx((pixels - low) / width, abs=1e-5)
    assert isinstance(data.test, Samples)
    assert isinstance(raw.test, Samples)
    assert data.test.features == pytest.approx((raw.test.features - low) / width, abs=1e-5)


def test_a_block_of_numbers_alone_is_read_as_one_with_a_text_in_it(tmp_path: Path) -> None:
    numbers = table([(a, b, n % 2) for n, (a, b) in enumerate(NUMBERS.tolist())])
    quoted = numbers.replace(",0\n", ',"0"\n')
    assert quoted != numbers
    assert read(write(tmp_path / "a.csv", numbers)).hash == read(write(tmp_path / "b.csv", quoted)).hash
