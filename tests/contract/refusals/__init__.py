"""Every rule of spec with a value that keeps it and one that breaks it: judged by the models and by the API server."""

from tests.contract.refusals.case import IRIS, Case, merged
from tests.contract.refusals.dataset import DATASET
from tests.contract.refusals.evaluation import EVALUATION
from tests.contract.refusals.model import MODEL
from tests.contract.refusals.programs import PROGRAMS
from tests.contract.refusals.scheduling import RUN, SCHEDULING
from tests.contract.refusals.storage import STORAGE
from tests.contract.refusals.trainer import TRAINER
from tests.contract.refusals.training import TRAINING

CASES = (*MODEL, *DATASET, *TRAINING, *EVALUATION, *STORAGE, *PROGRAMS, *TRAINER, *SCHEDULING, *RUN)

__all__ = ["CASES", "DATASET", "EVALUATION", "IRIS", "MODEL", "STORAGE", "TRAINING", "Case", "merged"]
