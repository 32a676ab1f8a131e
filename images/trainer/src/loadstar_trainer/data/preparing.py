"""From a dataset's fields to data that are ready to train on."""

from collections.abc import Iterator

import numpy as np

from loadstar_trainer.data import builtin, formats, limits, places, splitting, text
from loadstar_trainer.data.blocks import BLOCK_BYTES, Reader
from loadstar_trainer.data.places import Place
from loadstar_trainer.data.refusals import refusal
from loadstar_trainer.data.samples import Column, Data, Samples
from loadstar_trainer.data.sources import OnFile, Source, Whole
from loadstar_trainer.data.streams import Stream
from loadstar_trainer.data.survey import Survey
from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Dataset
from loadstar_trainer.spec.tasks import LANGUAGE

CONTEXT_LENGTH = 128  # bytes, where no model says how many it takes


def prepare(dataset: Dataset, context_length: int | None = None) -> Data:
    """Same dataset fields and files, same Data, to the last bit, in every rank and on every machine.

    `context_length` is the length of a sample of text, in bytes. Refused where the data cannot be trained on.
    """
    place = None if dataset.builtin else places.find(dataset)
    if place is not None and formats.detect(place, dataset) == "text":
        return _language(place, dataset, context_length or CONTEXT_LENGTH)
    source = _source(place, dataset, context_length)
    return source.part(source.split(dataset.split), dataset.scale)


def folds(dataset: Dataset, count: int, context_length: int | None = None) -> Iterator[Data]:
    """The data once for each fold of a cross-validation: the fold tests, the rest trains and validates."""
    place = None if dataset.builtin else places.find(dataset)
    if place is not None and formats.detect(place, dataset) == "text":
        raise Refused(
            "InvalidDataset",
            "evaluation.crossValidation does not go with a text, whose parts are contiguous; remove it.",
        )
    source = _source(place, dataset, context_length)
    for rows in splitting.folds(source.groups, count, dataset.split):
        yield source.part(rows, dataset.scale)


def _source(place: Place | None, dataset: Dataset, context_length: int | None) -> Source:
    """All samples, not yet split."""
    if place is None:
        return _builtin(dataset)
    name = formats.detect(place, dataset)
    limit = limits.stream_above()
    reader = formats.reader(place, name, dataset, min(BLOCK_BYTES, max(1, limit // 64)))
    length = (context_length or CONTEXT_LENGTH) if dataset.text_column is not None else None
    survey = Survey(reader, dataset, length)
    if size(place) <= limit:
        return _whole(reader, survey)
    if not reader.seekable:
        raise refusal(
            str(place),
            f"the data have {size(place)} bytes, more than the {limit} that are kept in memory here, and in this form "
            "they cannot be read piece by piece; unpack them, save them as npy in row order, or raise "
            "trainer.resourcesPerNode.memory",
        )
    return _on_file(reader, survey)


def _builtin(dataset: Dataset) -> Whole:
    labels: tuple[str, ...] = ()
    if dataset.synthetic:
        samples = builtin.draw(dataset.synthetic)
    else:
        samples = builtin.load(dataset.builtin)
        labels = tuple(str(number) for number in range(int(samples.targets.max()) + 1))
    assert dataset.task is not None
    return Whole(samples, dataset.task, labels, _numbered(samples))


def _numbered(samples: Samples) -> tuple[Column, ...]:
    width = samples.shape[0] if len(samples.shape) == 1 else 0
    return tuple(Column(str(number), number, number + 1) for number in range(width))


def _whole(reader: Reader, survey: Survey) -> Whole:
    blocks = []
    for block in reader.blocks():
        survey.add(block)
        blocks.append(block)
    encoding, _ = survey.finish()
    samples = Samples.join([encoding.encode(block) for block in blocks])
    columns = encoding.columns(reader.names)
    return Whole(samples, encoding.target.task, encoding.target.labels, columns, reader.own_test)


def _on_file(reader: Reader, survey: Survey) -> OnFile:
    for block in reader.blocks():
        survey.add(block)
    encoding, targets = survey.finish()
    return OnFile(reader, encoding, survey.sizes, targets)


def _language(place: Place, dataset: Dataset, length: int) -> Data:
    limit = limits.stream_above()
    parts = text.stretches(place, dataset.split, length, min(BLOCK_BYTES, max(1, limit // 64)))
    streamed = place.size() > limit
    training, validation, test = (
        Stream(part, np.arange(len(part)), None) if streamed else part.whole() for part in parts
    )
    return Data(training, validation, test, LANGUAGE, text.BYTES, text.fingerprint(place))


def size(place: Place) -> int:
    """Bytes of a file, or of all that a folder holds."""
    return sum(size(child) for child in place.children()) if place.is_folder else place.size()
