"""`checkpoint` and `export`: what is kept, and where."""

from dataclasses import dataclass

from loadstar_trainer.fields import Section

INTERVALS = (("everyEpochs", 100_000), ("everySteps", 1_000_000_000), ("everySeconds", 86_400))
FORMATS = ("safetensors", "torchExport", "onnx")


@dataclass(frozen=True)
class Checkpoint:
    """A folder, and how often to write into it: exactly one interval is not 0. The `keep` newest stay, and the best."""

    path: str
    every_epochs: int = 0
    every_steps: int = 0
    every_seconds: int = 0
    keep: int = 2
    resume: bool = True


@dataclass(frozen=True)
class Export:
    """The folder that the trained model is written to."""

    path: str
    formats: tuple[str, ...] = ("safetensors",)
    quantize: bool = False


def read_checkpoint(section: Section) -> Checkpoint:
    given = [name for name, _ in INTERVALS if name in section]
    if len(given) > 1:
        section.problems.append(f"{section.path} has {' and '.join(given)}; keep one of them")
    epochs, steps, seconds = (
        section.whole(name, 1, most, 1) if name in section else 0 for name, most in INTERVALS
    )
    checkpoint = Checkpoint(
        section.text("path", required=True) or "",
        epochs if given else 1,
        steps,
        seconds,
        section.whole("keep", 1, 1000, 2),
        section.choice("resume", ("auto", "never"), "auto") == "auto",
    )
    section.close()
    return checkpoint


def read_export(section: Section, checkpoint: Checkpoint | None) -> Export:
    """Without a path of its own the model goes into the checkpoints' folder."""
    path = section.text("path", required=checkpoint is None) or (checkpoint.path if checkpoint else "")
    export = Export(
        path,
        section.choices("formats", FORMATS, ("safetensors",)),
        "quantize" in section and section.choice("quantize", ("int8",), None) == "int8",
    )
    section.close()
    return export
