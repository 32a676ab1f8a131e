"""Checkpoints on the disk: whole or not at all, verified, fenced, never unpickled."""

import dataclasses
import json
import os
import pickle
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from loadstar_trainer.checkpoint import manifest as manifests
from loadstar_trainer.checkpoint.manifest import Unusable
from loadstar_trainer.checkpoint.store import Checkpoint, Content, Moment, Store, load
from loadstar_trainer.environment import Identity
from loadstar_trainer.failures import Failure

FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")
Damage = Callable[[Path], object]


def store(
    path: Path, attempt: int = 1, *, uid: str = "uid-1", spec_hash: str = "sha256:1", keep: int = 3
) -> Store:
    made = Store(path, Identity(uid, attempt), spec_hash, keep)
    made.claim()
    return made


def content(value: float = 1.0) -> Content:
    moments = {"weight/exp_avg": torch.full((2, 2), value), "weight/step": torch.tensor(value)}
    return Content({"model": {"weight": torch.full((2, 2), value)}, "optimizer": moments}, {"sum": value})


def save(into: Store, step: int, score: float | None = None) -> Checkpoint:
    saved = into.save(Moment(step, step, 1, score), content(step))
    assert saved is not None
    return saved


def steps(of: Store) -> list[int]:
    return [checkpoint.manifest.step for checkpoint in of.candidates()]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    checkpoint = save(store(tmp_path), 7)
    assert checkpoint.folder == tmp_path / "uid-1/attempt-1/step-7"
    [found] = store(tmp_path, attempt=2).candidates()
    assert found.manifest == checkpoint.manifest
    read = load(found)
    assert read.values == {"sum": 7}
    assert torch.equal(read.tensors["model"]["weight"], torch.full((2, 2), 7.0))
    assert torch.equal(read.tensors["optimizer"]["weight/step"], torch.tensor(7.0))


def test_another_file_means_another_digest(tmp_path: Path) -> None:
    writer = store(tmp_path)
    first = writer.save(Moment(1, 1, 1), content(1.0))
    second = writer.save(Moment(1, 1, 1), content(2.0))
    assert first
    assert second
    assert first.manifest.digest != second.manifest.digest
    assert json.loads((second.folder / "manifest.json").read_text())["digest"] == second.manifest.digest


def test_a_later_attempt_comes_first_then_a_later_step(tmp_path: Path) -> None:
    first = store(tmp_path, 1)
    save(first, 9), save(first, 10)
    save(store(tmp_path, 2), 5)
    found = store(tmp_path, 3).candidates()
    assert [str(checkpoint) for checkpoint in found] == [
        "attempt-2/step-5",
        "attempt-1/step-10",
        "attempt-1/step-9",
    ]


