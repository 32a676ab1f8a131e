"""spec.trainer.tolerations of a TrainingJob: the taints that don't keep its pods away, in Kubernetes' own shape."""

from typing import Annotated, Final, Literal

from pydantic import Field

from loadstar.api.schema import Rule, Strict
from loadstar.core import taints as core

LABEL_KEY: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
"""The key of a label or taint: an optional prefix that is a DNS name, and a name."""
LONGEST_LABEL_KEY: Final = 317
LabelKey = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL_KEY, pattern=LABEL_KEY)]
LABEL_VALUE: Final = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
TaintValue = Annotated[str, Field(max_length=63, pattern=f"^({LABEL_VALUE})?$")]


class TolerationSpec(Strict):
    """One kind of taint that does not keep the pods away from a node."""

    key: LabelKey | None = Field(
        None,
        description="Key of the taint. Left out, with operator Exists, every taint is tolerated.",
    )
    operator: Literal["Equal", "Exists"] = Field(
        "Equal", description="Equal: the taint's value must be the same. Exists: any value will do."
    )
    value: TaintValue | None = Field(None, description="Value of the taint, for operator Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint. Left out, every effect is tolerated."
    )
    toleration_seconds: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="For effect NoExecute: seconds after which the pods are evicted all the same. Left out, they stay.",
    )

    RULES = (
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            lambda t: t.key is not None or t.operator == "Exists",
            "without a key every taint is meant: give the key, or set operator to Exists to tolerate all taints",
            ".operator",
        ),
        Rule(
            "!has(self.value) || self.value == '' || self.operator == 'Equal'",
            lambda t: not t.value or t.operator == "Equal",
            "operator Exists holds for every value: remove value or set operator to Equal",
            ".value",
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            lambda t: t.toleration_seconds is None or t.effect == "NoExecute",
            "only effect NoExecute evicts pods: remove tolerationSeconds or set effect to NoExecute",
            ".tolerationSeconds",
        ),
    )

    def core(self) -> core.Toleration:
        """As decisions see it."""
        value = None if self.operator == "Exists" else self.value or ""
        return core.Toleration(self.key, value, core.Effect(self.effect) if self.effect else None)
