"""status.trainerStatus and status.curves of a TrainingJob: what its program reports while it runs.

Written with field owner `loadstar-progress` alone. trainerStatus has the shape of Kubeflow Trainer's, word for word, so
that its clients read and write it.
"""

from typing import Annotated

from pydantic import Field

from loadstar.api.schema import DecimalString, Time, Whole, Wire, atomic

MOST_REPORTED = 256
LONGEST_REPORTED_NAME = 64
LONGEST_REPORTED_VALUE = 64

ReportedName = Annotated[str, Field(min_length=1, max_length=LONGEST_REPORTED_NAME)]


class ReportedMetric(Wire):
    """One number that the program reported."""

    name: ReportedName = Field(description="Name of the metric.")
    value: Annotated[str, Field(min_length=1, max_length=LONGEST_REPORTED_VALUE)] = Field(
        description="Its newest value as decimal text."
    )


class TrainerStatus(Wire):
    """What the program of the current attempt reported last."""

    progress_percentage: Annotated[Whole, Field(ge=0, le=100)] | None = Field(
        None, description="Share of the work that is done, in percent."
    )
    estimated_remaining_seconds: Annotated[Whole, Field(ge=0, le=2**53)] | None = Field(
        None, description="Seconds that the rest will take, as the program estimates them."
    )
    metrics: Annotated[tuple[ReportedMetric, ...], Field(max_length=MOST_REPORTED)] = Field(
        (), description="The newest value of each metric.", json_schema_extra=atomic()
    )
    last_updated_time: Time = Field(description="When the program reported it.")


class Curve(Wire):
    """One metric over the current attempt."""

    name: ReportedName = Field(description="Name of the metric.")
    latest: DecimalString = Field(description="Its newest value.")
    best: DecimalString | None = Field(
        None, description="Its largest or smallest value, whichever is better for a metric of this name."
    )
    min: DecimalString = Field(description="Its smallest value.")
    max: DecimalString = Field(description="Its largest value.")


class Curves(Wire):
    """The course of the reported metrics over the current attempt."""

    attempt: Annotated[Whole, Field(ge=0, le=2**53)] = Field(
        description="The attempt that trainerStatus and this are of."
    )
    config_map: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        None,
        description="ConfigMap that holds the points, as JSON under the key curves.json; absent before the first ones "
        "are saved.",
    )
    points: Annotated[Whole, Field(ge=0, le=2**53)] | None = Field(
        None, description="Points of each metric in it, at most."
    )
    metrics: Annotated[tuple[Curve, ...], Field(max_length=MOST_REPORTED)] = Field(
        (), description="Each metric in short.", json_schema_extra=atomic()
    )
