"""`training`: how the model is taught."""

from dataclasses import dataclass

from loadstar_trainer.fields import SEEDS, SHARE, Range, Section
from loadstar_trainer.spec.tasks import ALL_LOSSES, ALL_METRICS

POSITIVE = Range(0, 10, low_open=True)
PENALTY = Range(0, 10)
STOPPING_METRICS = ("loss", *(name for name in ALL_METRICS if name != "confusionMatrix"))


@dataclass(frozen=True)
class Schedule:
    """The learning rate over time, after `warmup_epochs` in which it rises in equal steps.

    linear and cosine fall to `min_learning_rate` at the last step; step multiplies by `gamma` every `step_epochs`.
    """

    type: str = "constant"
    warmup_epochs: int = 0
    step_epochs: int = 10
    gamma: float = 0.1
    min_learning_rate: float = 0.0


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs in which the validation metric got no better by more than `min_delta`."""

    metric: str
    patience: int
    min_delta: float


@dataclass(frozen=True)
class Training:
    """`batch_size` counts samples of one step over all ranks together; `gradient_accumulation` batches make one
    update. `loss` None is the task's default."""

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str
    momentum: float
    weight_decay: float
    seed: int
    loss: str | None = None
    l1: float = 0.0
    l2: float = 0.0
    schedule: Schedule = Schedule()
    early_stopping: EarlyStopping | None = None
    class_weights: bool = False
    gradient_accumulation: int = 1
    gradient_clip_norm: float | None = None
    precision: str = "fp32"
    compile: bool = False
    strategy: str = "ddp"


def read_training(section: Section) -> Training:
    optimizer = section.choice("optimizer", ("adam", "sgd", "adamw", "rmsprop"), "adam")
    momentum = 0.0
    if optimizer == "sgd":
        momentum = section.number("momentum", SHARE, 0.0)
    else:
        section.forbid("momentum", "training.optimizer sgd")
    epochs = section.whole("epochs", 1, 100_000, 10)
    rate = section.number("learningRate", POSITIVE, 0.001)
    training = Training(
        epochs,
        section.whole("batchSize", 1, 1_048_576, 32),
        rate,
        optimizer,
        momentum,
        section.number("weightDecay", PENALTY, 0.0),
        section.whole("seed", 0, SEEDS, 0),
        section.choice("loss", ALL_LOSSES, None) if "loss" in section else None,
        section.number("l1", PENALTY, 0.0),
        section.number("l2", PENALTY, 0.0),
        _schedule(section.section("schedule"), epochs, rate),
        _early_stopping(section.section("earlyStopping")) if "earlyStopping" in section else None,
        "classWeights" in section and section.choice("classWeights", ("balanced",), None) == "balanced",
        section.whole("gradientAccumulation", 1, 65536, 1),
        section.number("gradientClipNorm", Range(0, 1e6, low_open=True), 1.0)
        if "gradientClipNorm" in section
        else None,
        section.choice("precision", ("fp32", "bf16", "fp16"), "fp32"),
        section.boolean("compile", False),
        section.choice("strategy", ("ddp", "fsdp"), "ddp"),
    )
    section.close()
    return training


def _schedule(section: Section, epochs: int, rate: float) -> Schedule:
    plain = Schedule()
    kind = section.choice("type", ("constant", "linear", "cosine", "step"), plain.type)
    schedule = Schedule(
        kind,
        section.whole("warmupEpochs", 0, 100_000, plain.warmup_epochs),
        section.whole("stepEpochs", 1, 100_000, plain.step_epochs),
        section.number("gamma", Range(0, 1, low_open=True), plain.gamma),
        section.number("minLearningRate", Range(0, 10), plain.min_learning_rate),
    )
    if kind != "step":
        section.forbid("stepEpochs", "training.schedule.type step", plain.step_epochs)
        section.forbid("gamma", "training.schedule.type step", plain.gamma)
    if kind not in ("linear", "cosine"):
        section.forbid("minLearningRate", "training.schedule.type linear or cosine", plain.min_learning_rate)
    if schedule.warmup_epochs >= epochs and schedule.warmup_epochs:
        section.problems.append(
            f"{section.path}.warmupEpochs {schedule.warmup_epochs} leaves nothing of {epochs} epochs; lower it"
        )
    if schedule.min_learning_rate > rate:
        section.problems.append(
            f"{section.path}.minLearningRate {schedule.min_learning_rate:g} is above training.learningRate {rate:g}; "
            "lower it"
        )
    section.close()
    return schedule


def _early_stopping(section: Section) -> EarlyStopping:
    stopping = EarlyStopping(
        section.choice("metric", STOPPING_METRICS, "loss"),
        section.whole("patience", 1, 100_000, 5),
        section.number("minDelta", Range(0, 1e6), 0.0),
    )
    section.close()
    return stopping
