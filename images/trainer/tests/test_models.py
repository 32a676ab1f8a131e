"""What networks come of a description: shapes, what they look at, given and fixed weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pods import make_spec
from safetensors.torch import save_file
from torch import nn
from worlds import train

from loadstar_trainer import models
from loadstar_trainer.failures import Refused
from loadstar_trainer.models import weights
from loadstar_trainer.spec import Spec, parse

TEXT = {"path": "/mnt/dataset/a.txt"}
COLUMN = {"path": "/mnt/dataset/a.csv", "textColumn": "words"}
TINY = {"type": "transformer", "layers": 1, "heads": 2, "width": 8}


def spec(model: dict[str, Any], dataset: dict[str, Any] | None = None, **training: Any) -> Spec:
    return parse(json.dumps(make_spec(model, dataset, **training)))


def network(
    model: dict[str, Any], dataset: dict[str, Any], shape: tuple[int, ...], outputs: int
) -> nn.Module:
    torch.manual_seed(0)
    parsed = spec(model, dataset)
    return models.build(parsed.model, parsed.dataset.task or "classification", shape, outputs).eval()


def shapes(built: nn.Module, *kinds: type[nn.Module]) -> list[tuple[int, ...]]:
    return [tuple(module.weight.shape) for module in built.modules() if isinstance(module, kinds)]


def test_the_mnist_preset_is_the_documents_network() -> None:
    built = network({"type": "cnn", "preset": "mnist"}, {"builtin": "digits"}, (1, 28, 28), 10)
    assert shapes(built, nn.Conv2d) == [(32, 1, 3, 3), (64, 32, 3, 3)]
    assert shapes(built, nn.Linear) == [(10, 1600)]  # 28 → 26 → 13 → 11 → 5, and 5 · 5 · 64
    assert built(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_mnist_preset_needs_large_enough_images() -> None:
    with pytest.raises(Refused, match="needs images of at least 10×10, and these are 8×8"):
        network({"type": "cnn", "preset": "mnist"}, {"builtin": "digits"}, (1, 8, 8), 10)


def test_a_cnn_needs_images() -> None:
    with pytest.raises(Refused, match="a sample is 4 and no image"):
        network({"type": "cnn"}, {"path": "/mnt/dataset/a.csv"}, (4,), 3)


@pytest.mark.parametrize(
    ("dataset", "sample", "outputs", "shape"),
    [
        (TEXT, torch.zeros(3, 5, dtype=torch.uint8), 256, (3, 5, 256)),
        (COLUMN, torch.zeros(3, 6, dtype=torch.uint8), 4, (3, 4)),
        ({"builtin": "iris"}, torch.zeros(3, 4), 3, (3, 3)),
        ({"builtin": "digits"}, torch.zeros(3, 1, 8, 8), 10, (3, 10)),
    ],
    ids=["language", "text", "table", "image"],
)
@pytest.mark.parametrize("samples", [3, 0])
def test_a_transformer_takes_texts_tables_and_no_sample_at_all(
    dataset: dict[str, Any], sample: torch.Tensor, outputs: int, shape: tuple[int, ...], samples: int
) -> None:
    built = network(TINY, dataset, tuple(sample.shape[1:]), outputs)
    assert built(sample[:samples]).shape == (samples, *shape[1:])


def test_a_language_model_sees_only_what_was_written_before() -> None:
    built = network(TINY, TEXT, (6,), 256)
    text = torch.tensor([[10, 20, 30, 40, 50, 60]], dtype=torch.uint8)
    changed = text.clone()
    changed[0, 4] = 99
    before, after = built(text), built(changed)
    assert torch.allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-6)


def test_what_fills_up_a_short_text_has_no_say() -> None:
    built = network(TINY, COLUMN, (6,), 3)
    text = torch.tensor([[10, 20, 0, 0]], dtype=torch.uint8)
    longer = torch.tensor([[10, 20, 0, 0, 0, 0]], dtype=torch.uint8)
    assert torch.allclose(built(text), built(longer), atol=1e-6)


def test_a_network_is_a_function_of_the_seed() -> None:
    first, second = (network(TINY, TEXT, (6,), 256).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_of_equal_name_and_shape_are_taken_over(tmp_path: Path) -> None:
    given = network({"type": "mlp", "hiddenLayers": [5]}, {"builtin": "iris"}, (4,), 2).state_dict()
    save_file({name: tensor + 1 for name, tensor in given.items()}, tmp_path / "model.safetensors")
    built = network({"type": "mlp", "hiddenLayers": [5]}, {"builtin": "iris"}, (4,), 3)
    assert weights.load(built, tmp_path) == 2  # the last layer has another shape
    assert torch.equal(built.state_dict()["1.weight"], given["1.weight"] + 1)


def test_weights_that_fit_nowhere_are_refused(tmp_path: Path) -> None:
    save_file({"other": torch.zeros(3)}, tmp_path / "a.safetensors")
    built = network({"type": "linear"}, {"builtin": "iris"}, (4,), 3)
    with pytest.raises(
        Refused, match=r"no tensor whose name and shape the model has; the model's are 1\.weight"
    ):
        weights.load(built, tmp_path / "a.safetensors")


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no tensors")
    with pytest.raises(Refused, match="cannot be read as safetensors"):
        weights.load(nn.Linear(1, 1), tmp_path / "a.safetensors")


def test_frozen_parameters_stay_as_they_are() -> None:
    built = network({"type": "mlp"}, {"builtin": "iris"}, (4,), 3)
    weights.freeze(built, ("1.*",))
    assert [name for name, p in built.named_parameters() if not p.requires_grad] == ["1.weight", "1.bias"]


def test_a_pattern_that_matches_nothing_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(Refused, match=r"layers\.\* matches no parameter; the parameters are weight, bias"):
        weights.freeze(nn.Linear(2, 2), ("layers.*",))


def test_freezing_everything_is_refused() -> None:
    with pytest.raises(Refused, match="leaves no parameter to train"):
        weights.freeze(nn.Linear(2, 2), ("*",))


@pytest.mark.parametrize("ranks", [1, 2])
def test_only_what_is_not_frozen_learns(ranks: int, tmp_path: Path) -> None:
    save_file(
        network({"type": "mlp"}, {"builtin": "iris"}, (4,), 3).state_dict(), tmp_path / "model.safetensors"
    )
    model = {"type": "mlp", "initialWeights": {"path": str(tmp_path)}, "freeze": ["1.*", "4.*"]}
    result = train(spec(model, learningRate=0.02, epochs=10), ranks)
    assert result.extras.initial_tensors == 6
    assert result.metrics["accuracy"] > 0.8
