"""What makes a checkpoint one of a certain training."""

import dataclasses
import hashlib
import json

from loadstar_trainer.spec import Spec


def spec_hash(spec: Spec, data_hash: str) -> str:
    """Over all that decides the course of training: a checkpoint of another hash is of no use here."""
    parts = [dataclasses.asdict(part) for part in (spec.model, spec.dataset, spec.training)]
    document = json.dumps([*parts, spec.evaluation.folds, data_hash], sort_keys=True)
    return f"sha256:{hashlib.sha256(document.encode()).hexdigest()}"