def flip(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink, link, pipe])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_one_is_skipped_and_the_next_older_taken(
    file: str, damage: Damage, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = store(tmp_path)
    save(writer, 1), save(writer, 2)
    damage(tmp_path / "uid-1/attempt-1/step-2" / file)
    assert steps(store(tmp_path, 2)) == [1]
    [warning] = capfd.readouterr().err.splitlines()
    assert warning.startswith("warning: checkpoint attempt-1/step-2 is skipped: ")
    assert file in warning


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", '{"version": 2}', "[" * 100_000, '{"version": 1, "files": {"../x.json": {}}}'],
    ids=["empty", "list", "null", "object", "version", "deep", "escape"],
)
def test_a_manifest_of_any_other_kind_is_refused(text: str, tmp_path: Path) -> None:
    checkpoint = save(store(tmp_path), 1)
    (checkpoint.folder / "manifest.json").write_text(text)
    with pytest.raises(Unusable, match=r"manifest\.json is damaged"):
        manifests.read(checkpoint.folder)


def test_a_manifest_may_not_name_files_elsewhere(tmp_path: Path) -> None:
    checkpoint = save(store(tmp_path), 1)
    document = json.loads((checkpoint.folder / "manifest.json").read_text())
    document["files"]["../../secret.json"] = {"bytes": 1, "sha256": "0"}
    (checkpoint.folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(Unusable, match="no file of a checkpoint"):
        manifests.read(checkpoint.folder)


def test_a_checkpoint_of_another_spec_is_skipped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(store(tmp_path, 1, spec_hash="sha256:2"), 1)
    assert steps(store(tmp_path, 2)) == []
    assert "its spec hash differs" in capfd.readouterr().err


def test_a_checkpoint_copied_from_another_job_is_skipped(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save(store(tmp_path, uid="uid-0"), 1)
    (tmp_path / "uid-0").rename(tmp_path / "uid-1")
    assert steps(store(tmp_path, 2)) == []
    assert "it is of another job (uid-0)" in capfd.readouterr().err


def test_a_job_made_anew_under_the_same_name_starts_anew_and_leaves_the_old_alone(tmp_path: Path) -> None:
    save(store(tmp_path, 5, uid="old"), 9)
    anew = store(tmp_path, 1, uid="new")
    assert steps(anew) == []
    save(anew, 1)
    assert steps(store(tmp_path, 6, uid="old")) == [9]


def test_a_stale_attempt_cannot_begin(tmp_path: Path) -> None:
    store(tmp_path, 10)
    with pytest.raises(Failure, match="Attempt 10 has taken over the checkpoints; attempt 9 stops"):
        store(tmp_path, 9)


def test_a_stale_attempts_write_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    stale = store(tmp_path, 1, keep=1)
    save(stale, 100)
    store(tmp_path, 2)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Failure, match="Attempt 2 has taken over"):
        stale.save(Moment(101, 1, 1), content())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_stale_attempt_that_is_overtaken_while_it_writes_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = store(tmp_path, 1)
    measure = manifests.measure

    def overtaken(path: Path, *, sync: bool = False) -> manifests.Entry:
        (tmp_path / "uid-1/attempt-2").mkdir(exist_ok=True)
        return measure(path, sync=sync)

    monkeypatch.setattr(manifests, "measure", overtaken)
    with pytest.raises(Failure, match="Attempt 2 has taken over"):
        stale.save(Moment(1, 1, 1), content())
    assert list((tmp_path / "uid-1/attempt-1").iterdir()) == []


def test_the_newest_are_kept_and_the_best(tmp_path: Path) -> None:
    writer = store(tmp_path, keep=2)
    for step, score in enumerate([0.5, 0.1, 0.4, None, 0.3, 0.2], start=1):
        save(writer, step, score)
    assert steps(store(tmp_path, 2)) == [6, 5, 2]


def test_those_of_earlier_attempts_are_removed_too(tmp_path: Path) -> None:
    first = store(tmp_path, 1, keep=2)
    save(first, 1), save(first, 2)
    save(store(tmp_path, 2, keep=2), 3)
    assert steps(store(tmp_path, 3)) == [3, 2]


def test_a_step_taken_again_replaces_the_damaged_one(tmp_path: Path) -> None:
    writer = store(tmp_path)
    flip(save(writer, 1).folder / "model.safetensors")
    save(writer, 1)
    assert steps(store(tmp_path, 2)) == [1]
    assert [path.name for path in (tmp_path / "uid-1/attempt-1").iterdir()] == ["step-1"]


def test_a_half_written_one_is_never_seen_and_is_cleared_away(tmp_path: Path) -> None:
    half = save(store(tmp_path), 1).folder
    half.rename(half.with_name(".step-1-77.tmp"))
    assert steps(store(tmp_path, 2)) == []
    assert list((tmp_path / "uid-1/attempt-1").iterdir()) == []


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to write on, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [1, 100, 300], ids=["model", "model-in-the-middle", "manifest"])
def test_a_full_disk_is_a_warning_and_older_ones_stay(
    size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = store(tmp_path, keep=1)
    save(writer, 1)
    with no_file_larger_than(size):
        assert writer.save(Moment(2, 2, 1), content()) is None
    assert "warning: no checkpoint of step 2: " in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "uid-1/attempt-1").iterdir()] == ["step-1"]
    assert save(writer, 3).manifest.step == 3


def test_a_folder_that_cannot_be_made_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "uid-1").write_text("in the way")
    with pytest.raises(Failure, match=r"checkpoint\.path .*uid-1"):
        store(tmp_path)


class _Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("file", ["model.safetensors", "state.json"])
def test_a_planted_pickle_is_never_loaded(file: str, tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    checkpoint = save(store(tmp_path), 1)
    planted = pickle.dumps(_Bomb(mark))
    (checkpoint.folder / file).write_bytes(planted)
    (checkpoint.folder / "model.pt").write_bytes(planted)
    (checkpoint.folder / ".metadata").write_bytes(planted)  # where torch.distributed.checkpoint keeps its own
    entry = manifests.measure(checkpoint.folder / file)
    forged = dataclasses.replace(checkpoint.manifest, files={**checkpoint.manifest.files, file: entry})
    (checkpoint.folder / "manifest.json").write_bytes(forged.encode())
    [found] = store(tmp_path, 2).candidates()
    with pytest.raises(Unusable, match="it cannot be read"):
        load(found)
    assert not mark.exists()
    pickle.loads(planted)  # what would have happened
    assert mark.exists()
