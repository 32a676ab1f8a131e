"""spec.checkpoint and spec.export of a TrainingJob: what is kept of the network, and where."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loadstar.api.locations import Uri, location_rules
from loadstar.api.schema import Rule, Strict, different

ExportFormat = Literal["safetensors", "torchExport", "onnx"]
ExportFormats = Annotated[
    tuple[ExportFormat, ...], Field(min_length=1, max_length=3), AfterValidator(different)
]


class CheckpointSpec(Strict):
    """Where and how often the state of training is written, so that another attempt can go on from there."""

    uri: Uri = Field(
        description="pvc://CLAIM/path: a PersistentVolumeClaim of the job's namespace that all its pods can mount, and "
        "a folder on it. Each job writes to a folder of its own name there."
    )
    every_epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Epochs from one checkpoint to the next. At most one of everyEpochs, everySteps and everySeconds; "
        "1 epoch if none is given.",
    )
    every_steps: int | None = Field(
        None, ge=1, le=1_000_000_000, description="Optimizer steps from one checkpoint to the next."
    )
    every_seconds: int | None = Field(
        None, ge=1, le=86_400, description="Seconds from one checkpoint to the next."
    )
    keep: int = Field(2, ge=1, le=1000, description="Newest checkpoints that are kept, besides the best one.")
    resume: Literal["auto", "never"] = Field(
        "auto",
        description="auto: an attempt goes on from the newest checkpoint of the job that is whole. never: it starts "
        "from the beginning.",
    )

    RULES = (
        *location_rules("checkpoint", ("pvc",)),
        Rule(
            "[has(self.everyEpochs), has(self.everySteps), has(self.everySeconds)].filter(given, given).size() <= 1",
            lambda c: (
                sum(every is not None for every in (c.every_epochs, c.every_steps, c.every_seconds)) <= 1
            ),
            "checkpoints follow one clock: give one of everyEpochs, everySteps and everySeconds",
            ".everyEpochs",
        ),
    )


class ExportSpec(Strict):
    """The trained network as files that other programs read."""

    uri: Uri | None = Field(
        None,
        description="pvc://CLAIM/path: a PersistentVolumeClaim of the job's namespace and a folder on it, as for "
        "checkpoint.uri, which is used if left out. Each job writes to a folder of its own name there.",
    )
    formats: ExportFormats = Field(
        ("safetensors",),
        description="safetensors: the weights. torchExport: the network as torch.export writes it. onnx: the network "
        "for ONNX runtimes.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    quantize: Literal["int8"] | None = Field(
        None,
        description="int8: also write the network with 8-bit weights, and its accuracy into the result. Left out, it "
        "is not written.",
    )

    RULES = location_rules("export", ("pvc",))
