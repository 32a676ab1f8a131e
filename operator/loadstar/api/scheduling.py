"""spec.scheduling and spec.runPolicy of a TrainingJob: where it runs, and how often it is tried."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loadstar.api.resources import Memory
from loadstar.api.schema import Rule, Strict, different, immutable
from loadstar.api.tolerations import LABEL_VALUE, LabelKey

Policy = Literal["predictive", "feedback", "leastLoaded", "roundRobin"]
Product = Annotated[str, Field(min_length=1, max_length=63)]
Products = Annotated[tuple[Product, ...], Field(min_length=1, max_length=16), AfterValidator(different)]

QueueName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
ClassName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]

DEFAULT_ALPHA = 0.1


class TopologySpec(Strict):
    """How near to each other the job's nodes are to be."""

    level: LabelKey = Field(
        description="Key of a node label, such as topology.kubernetes.io/zone or nvidia.com/gpu.clique: nodes with the "
        "same value of it are near to each other."
    )
    required: bool = Field(
        False,
        description="True uses nodes of one value only, and waits for them. False prefers few values.",
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
    gpu_memory: Memory | None = Field(
        None,
        description="Memory that each GPU needs to have at least, such as 40Gi; nodes with smaller ones are not used. "
        "It is compared with the label nvidia.com/gpu.memory, for a part of a GPU with its own, such as "
        "nvidia.com/mig-1g.10gb.memory. Left out, any will do.",
    )
    topology: TopologySpec | None = Field(
        None,
        description="How near to each other the nodes are to be. Left out, few nodes are all that counts.",
    )
    queue: QueueName | None = Field(
        None,
        description="Group of jobs that shares the GPUs fairly with other groups, by what each has used lately. Left "
        "out, it is the job's namespace.",
    )
    priority_class_name: ClassName | None = Field(
        None,
        description="PriorityClass of the job and its pods. A job of higher priority goes before others in the queue, "
        "and may end running ones of lower priority, which go on from their last checkpoint. Left out, it is the "
        "cluster's default.",
    )

    RULES = (
        Rule(
            "!has(self.alpha) || self.policy == 'feedback'",
            lambda s: s.alpha is None or s.policy == "feedback",
            "alpha only applies to policy feedback: remove it or set scheduling.policy to feedback",
            ".alpha",
        ),
        Rule(
            f"!has(self.gpuProducts) || self.gpuProducts.all(product, product.matches('^{LABEL_VALUE}$'))",
            lambda s: all(re.fullmatch(LABEL_VALUE, product) for product in s.gpu_products or ()),
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
