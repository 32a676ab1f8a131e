"""The example manifests: one TrainingJob each, named after its file, with what it needs beside it."""

from pathlib import Path
from typing import Any

import yaml

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "manifests" / "examples").glob("*.yaml"))


def documents(example: Path) -> list[dict[str, Any]]:
    """All objects of an example, in order."""
    return list(yaml.safe_load_all(example.read_text()))


def named(name: str) -> Path:
    """The example whose job has this name."""
    return next(example for example in EXAMPLES if example.stem == name)


def job_of(example: Path) -> dict[str, Any]:
    """The example's TrainingJob."""
    (job,) = (document for document in documents(example) if document["kind"] == "TrainingJob")
    return job


def is_complete(example: Path) -> bool:
    """Whether it runs as it is: a claim has to be filled first by whoever makes it."""
    return all(document["kind"] != "PersistentVolumeClaim" for document in documents(example))
