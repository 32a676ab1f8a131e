"""Data in an S3-compatible store: what is read from it, and what is said where it cannot be."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import CLASSES, NUMBERS, classes_table, read, write, write_idx, write_images, write_parquet
from store import KEY, Store, serve

from loadstar_trainer.data import Data, Pass, Stream, prepare
from loadstar_trainer.failures import Failure, Refused
from loadstar_trainer.spec import parse


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store, and the environment that a pod with its Secret has."""
    with serve() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        store.put("bucket/data/iris.csv", classes_table())
        yield store


def fetch(uri: str, **fields: Any) -> Data:
    spec = {"model": {"type": "linear"}, "dataset": {"uri": uri, **fields}, "training": {}}
    return prepare(parse(json.dumps(spec)).dataset)


def refused(uri: str, **fields: Any) -> str:
    with pytest.raises(Refused) as caught:
        fetch(uri, **fields)
    assert caught.value.exit_code == 65
    return str(caught.value)


def test_each_format_is_read_as_from_a_disk(store: Store, tmp_path: Path) -> None:
    write(tmp_path / "d.csv", classes_table())
    np.save(tmp_path / "d.npy", np.column_stack([NUMBERS, np.arange(60) % 2]))
    np.savez(tmp_path / "d.npz", x=NUMBERS, y=np.array(CLASSES))
    write_parquet(tmp_path / "d.parquet", {"a": NUMBERS[:, 0], "b": NUMBERS[:, 1], "y": CLASSES})
    write_idx(tmp_path / "mnist", "train", 60, packed=True)
    write_images(tmp_path / "pets")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            store.put(f"bucket/all/{path.relative_to(tmp_path)}", path.read_bytes())
    for name in ("d.csv", "d.npy", "d.npz", "d.parquet", "mnist", "pets"):
        assert fetch(f"s3://bucket/all/{name}").hash == read(tmp_path / name).hash


def test_large_objects_stream_and_no_more_is_fetched_than_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "6400")
    rows = np.random.default_rng(0).normal(size=(200, 4)).round(6)
    store.put("bucket/large.csv", "a,b,c,y\n" + "\n".join(",".join(map(str, row)) for row in rows))
    training = fetch("s3://bucket/large.csv").training
    assert isinstance(training, Stream)
    before = store.bytes_sent
    assert sum(len(share.samples) for share in training.batches(Pass(0, 1, 64, 0, 0, 1))) == 140
    assert store.bytes_sent - before <= 1.05 * len(store.objects["bucket/large.csv"])


@pytest.mark.usefixtures("store")
def test_an_object_that_is_not_there_tells_what_is() -> None:
    assert "there is no such object; s3://bucket/data holds iris.csv" in refused("s3://bucket/data/wine.csv")
    assert "there is no such object; s3://bucket holds data" in refused("s3://bucket/date/iris.csv")


@pytest.mark.usefixtures("store")
def test_a_bucket_that_is_not_there() -> None:
    assert "nor is there a bucket 'basket'" in refused("s3://basket/data/iris.csv")


@pytest.mark.usefixtures("store")
def test_keys_that_the_store_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    assert "the store refuses access" in refused("s3://bucket/data/iris.csv")


@pytest.mark.usefixtures("store")
def test_a_pod_without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    message = refused("s3://bucket/data/iris.csv")
    assert "the pod has no keys for the store" in message
    assert "dataset.secretName" in message


def test_defects_are_told_with_the_uri(store: Store) -> None:
    store.put("bucket/data/iris.csv", "a,b,y\n1,,no\n")
    assert refused("s3://bucket/data/iris.csv").startswith("s3://bucket/data/iris.csv: column 'b', row 1")


@pytest.mark.usefixtures("store")
def test_a_store_that_does_not_answer_is_no_fault_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Failure, match="the store does not answer") as caught:
        fetch("s3://bucket/data/iris.csv")
    assert not isinstance(caught.value, Refused)
