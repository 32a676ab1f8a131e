"""spec of a TrainingJob: what a user asks for.

Descriptions are what `kubectl explain` prints; the message of a rule says what to change.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loadstar.api.dataset import DatasetSpec
from loadstar.api.model import ModelSpec
from loadstar.api.schema import Rule, Seed, Strict, immutable
from loadstar.api.trainer import TrainerSpec, processes_per_node

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Policy = Literal["predictive", "feedback", "leastLoaded", "roundRobin"]
Product = Annotated[str, Field(min_length=1, max_length=63)]

DEFAULT_ALPHA = 0.1
_LABEL_VALUE = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"


def _different(products: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(products)) < len(products):
        raise ValueError("names a product twice: remove one of them")
    return products


Products = Annotated[tuple[Product, ...], Field(min_length=1, max_length=16), AfterValidator(_different)]


class TrainingSpec(Strict):
    """How the network is trained."""

    epochs: int = Field(10, ge=1, le=100_000, description="Passes over the training rows.")
    batch_size: int = Field(
        32,
        ge=1,
        le=1_048_576,
        description="Rows per optimizer step, over all processes together. It is the same batch on one node or on "
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

    RULES = (
        Rule(
            "!has(self.momentum) || self.optimizer == 'sgd'",
            lambda t: t.momentum is None or t.optimizer == "sgd",
            "momentum only applies to optimizer sgd: remove it or set training.optimizer to sgd",
            ".momentum",
        ),
    )


class SchedulingSpec(Strict):
    """Where and in which way the job is placed."""

    policy: Policy = Field(
        "predictive",
        description="How nodes are ranked. predictive: by the load forecast for the horizon, "
        "loads just decided included. feedback: by load + alpha × its last change. leastLoaded: by the load now. "
        "roundRobin: in turn.",
    )
    alpha: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Weight of the last change of load; above 0 expects a rise to go on. Only for policy "
        f"feedback, where it is {DEFAULT_ALPHA} if left out.",
    )
    horizon_seconds: int = Field(
        300, ge=30, le=900, description="How far ahead, in seconds, the load is forecast for the ranking."
    )
    max_load: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Nodes whose forecast load is above this share are not used; the job waits "
        "instead. Left out, no node is refused for its load.",
    )
    gpu_products: Products | None = Field(
        None,
        description="Only nodes whose label nvidia.com/gpu.product is one of these are used. Left out, any node is.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

    RULES = (
        Rule(
            "!has(self.alpha) || self.policy == 'feedback'",
            lambda s: s.alpha is None or s.policy == "feedback",
            "alpha only applies to policy feedback: remove it or set scheduling.policy to feedback",
            ".alpha",
        ),
        Rule(
            f"!has(self.gpuProducts) || self.gpuProducts.all(product, product.matches('^{_LABEL_VALUE}$'))",
            lambda s: all(re.fullmatch(_LABEL_VALUE, product) for product in s.gpu_products or ()),
            "a product has letters, digits and -_. only: write it as the label nvidia.com/gpu.product does",
            ".gpuProducts",
        ),
    )

    @property
    def effective_alpha(self) -> float:
        """alpha with its default filled in."""
        return DEFAULT_ALPHA if self.alpha is None else self.alpha


class RunPolicy(Strict):
    """When a job is given up, and when it is cleaned away."""

    backoff_limit: int = Field(
        3,
        ge=0,
        le=1000,
        description="Failed attempts that are followed by another one. An attempt lost with its node doesn't count.",
        json_schema_extra=immutable("runPolicy.backoffLimit"),
    )
    active_deadline_seconds: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="Seconds from the first start after which the job is ended as failed. Left out, there is no limit. "
        "May be changed while the job exists.",
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="Seconds after its end when the job is deleted, with its pods. Left out, it is kept. "
        "May be changed while the job exists.",
    )


class TrainingJobSpec(Strict):
    """What to train, on what, and where."""

    model: ModelSpec = Field(description="The network to train.", json_schema_extra=immutable("model"))
    dataset: DatasetSpec = Field(
        description="The data to train on, and how it is prepared.", json_schema_extra=immutable("dataset")
    )
    training: TrainingSpec = Field(
        TrainingSpec(), description="How the network is trained.", json_schema_extra=immutable("training")
    )
    trainer: TrainerSpec = Field(
        TrainerSpec(),
        description="The pods that train: how many, with what, from which image.",
        json_schema_extra=immutable("trainer"),
    )
    scheduling: SchedulingSpec = Field(
        SchedulingSpec(),
        description="How the nodes for the pods are chosen.",
        json_schema_extra=immutable("scheduling"),
    )
    run_policy: RunPolicy = Field(
        RunPolicy(), description="When the job is tried again, given up, and cleaned away."
    )
    suspend: bool = Field(
        False,
        description="True ends the job's pods and gives their GPUs back, or keeps a new job from starting; "
        "false lets it go on with a new attempt. May be changed while the job exists.",
    )

    RULES = (
        Rule(
            "self.model.type != 'cnn' || self.dataset.builtin == 'digits'",
            lambda s: s.model.type != "cnn" or s.dataset.builtin == "digits",
            "model.type cnn needs images and dataset.builtin names a table: set dataset.builtin to digits, "
            "or model.type to mlp or linear",
            ".model.type",
        ),
        Rule(
            f"self.training.batchSize >= self.trainer.numNodes * {processes_per_node('self.trainer')}",
            lambda s: s.training.batch_size >= s.trainer.world_size,
            "training.batchSize is the batch of all processes together and needs at least one row for each: "
            "raise it, or lower trainer.numNodes or trainer.numProcPerNode",
            ".training.batchSize",
        ),
    )
