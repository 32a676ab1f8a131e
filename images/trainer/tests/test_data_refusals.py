"""Data that cannot be trained on: refused with a sentence that names file, place and way out."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import (
    CLASSES,
    NUMBERS,
    classes_table,
    idx,
    read,
    refused,
    table,
    write,
    write_idx,
    write_images,
    write_parquet,
)

LINES = classes_table().splitlines()


def with_line(number: int, line: str) -> str:
    """The table with another line; the header is line 0, so this is row `number`."""
    return "\n".join([*LINES[:number], line, *LINES[number + 1 :]]) + "\n"


CSV: list[tuple[str | bytes, dict[str, Any], list[str]]] = [
    ("", {}, ["the file is empty"]),
    ("\n\n", {}, ["the file is empty, or its first line is"]),
    ("a,b,y\n", {}, ["there is no row of data"]),
    (with_line(7, "1,2"), {}, ["line 8 has 2 fields and the first line has 3"]),
    (with_line(7, "1,2,no,4"), {}, ["line 8 has 4 fields"]),
    (with_line(0, "a,a,y"), {}, ["two columns are named 'a'"]),
    (with_line(0, ",b,y"), {}, ["column 1 has no name", "dataset.features"]),
    (with_line(7, "1,,no"), {}, ["column 'b', row 7", "rows that lack something: 1", "dropMissing"]),
    (with_line(7, "1,2,"), {}, ["target column 'y', row 7", "dropMissing"]),
    (with_line(7, "1,2x,no"), {}, ["column 'b', row 7: '2x' is text where numbers are expected"]),
    (with_line(7, "1,inf,no"), {}, ["column 'b', row 7: the number is infinite"]),
    (with_line(7, '1,"2,no'), {}, ["is no CSV"]),
    (classes_table(), {"target": "z"}, ["there is no column 'z' as dataset.target says", "a, b, y"]),
    (classes_table(), {"target": 3}, ["dataset.target is 3 and there are 3 columns"]),
    (
        classes_table(),
        {"features": ["a", "c"]},
        ["there is no column 'c' as dataset.features says", "a, b, y"],
    ),
    (classes_table(), {"features": ["a", "y"]}, ["column 'y' is the target and a feature"]),
    (classes_table(), {"textColumn": "c"}, ["no column 'c' as dataset.features says"]),
    (classes_table(), {"task": "regression"}, ["target column 'y', row 1: 'no' is text", "dataset.task"]),
    (
        classes_table(["1"] * 30 + ["x"] * 30),
        {},
        ["target column 'y', row 31: 'x' is text", "dataset.task"],
    ),
    (classes_table(["no"] * 60), {}, ["target column 'y' holds one class only (no)", "at least two"]),
    (classes_table([*CLASSES[:59], "rare"]), {}, ["class 'rare' of target column 'y' has 1 sample"]),
    (classes_table(list(range(60))), {}, ["has 1 sample", "dataset.task to regression"]),
    (
        table([(n, f"id-{n}", n % 2) for n in range(100)]),
        {},
        ["column 'b' has more than 64 different texts", "row 65"],
    ),
    (table([(n % 2,) for n in range(60)], "y"), {}, ["besides the target 'y' there is no column"]),
    (b"a,b,y\n1,2,no\n3,\xff,yes\n", {}, ["line 3 is not UTF-8"]),
    (b"PK\x03\x04\0\0\0\0\n", {}, ["binary data", "dataset.format"]),
]


@pytest.mark.parametrize(("content", "fields", "sentences"), CSV, ids=[case[2][0] for case in CSV])
def test_csv(content: str | bytes, fields: dict[str, Any], sentences: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", content)
    message = refused(path, **fields)
    assert message.startswith(f"{path}: ")
    for sentence in sentences:
        assert sentence in message


def test_a_class_that_the_split_leaves_untrained(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", classes_table())
    message = refused(path, split={"validation": 0.0, "test": 0.98})
    assert "leaves class 'maybe' without training samples, of 60 samples in all" in message
    assert "lower validation or test" in message


def test_all_rows_that_lack_something_are_counted(tmp_path: Path) -> None:
    lines = [line if n % 10 else ",1,no" for n, line in enumerate(LINES, 1)]
    message = refused(write(tmp_path / "d.csv", "\n".join([LINES[0], *lines[1:]])))
    assert "column 'a', row 9: the value is missing; rows that lack something: 6" in message


def test_dropping_all_rows_leaves_none(tmp_path: Path) -> None:
    content = table([("", 1, n % 2) for n in range(9)])
    assert "no row of data that lacks nothing" in refused(
        write(tmp_path / "d.csv", content), preprocess={"dropMissing": True}
    )


def save(array: Any) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


def cut(array: Any) -> Callable[[Path], None]:
    def save_and_cut(path: Path) -> None:
        np.save(path, array)
        path.write_bytes(path.read_bytes()[:-1])

    return save_and_cut


TABLE = np.column_stack([NUMBERS, np.arange(60) % 2])
WITH_NAN = TABLE.copy()
WITH_NAN[4, 1] = np.nan
INFINITE = TABLE.copy()
INFINITE[4, 1] = np.inf


@pytest.mark.parametrize(
    ("save", "fields", "sentences"),
    [
        (save(np.array([[1, "x"]], object)), {}, ["holds Python objects", "unpickling"]),
        (save(np.array([["a", "b"]])), {}, ["not numbers"]),
        (save(np.zeros((3, 2), complex)), {}, ["not numbers"]),
        (save(np.zeros(9)), {}, ["has shape (9,)", "a table of at least two columns"]),
        (save(np.zeros((9, 2, 2))), {}, ["has shape (9, 2, 2)", "npz file with arrays x and y"]),
        (save(np.zeros((9, 1))), {}, ["has shape (9, 1)"]),
        (save(np.zeros((0, 3))), {}, ["there is no row of data"]),
        (cut(TABLE), {}, ["it is cut off"]),
        (lambda path: write(path, b""), {}, ["no npy file"]),
        (lambda path: write(path, "a,b,y\n"), {}, ["no npy file"]),
        (save(WITH_NAN), {}, ["column '1', row 5: the value is missing", "dropMissing"]),
        (save(INFINITE), {}, ["column '1', row 5: the number is infinite"]),
        (save(TABLE), {"target": 3}, ["dataset.target is 3 and the table has 3 columns"]),
        (save(TABLE), {"target": "label"}, ["columns of an npy file have no names", "0 to 2"]),
    ],
)
def test_npy(save: Any, fields: dict[str, Any], sentences: list[str], tmp_path: Path) -> None:
    path = tmp_path / "d.npy"
    save(path)
    message = refused(path, **fields)
    for sentence in [str(path), *sentences]:
        assert sentence in message


Y = np.arange(60) % 2


@pytest.mark.parametrize(
    ("arrays", "fields", "sentences"),
    [
        ({"x": NUMBERS, "label": Y}, {}, ["there is no array 'y' for the target", "x, label"]),
        ({"a": NUMBERS, "b": NUMBERS, "y": Y}, {}, ["there is no array 'x' for the features", "a, b, y"]),
        ({"x": NUMBERS, "y": Y[:-1]}, {}, ["array 'x' has 60 samples and 'y' has 59"]),
        ({"x": NUMBERS, "y": NUMBERS}, {}, ["array 'y' has shape (60, 2)", "one target per sample"]),
        ({"x": NUMBERS[:, 0], "y": Y}, {}, ["array 'x' has shape (60,)"]),
        ({"x": np.zeros((60, 2, 2, 2, 2)), "y": Y}, {}, ["array 'x' has shape (60, 2, 2, 2, 2)"]),
        ({"x": NUMBERS.astype(object), "y": Y}, {}, ["array 'x' holds Python objects"]),
        ({"x": NUMBERS, "y": Y.astype(object)}, {}, ["array 'y' holds Python objects"]),
        ({"x": WITH_NAN[:, :2], "y": Y}, {}, ["column '1', row 5: the value is missing"]),
        (
            {"x": WITH_NAN.reshape(60, 1, 3), "y": Y},
            {},
            ["features at [0, 0, 1], row 5: the value is missing"],
        ),
    ],
)
def test_npz(arrays: dict[str, Any], fields: dict[str, Any], sentences: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    message = refused(tmp_path / "d.npz", **fields)
    for sentence in [str(tmp_path / "d.npz"), *sentences]:
        assert sentence in message


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x93NUMPY"])
def test_npz_that_is_none(content: bytes, tmp_path: Path) -> None:
    assert "no whole npz file" in refused(write(tmp_path / "d.npz", content))


def test_an_npz_file_that_is_cut_off(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=NUMBERS, y=Y)
    whole = (tmp_path / "d.npz").read_bytes()
    assert "no whole npz file" in refused(write(tmp_path / "d.npz", whole[: len(whole) // 2]))


@pytest.mark.parametrize(
    ("columns", "fields", "sentences"),
    [
        (
            {"a": [1.0, None] * 30, "y": CLASSES},
            {},
            ["column 'a', row 2: the value is missing; rows that lack something: 30"],
        ),
        ({"a": [[1.0]] * 60, "y": CLASSES}, {}, ["column 'a' holds list", "leave it out"]),
        ({"a": NUMBERS[:, 0], "y": CLASSES}, {"target": "z"}, ["no column 'z'", "a, y"]),
        (
            {"a": NUMBERS[:, 0], "y": CLASSES},
            {"target": "y", "textColumn": "a"},
            ["'a' holds double, not texts"],
        ),
    ],
)
def test_parquet(columns: Any, fields: dict[str, Any], sentences: list[str], tmp_path: Path) -> None:
    message = refused(write_parquet(tmp_path / "d.parquet", columns), **fields)
    for sentence in [str(tmp_path / "d.parquet"), *sentences]:
        assert sentence in message


@pytest.mark.parametrize("size", [0, 3, -9])
def test_a_parquet_file_that_is_cut_off(size: int, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "d.parquet", {"a": NUMBERS[:, 0], "y": CLASSES})
    assert "no whole Parquet file" in refused(write(path, path.read_bytes()[:size]))


def test_damage_inside_a_parquet_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "d.parquet", {"a": NUMBERS[:, 0], "y": CLASSES})
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    assert "cannot be read" in refused(write(path, bytes(content)))


IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (IMAGES, b"", "begins with nothing, which is not the mark of an IDX file with 3 or 4 dimensions"),
        (IMAGES, b"\x89PNG....", "begins with 89 50 4e 47"),
        (IMAGES, idx(np.zeros(60)), "begins with 00 00 08 01"),
        (IMAGES, idx(np.zeros((60, 4, 5)))[:-1], "its header speaks of"),
        (IMAGES, idx(np.zeros((60, 4, 5)))[:9], "cut off or empty"),
        (IMAGES, idx(np.zeros((0, 4, 5))), "cut off or empty"),
        (LABELS, idx(np.zeros(59)), f"{IMAGES} has 60 images and {LABELS} has 59 labels"),
        (LABELS, None, "there are train-images and no train-labels"),
        (IMAGES, None, "there are train-labels and no train-images"),
        (f"{IMAGES}.gz", b"", f"{IMAGES}, {IMAGES}.gz are the same"),
        (LABELS, idx(np.zeros(60)), "target column 'labels' holds one class only (0)"),
    ],
)
def test_idx(name: str, content: bytes | None, sentence: str, tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mnist", "train", 60)
    if content is None:
        (folder / name).unlink()
    else:
        write(folder / name, content)
    assert sentence in refused(folder)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(idx(np.zeros((60, 4, 5))))[:-20]])
def test_a_packed_idx_file_that_is_damaged(content: bytes, tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mnist", "train", 60, packed=True)
    write(folder / f"{IMAGES}.gz", content)
    assert "copy it again" in refused(folder)


def test_idx_images_of_two_sizes(tmp_path: Path) -> None:
    folder = write_idx(write_idx(tmp_path / "mnist", "train", 60), "t10k", 12)
    write(folder / "t10k-images-idx3-ubyte", idx(np.zeros((12, 5, 5))))
    assert "differ in size ([(4, 5), (5, 5)])" in refused(folder)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("cat/99.png", b"", "99.png: this is no whole image"),
        ("cat/99.png", b"\x89PNG\r\n\x1a\n....", "99.png: this is no whole image"),
        ("fish/notes.md", b"none yet", "fish: this folder of a class holds no image"),
    ],
)
def test_images(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    write(write_images(tmp_path / "pets") / name, content)
    assert sentence in refused(tmp_path / "pets")


def test_an_image_that_is_cut_off(tmp_path: Path) -> None:
    path = write_images(tmp_path / "pets", size=(50, 40)) / "dog" / "03.png"
    write(path, path.read_bytes()[:200])
    assert f"{path}: this is no whole image" in refused(tmp_path / "pets")


def test_images_of_two_sizes(tmp_path: Path) -> None:
    write_images(tmp_path / "pets")
    write_images(tmp_path / "other", size=(6, 4))
    (tmp_path / "other" / "dog" / "00.png").rename(tmp_path / "pets" / "dog" / "odd.png")
    message = refused(tmp_path / "pets")
    assert f"{tmp_path / 'pets' / 'dog' / 'odd.png'}: the image has 4×6 pixels" in message
    assert "00.png has 4×5; bring all to one size" in message


def test_images_in_grey_and_in_colour(tmp_path: Path) -> None:
    write_images(tmp_path / "pets")
    write_images(tmp_path / "other", "RGB")
    (tmp_path / "other" / "dog" / "00.png").rename(tmp_path / "pets" / "dog" / "odd.png")
    assert "the image has colours" in refused(tmp_path / "pets")


def test_a_text_shorter_than_its_windows(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "d.txt", "x" * 1000))
    assert "has 1000 bytes, of which 100 are for validation, and a sample needs 129" in message


def test_an_empty_text(tmp_path: Path) -> None:
    assert "has 0 bytes" in refused(write(tmp_path / "d.txt", ""))


def test_a_path_that_is_not_there_tells_what_is(tmp_path: Path) -> None:
    write(tmp_path / "iris.csv", classes_table())
    message = refused(tmp_path / "iris" / "data.csv")
    assert f"{tmp_path / 'iris' / 'data.csv'}: there is no such file or folder" in message
    assert f"{tmp_path} holds iris.csv" in message


def test_an_ending_that_tells_nothing(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "data.bin", "1,2"))
    assert "its ending does not tell its format (known are .csv, .npy, .npz, .parquet, .txt)" in message
    assert "set dataset.format" in message


def test_a_folder_that_tells_nothing(tmp_path: Path) -> None:
    write(tmp_path / "data" / "iris.csv", classes_table())
    assert "holds neither IDX files (…-ubyte) nor folders of images, but iris.csv" in refused(
        tmp_path / "data"
    )


def test_a_folder_where_a_file_is_needed_and_the_other_way_round(tmp_path: Path) -> None:
    write(tmp_path / "data" / "iris.csv", classes_table())
    message = refused(tmp_path / "data", format="csv")
    assert "dataset.format csv is read from a file, and this is a folder, which holds iris.csv" in message
    assert "is read from a folder, and this is a file" in refused(
        tmp_path / "data" / "iris.csv", format="idx"
    )


@pytest.mark.parametrize("name", ["npz", "idx", "npy"])
def test_what_is_too_large_for_memory_and_cannot_be_read_in_pieces(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "100")
    path = tmp_path / f"d.{name}"
    if name == "npz":
        np.savez(path, x=NUMBERS, y=Y)
    elif name == "npy":
        np.save(path, np.asfortranarray(TABLE))
    else:
        write_idx(path, "train", 60, packed=True)
    message = refused(path)
    assert "more than the 100 that are kept in memory" in message
    assert "trainer.resourcesPerNode.memory" in message


def test_the_same_data_without_the_defect_are_read(tmp_path: Path) -> None:
    assert read(write(tmp_path / "d.csv", classes_table())).classes == 3
