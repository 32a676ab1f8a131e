"""spec.scheduling and spec.runPolicy of a TrainingJob: where it runs, and how often it is tried."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loadstar.api.schema import Rule, Strict, different, immutable

Policy = Literal["predictive", "feedback", "leastLoaded", "roundRobin"]
Product = Annotated[str, Field(min_length=1, max_length=63)]
Products = Annotated[tuple[Product, ...], Field(min_length=1, max_length=16), AfterValidator(different)]

DEFAULT_ALPHA = 0.1
_LABEL_VALUE = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"


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
