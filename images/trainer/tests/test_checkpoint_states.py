"""States of models and optimizers as plain tensors, sharded ones too; and when checkpoints are due by the clock."""

import dataclasses

import pytest
import torch
from torch import nn
from worlds import with_gang

from loadstar_trainer.checkpoint import saving
from loadstar_trainer.checkpoint import tensors as states
from loadstar_trainer.checkpoint.manifest import Unusable
from loadstar_trainer.checkpoint.saving import Clock
from loadstar_trainer.gang import Gang


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))


def stepped(model: nn.Module) -> torch.optim.Optimizer:
    """After one step with gradients that only depend on the weights."""
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    for parameter in model.parameters():
        parameter.grad = parameter.detach().clone()
    optimizer.step()
    return optimizer


def state() -> tuple[states.Tensors, states.Tensors, list[dict[str, float]]]:
    model = network()
    moments, groups = states.of_optimizer(model, stepped(model))
    return states.of_model(model), moments, groups


def equal(first: states.Tensors, second: states.Tensors) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_fresh_model_and_optimizer_become_the_saved_ones() -> None:
    weights, moments, groups = state()
    groups[0]["lr"] = 0.025
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    states.require_model(model, weights)
    states.require_optimizer(model, optimizer, moments, groups)
    states.into_model(model, weights)
    states.into_optimizer(model, optimizer, moments, groups)
    assert equal(states.of_model(model), weights)
    assert equal(states.of_optimizer(model, optimizer)[0], moments)
    assert optimizer.param_groups[0]["lr"] == 0.025
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


@pytest.mark.filterwarnings("ignore:DTensor random operators")  # nothing here draws any
def test_a_sharded_model_is_saved_whole_and_takes_its_part_back() -> None:
    expected_weights, expected_moments, _ = state()

    def saved_and_restored(gang: Gang) -> list[bool]:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        model = network()
        fully_shard(model, mesh=init_device_mesh("cpu", (gang.world_size,)))
        optimizer = stepped(model)
        weights = states.of_model(model)
        moments, groups = states.of_optimizer(model, optimizer)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        optimizer.state.clear()
        states.into_model(model, weights)
        states.into_optimizer(model, optimizer, moments, groups)
        return [
            equal(weights, expected_weights),
            equal(moments, expected_moments),
            equal(states.of_model(model), weights),
            equal(states.of_optimizer(model, optimizer)[0], moments),
        ]

    assert with_gang(2, saved_and_restored) == [[True] * 4] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"0.weight": torch.zeros(5, 4)},
        {"0.weight": torch.zeros(5, 3, dtype=torch.int8)},
        {"3.weight": torch.zeros(1)},
    ],
    ids=["shape", "type", "name"],
)
def test_another_model_is_told_by_name_shape_or_type(change: states.Tensors) -> None:
    weights, _, _ = state()
    with pytest.raises(Unusable, match=f"its model is another one: {next(iter(change))}"):
        states.require_model(network(), weights | change)


def test_moments_of_another_model_are_refused() -> None:
    _, moments, groups = state()
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(Unusable, match=r"0\.weight/exp_avg is of no parameter"):
        states.require_optimizer(model, optimizer, moments | {"0.weight/exp_avg": torch.zeros(4)}, groups)
    with pytest.raises(Unusable, match="other parameter groups"):
        states.require_optimizer(model, optimizer, moments, [*groups, *groups])
    with pytest.raises(Unusable, match="something else than numbers"):
        states.require_optimizer(model, optimizer, moments, [{"lr": "0.1"}])


@dataclasses.dataclass
class Time:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


def test_the_clock_of_rank_0_decides_for_all_ranks() -> None:
    def due_at(gang: Gang) -> list[int]:
        time = Time()
        vars(saving)["time"] = time
        clock = Clock(60, gang)
        found = []
        for update in range(1, 2001):
            time.now += 0.1 if gang.rank == 0 else 0.3
            if clock.is_due():
                found.append(update)
                clock.restart()
        return found

    first, second = with_gang(2, due_at)
    assert first == second
    assert first == pytest.approx([600, 1200, 1800], abs=20)


def test_without_an_interval_the_clock_is_never_due() -> None:
    [due] = with_gang(1, lambda gang: Clock(0, gang).is_due())
    assert not due
