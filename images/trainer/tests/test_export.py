"""The exported model: other programs get from its files what the trained model gave."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pods import make_spec
from safetensors.torch import load_file
from worlds import FORK, attempt

from loadstar_trainer import models
from loadstar_trainer.checkpoint import manifest as manifests
from loadstar_trainer.environment import Identity
from loadstar_trainer.export.files import FOLDER, Trained, export, require_formats
from loadstar_trainer.failures import Failure, Refused
from loadstar_trainer.record import Exported, Result
from loadstar_trainer.spec import Export, Spec, parse

KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mlp": ({"type": "mlp", "hiddenLayers": [16]}, {"builtin": "iris"}),
    "cnn": ({"type": "cnn", "channels": [4]}, {"builtin": "digits", "split": {"test": 0.8, "validation": 0}}),
    "transformer": ({"type": "transformer", "width": 16, "layers": 1}, {"builtin": "iris"}),
}

OPTIONAL = ["onnx"] if importlib.util.find_spec("onnx") else []  # as require_formats has it


def job(path: Path, kind: str = "mlp", **export: Any) -> Spec:
    document = make_spec(*KINDS[kind], epochs=3, learningRate=0.01)
    evaluation = {"metrics": ["accuracy"]}
    return parse(json.dumps({**document, "export": {"path": str(path), **export}, "evaluation": evaluation}))


def exported(result: Result) -> Exported:
    assert result.extras.model
    return result.extras.model


def rebuilt(spec: Spec, folder: Path) -> torch.nn.Module:
    """The model, from model.json and the weights."""
    description = json.loads((folder / "model.json").read_text())
    shape = description["input"]["shape"][1:]
    output = description["output"]
    model: torch.nn.Module = models.build(spec.model, output["task"], shape, output["size"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_scores_for_any_batch(kind: str, tmp_path: Path) -> None:
    formats = ["safetensors", "torchExport", *OPTIONAL]
    spec = job(tmp_path, kind, formats=formats, quantize="int8")
    result = attempt(spec, 1)
    folder = tmp_path / FOLDER
    assert exported(result).path == str(folder)
    assert exported(result).formats == (*formats, "int8")
    assert result.metrics["accuracy"] - (exported(result).quantized_accuracy or 0) < 0.1
    model = rebuilt(spec, folder)
    shape = json.loads((folder / "model.json").read_text())["input"]["shape"][1:]
    samples = torch.randn(5, *shape)
    expected = model(samples)

    def reload() -> None:  # torch.export's loader unpickles: a file of one's own, in a process of its own
        again = torch.export.load(folder / "model.pt2").module()(samples)
        sys.exit(0 if torch.allclose(again, expected, atol=1e-6) else 1)

    process = FORK.Process(target=reload)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert (folder / "model.onnx").exists() == ("onnx" in formats)


def test_the_description_says_how_samples_become_features(tmp_path: Path) -> None:
    attempt(job(tmp_path), 1)
    description = json.loads((tmp_path / FOLDER / "model.json").read_text())
    assert description["architecture"] == {"type": "mlp", "hiddenLayers": [16], "activation": "relu"}
    assert description["input"] == {"shape": ["batch", 4], "type": "float32"}
    assert description["classes"] == ["0", "1", "2"]
    assert len(description["preprocess"]["shift"]) == len(description["preprocess"]["width"]) == 4


def test_the_manifest_holds_the_digest_of_every_file(tmp_path: Path) -> None:
    result = attempt(job(tmp_path, quantize="int8"), 1)
    folder = tmp_path / FOLDER
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["digest"] == exported(result).digest
    assert set(manifest["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for name, entry in manifest["files"].items():
        assert manifests.measure(folder / name).sha256 == entry["sha256"]


def test_two_ranks_export_one_model(tmp_path: Path) -> None:
    result = attempt(job(tmp_path, quantize="int8"), 1, ranks=2)
    assert exported(result).quantized_accuracy is not None
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]


def test_8_bit_weights_are_near_the_originals(tmp_path: Path) -> None:
    attempt(job(tmp_path, quantize="int8"), 1)
    whole, small = (
        load_file(tmp_path / FOLDER / name) for name in ("model.safetensors", "model.int8.safetensors")
    )
    assert small["1.weight"].dtype == torch.int8
    restored = (small["1.weight"].float() - small["1.zero_point"]) * small["1.scale"]
    assert torch.allclose(restored, whole["1.weight"], atol=float(small["1.scale"]))
    assert torch.equal(small["1.bias"], whole["1.bias"])


def plain(formats: tuple[str, ...] = ("safetensors",)) -> tuple[Trained, tuple[str, ...]]:
    return Trained(
        torch.nn.Sequential(torch.nn.Linear(2, 1)).eval(), torch.zeros(2, 2), {}, "sha256:1"
    ), formats


def test_a_later_export_takes_the_place_of_the_former(tmp_path: Path) -> None:
    trained, formats = plain()
    first = export(trained, Export(str(tmp_path), formats), Identity("uid-1", 1))
    second = export(trained, Export(str(tmp_path), formats), Identity("uid-1", 2))
    assert first.digest != second.digest
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]


def test_a_stale_attempt_does_not_replace_the_model(tmp_path: Path) -> None:
    trained, formats = plain()
    export(trained, Export(str(tmp_path), formats), Identity("uid-1", 10))
    with pytest.raises(Failure, match="Attempt 10 has exported its model"):
        export(trained, Export(str(tmp_path), formats), Identity("uid-1", 9))


def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trained, formats = plain()
    with pytest.raises(Failure, match=r"export\.path .*/file: Not a directory"):
        export(trained, Export(str(tmp_path / "file"), formats), Identity("uid-1", 1))


def test_what_an_exporter_cannot_do_costs_that_format_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Undecided(torch.nn.Module):  # type: ignore[misc]
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features if features.sum() > 0 else -features

    trained = Trained(Undecided().eval(), torch.zeros(2, 2), {}, "sha256:1")
    written = export(trained, Export(str(tmp_path), ("safetensors", "torchExport")), Identity("uid-1", 1))
    assert written.formats == ("safetensors",)
    assert "export.formats: torchExport is left out" in capsys.readouterr().err


def test_onnx_without_its_package_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Refused, match="no Python package onnx; install it in"):
        require_formats(Export("/mnt/export", ("onnx",)))
    require_formats(Export("/mnt/export", ("safetensors", "torchExport")))
