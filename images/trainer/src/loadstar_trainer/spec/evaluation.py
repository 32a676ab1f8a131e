"""`evaluation`: what is measured, and how."""

from dataclasses import dataclass

from loadstar_trainer.fields import Section
from loadstar_trainer.spec.tasks import ALL_METRICS


@dataclass(frozen=True)
class Evaluation:
    """No metrics: all that fit the task. No folds: no cross-validation. No repeats: no feature importance."""

    metrics: tuple[str, ...] = ()
    folds: int = 0
    importance_repeats: int = 0


def read_evaluation(section: Section) -> Evaluation:
    evaluation = Evaluation(
        section.choices("metrics", ALL_METRICS, ()),
        _counted(section, "crossValidation", "folds", 2, 20, 5),
        _counted(section, "featureImportance", "repeats", 1, 100, 5),
    )
    section.close()
    return evaluation


def _counted(section: Section, name: str, field: str, low: int, high: int, default: int) -> int:
    """The one number of an optional object; 0 where the object is absent."""
    if name not in section:
        return 0
    counted = section.section(name)
    count = counted.whole(field, low, high, default)
    counted.close()
    return count
