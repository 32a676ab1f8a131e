"""Where data is, as users write it (a URI), and where a pod finds it (a path below one of its mounts)."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from loadstar.api.schema import Rule

DATASET_MOUNT: Final = "/mnt/dataset"
CHECKPOINT_MOUNT: Final = "/mnt/checkpoint"
EXPORT_MOUNT: Final = "/mnt/export"
WEIGHTS_MOUNT: Final = "/mnt/initial-weights"

Scheme = Literal["pvc", "configmap", "s3", "file"]
Uri = Annotated[str, Field(min_length=1, max_length=1024)]

_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_REST = r"[^\x00-\x1f\x7f]*"
_WRITTEN: Final[dict[str, str]] = {
    "pvc": rf"pvc://{_NAME}(/{_REST})?",
    "configmap": rf"configmap://{_NAME}/[-._a-zA-Z0-9]+",
    "s3": rf"s3://{_NAME}/{_REST}",
    "file": rf"file:///{_REST}",
}
_SHOWN: Final[dict[str, str]] = {
    "pvc": "pvc://CLAIM/path",
    "configmap": "configmap://NAME/key",
    "s3": "s3://BUCKET/key",
    "file": "file:///path",
}
_UPWARD = r"(^|/)\.\.(/|$)"


@dataclass(frozen=True, slots=True)
class Location:
    """A URI in its parts: `name` is the claim, ConfigMap or bucket (empty for file), `path` has no slash first."""

    scheme: Scheme
    name: str
    path: str

    def below(self, mount: str) -> str:
        """Where it is in a pod that has the claim or ConfigMap mounted at `mount`; a file is where it says."""
        if self.scheme == "file":
            return f"/{self.path}"
        return f"{mount}/{self.path}".rstrip("/")


def location_of(uri: str) -> Location:
    """The parts of a URI that its rules have let pass."""
    scheme, _, rest = uri.partition("://")
    name, _, path = rest.partition("/")
    return Location(scheme, name, "/".join(part for part in path.split("/") if part))  # type: ignore[arg-type]


def location_rules(field: str, schemes: tuple[Scheme, ...]) -> tuple[Rule, ...]:
    """The rules of an object whose optional or required `uri` names a place by one of these schemes."""
    pattern = f"^({'|'.join(_WRITTEN[scheme] for scheme in schemes)})$"
    shown = [_SHOWN[scheme] for scheme in schemes]
    listed = " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
    return (
        Rule(
            f"!has(self.uri) || self.uri.matches({_quoted(pattern)})",
            lambda owner: owner.uri is None or re.search(pattern, owner.uri) is not None,
            f"{field}.uri does not name a place: write it as {listed}",
            ".uri",
        ),
        Rule(
            f"!has(self.uri) || !self.uri.matches({_quoted(_UPWARD)})",
            lambda owner: owner.uri is None or re.search(_UPWARD, owner.uri) is None,
            f"{field}.uri may not lead upwards: write its path without ..",
            ".uri",
        ),
    )


def _quoted(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\") + "'"
