"""status.result of a TrainingJob: what the finished job achieved. The trainer's final record has the same parts."""

from typing import Annotated

from pydantic import AfterValidator, Field

from loadstar.api.schema import DecimalString, MetricName, Whole, Wire, atomic
from loadstar.api.text import one_line

MOST_METRICS = 256
MOST_CLASSES = 100
MOST_COLUMNS = 1024
LARGEST_COUNT = 2**53
"""Whole numbers beyond this don't survive every JSON client."""

Count = Annotated[Whole, Field(ge=0, le=LARGEST_COUNT)]
Digest = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9:+/=_-]*$")]
Path = Annotated[str, Field(max_length=2048), AfterValidator(one_line)]
Row = Annotated[tuple[Count, ...], Field(max_length=MOST_CLASSES, json_schema_extra=atomic())]
Matrix = Annotated[tuple[Row, ...], Field(max_length=MOST_CLASSES)]


class Metric(Wire):
    """One number of the result."""

    name: MetricName = Field(description="Name of the metric, such as accuracy or loss.")
    value: DecimalString = Field(description="Its value as decimal text, exactly as the trainer measured it.")


class Importance(Wire):
    """How much one column matters."""

    name: Annotated[str, Field(max_length=256), AfterValidator(one_line)] = Field(
        description="Name of the column."
    )
    value: DecimalString = Field(
        description="How much worse the result gets when the column's values are shuffled among the rows."
    )


class SavedCheckpoint(Wire):
    """The newest checkpoint of the run."""

    path: Path = Field(description="Its folder, as the pods see it.")
    digest: Digest = Field(description="SHA-256 of its manifest, which holds those of its files.")
    epoch: Count = Field(description="Epochs completed in it.")
    step: Count = Field(description="Optimizer steps completed in it.")


class ExportedModel(Wire):
    """The trained network as files."""

    path: Path = Field(description="Its folder, as the pods see it.")
    digest: Digest = Field(description="SHA-256 of its manifest, which holds those of its files.")
    formats: Annotated[
        tuple[Annotated[str, Field(max_length=32), AfterValidator(one_line)], ...], Field(max_length=8)
    ] = Field(description="What it was written as.", json_schema_extra=atomic())


class Resumption(Wire):
    """The checkpoint that the last attempt went on from."""

    attempt: Count = Field(description="Number of the attempt that wrote it.")
    step: Count = Field(description="Optimizer steps completed in it.")
    world_size: Count = Field(description="Processes that trained together when it was written.")


class Quantized(Wire):
    """The exported network with 8-bit weights."""

    accuracy: DecimalString = Field(
        description="Share of test rows that it classifies rightly; the network's own is in metrics."
    )


class CrossValidated(Wire):
    """The folds that the metrics are means over."""

    folds: Count = Field(description="Number of folds.")


class Inherited(Wire):
    """The weights that training started from."""

    tensors: Count = Field(description="Tensors of equal name and shape that were taken over.")


class Result(Wire):
    """What the finished job achieved, as its rank 0 recorded it."""

    metrics: Annotated[tuple[Metric, ...], Field(max_length=MOST_METRICS)] = Field(
        (),
        description="Metrics on the test rows, or those that one's own program told.",
        json_schema_extra=atomic(),
    )
    world_size: Count | None = Field(None, description="Processes that trained together.")
    seed: Count | None = Field(None, description="The seed that was used.")
    data_hash: Digest | None = Field(
        None, description="Hash of the data, to tell whether two results compare."
    )
    epochs: Count | None = Field(None, description="Epochs completed.")
    duration_seconds: DecimalString | None = Field(
        None, description="Seconds spent in training and evaluation."
    )
    confusion_matrix: Matrix | None = Field(
        None,
        description="Test rows by their class (rows) and the class predicted (columns), of at most 100 classes.",
        json_schema_extra=atomic(),
    )
    importance: Annotated[tuple[Importance, ...], Field(max_length=MOST_COLUMNS)] | None = Field(
        None,
        description="What evaluation.featureImportance measured, by column.",
        json_schema_extra=atomic(),
    )
    checkpoint: SavedCheckpoint | None = Field(None, description="The newest checkpoint of the run.")
    model: ExportedModel | None = Field(None, description="The trained network that was exported.")
    resumed_from: Resumption | None = Field(
        None, description="The checkpoint that the last attempt went on from; absent if it began anew."
    )
    quantized: Quantized | None = Field(
        None, description="The exported network with 8-bit weights, if that was asked for."
    )
    cross_validation: CrossValidated | None = Field(
        None, description="The folds that the metrics are means over, if that was asked for."
    )
    initial_weights: Inherited | None = Field(
        None, description="What was taken over of model.initialWeights, if that was given."
    )
