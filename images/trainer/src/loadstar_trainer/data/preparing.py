"""From a dataset's fields to data that are ready to train on."""

from dataclasses import dataclass

import numpy as np

from loadstar_trainer.data import builtin, formats, places, scaling, splitting
from loadstar_trainer.data.blocks import BLOCK_BYTES, Reader
from loadstar_trainer.data.fingerprint import fingerprint
from loadstar_trainer.data.samples import Array, Column, Data, Samples
from loadstar_trainer.data.survey import Survey
from loadstar_trainer.spec import Dataset
from loadstar_trainer.spec.tasks import CLASSIFICATION


@dataclass(frozen=True)
class Whole:
    """All samples of a data set in memory, not yet split or scaled."""

    samples: Samples
    task: str
    labels: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    own_test: int | None = None

    @property
    def groups(self) -> Array:
        """What the split keeps the shares of: classes, or nothing."""
        return self.samples.targets if self.task == CLASSIFICATION else np.zeros(len(self.samples), np.uint8)

    def part(self, rows: splitting.Rows, scale: str) -> Data:
        training = self.samples.take(rows.training)
        scaled = scaling.fit(training.features, scale).apply
        classes = len(self.labels)
        return Data(
            scaled(training),
            scaled(self.samples.take(rows.validation)),
            scaled(self.samples.take(rows.test)),
            self.task,
            classes,
            fingerprint(self.samples),
            self.labels,
            self.columns,
            tuple(np.bincount(training.targets, minlength=classes).tolist()) if classes else (),
        )


def prepare(dataset: Dataset, context_length: int | None = None) -> Data:
    """Same dataset fields and files, same Data, to the last bit, in every rank and on every machine.

    `context_length`, in bytes, is the length of a sample of text. Refused where the data cannot be trained on.
    """
    whole = _whole(dataset, context_length)
    return whole.part(splitting.split(whole.groups, dataset.split, whole.labels), dataset.scale)


def _whole(dataset: Dataset, context_length: int | None) -> Whole:
    if dataset.builtin:
        return _builtin(dataset)
    place = places.find(dataset)
    reader = formats.reader(place, formats.detect(place, dataset), dataset, BLOCK_BYTES)
    return _read(reader, dataset, context_length if dataset.text_column is not None else None)


def _builtin(dataset: Dataset) -> Whole:
    if dataset.synthetic:
        samples = builtin.draw(dataset.synthetic)
        labels: tuple[str, ...] = ()
    else:
        samples = builtin.load(dataset.builtin)
        labels = tuple(str(number) for number in range(int(samples.targets.max()) + 1))
    assert dataset.task is not None
    return Whole(samples, dataset.task, labels, _numbered(samples))


def _numbered(samples: Samples) -> tuple[Column, ...]:
    width = samples.shape[0] if len(samples.shape) == 1 else 0
    return tuple(Column(str(number), number, number + 1) for number in range(width))


def _read(reader: Reader, dataset: Dataset, text_length: int | None) -> Whole:
    survey = Survey(reader, dataset, text_length)
    blocks = []
    for block in reader.blocks():
        survey.add(block)
        blocks.append(block)
    encoding, _ = survey.finish()
    samples = Samples.join([encoding.encode(block) for block in blocks])
    return Whole(
        samples,
        encoding.target.task,
        encoding.target.labels,
        encoding.columns(reader.names),
        reader.own_test,
    )
