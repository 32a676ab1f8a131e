"""spec.training of a TrainingJob: how the weights are found."""

from typing import Literal

from pydantic import Field

from loadstar.api.schema import Rule, Seed, Strict, only_with

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Loss = Literal["crossEntropy", "bce", "mse", "mae", "huber"]
Watched = Literal["loss", "accuracy", "precision", "recall", "f1", "auroc", "mse", "mae", "r2", "perplexity"]

CLASS_LOSSES = ("crossEntropy", "bce")
DEFAULT_BATCH_SIZE = 32


class ScheduleSpec(Strict):
    """How the learning rate changes over the epochs."""

    type: Literal["constant", "linear", "cosine", "step"] = Field(
        "constant",
        description="constant: learningRate throughout. linear and cosine: down to minLearningRate at the last step, "
        "in a line or half a cosine. step: times gamma every stepEpochs epochs.",
    )
    warmup_epochs: int = Field(
        0,
        ge=0,
        le=100_000,
        description="First epochs, in which the learning rate rises in a line from 0 to learningRate.",
    )
    step_epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Epochs from one step to the next. Only for type step, where it is 10 if left out.",
    )
    gamma: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Factor of each step. Only for type step, where it is 0.1 if left out.",
    )
    min_learning_rate: float | None = Field(
        None,
        ge=0,
        le=10,
        description="Learning rate at the end. Only for types linear and cosine, where it is 0 if left out.",
    )

    RULES = (
        *(
            only_with(
                field,
                "self.type == 'step'",
                lambda s: s.type == "step",
                f"{field} only applies to schedule.type step: remove it or set schedule.type to step",
            )
            for field in ("stepEpochs", "gamma")
        ),
        only_with(
            "minLearningRate",
            "self.type in ['linear', 'cosine']",
            lambda s: s.type in {"linear", "cosine"},
            "minLearningRate only applies to schedule.type linear and cosine: remove it or set schedule.type to one "
            "of them",
        ),
    )


class EarlyStoppingSpec(Strict):
    """When training ends before its last epoch."""

    metric: Watched = Field(
        "loss", description="Metric of the validation rows that must get better from epoch to epoch."
    )
    patience: int = Field(
        5, ge=1, le=100_000, description="Epochs without a better value after which training ends."
    )
    min_delta: float = Field(
        0.0, ge=0, le=1e6, description="Difference from the best value that counts as better."
    )


class TrainingSpec(Strict):
    """How the network is trained."""

    epochs: int = Field(10, ge=1, le=100_000, description="Passes over the training rows.")
    batch_size: int = Field(
        DEFAULT_BATCH_SIZE,
        ge=1,
        le=1_048_576,
        description="Rows per batch, over all processes together. It is the same batch on one node or on "
        "many; at least one row for each process.",
    )
    learning_rate: float = Field(0.001, gt=0, le=10, description="Step size of the optimizer.")
    optimizer: Optimizer = Field("adam", description="How the weights are changed after each batch.")
    momentum: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Momentum. Only for optimizer sgd, where it is 0 if left out.",
    )
    weight_decay: float = Field(
        0.0, ge=0, le=10, description="Weight decay: L2 penalty; for adamw decoupled from the gradient."
    )
    seed: Seed = Field(0, description="Seed of the initial weights, the shuffles and dropout.")
    loss: Loss | None = Field(
        None,
        description="What is made small. For classes: crossEntropy, or bce (two classes, one output). For numbers: "
        "mse, mae or huber. Left out, it is crossEntropy for classes and text, and mse for numbers.",
    )
    l1: float = Field(0.0, ge=0, le=10, description="Weight of the sum of all weights' sizes in the loss.")
    l2: float = Field(0.0, ge=0, le=10, description="Weight of the sum of all weights' squares in the loss.")
    schedule: ScheduleSpec = Field(
        ScheduleSpec(), description="How the learning rate changes over the epochs."
    )
    early_stopping: EarlyStoppingSpec | None = Field(
        None,
        description="End training when the validation rows stop improving, and keep the best epoch's weights. Left "
        "out, all epochs are trained.",
    )
    class_weights: Literal["balanced"] | None = Field(
        None,
        description="balanced: rare classes weigh as much in the loss as frequent ones. Only for classification. Left "
        "out, each row weighs the same.",
    )
    gradient_accumulation: int = Field(
        1,
        ge=1,
        le=65_536,
        description="Batches whose gradients are put together for one optimizer step: as if batchSize were as many "
        "times larger, with the memory of one batch.",
    )
    gradient_clip_norm: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Largest norm of the gradient over all weights; a larger one is scaled down. Left out, there is "
        "no limit.",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="Numbers that are computed with. bf16 and fp16 are mixed with fp32 where that is needed; fp16 "
        "scales its loss.",
    )
    compile: bool = Field(
        False,
        description="Compile the network before training (torch.compile): a slower start, faster steps.",
    )
    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="How the processes share the work. ddp: each holds the whole network. fsdp: each holds a part, "
        "for networks larger than one GPU's memory.",
    )

    RULES = (
        only_with(
            "momentum",
            "self.optimizer == 'sgd'",
            lambda t: t.optimizer == "sgd",
            "momentum only applies to optimizer sgd: remove it or set training.optimizer to sgd",
        ),
        Rule(
            "self.schedule.warmupEpochs < self.epochs",
            lambda t: t.schedule.warmup_epochs < t.epochs,
            "the warm-up must end before training does: lower schedule.warmupEpochs or raise training.epochs",
            ".schedule.warmupEpochs",
        ),
        Rule(
            "!has(self.schedule.minLearningRate) || self.schedule.minLearningRate <= self.learningRate",
            lambda t: (t.schedule.min_learning_rate or 0) <= t.learning_rate,
            "the learning rate only falls: lower schedule.minLearningRate or raise training.learningRate",
            ".schedule.minLearningRate",
        ),
    )
