"""`dataset`: where the samples are, what is foretold from what, and how they are prepared and split."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from loadstar_trainer.fields import SEEDS, SHARE, Range, Section
from loadstar_trainer.spec.tasks import BUILTIN_CLASSES, CLASSIFICATION, IMAGES, LANGUAGE, REGRESSION

FORMATS = ("csv", "npy", "npz", "parquet", "idx", "images", "text")
OF_FILES = ("format", "target", "features", "textColumn", "task", "secretName")


@dataclass(frozen=True)
class Synthetic:
    """A regression problem to draw: a linear target with noise, or a uniform one that no feature explains."""

    samples: int = 100
    features: int = 2
    coefficients: tuple[float, ...] | None = None
    noise: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """Shares of all samples, each in [0, 1); training gets the rest."""

    validation: float
    test: float
    seed: int


@dataclass(frozen=True)
class Augment:
    """One random change of training images: rotate by up to `degrees` either way, flip left to right, or crop
    after a border of `padding` pixels was put around."""

    type: str
    degrees: float = 0.0
    padding: int = 0


@dataclass(frozen=True)
class Dataset:
    """Exactly one of `builtin`, `path` and `uri` (s3://bucket/key) is not empty.

    None means: decided by the data. `target` is a name, or an index as a number.
    """

    builtin: str
    synthetic: Synthetic | None
    scale: str
    split: Split
    path: str = ""
    uri: str = ""
    format: str | None = None
    target: str | int | None = None
    features: tuple[str, ...] = ()
    text_column: str | None = None
    given_task: str | None = None
    drop_missing: bool = False
    augment: tuple[Augment, ...] = ()

    @property
    def is_classification(self) -> bool:
        return self.task == CLASSIFICATION

    @property
    def task(self) -> str | None:
        """classification, regression or language, where the spec alone tells; None where the data decide."""
        if self.builtin:
            return CLASSIFICATION if BUILTIN_CLASSES[self.builtin] else REGRESSION
        return LANGUAGE if self.is_language else self.given_task

    @property
    def is_language(self) -> bool:
        """Whether the data are one text whose next byte is to be foretold."""
        if self.format is not None:
            return self.format == "text"
        return (self.path or self.uri).lower().endswith(".txt")

    @property
    def is_text(self) -> bool:
        """Whether a sample is a row of bytes."""
        return self.is_language or self.text_column is not None


def read_dataset(section: Section) -> Dataset:
    builtin, path, uri = _source(section)
    synthetic = None
    if builtin and not BUILTIN_CLASSES[builtin]:
        synthetic = _synthetic(section.section("synthetic"))
    else:
        section.forbid("synthetic", "dataset.builtin synthetic-regression")
    if builtin:
        for name in OF_FILES:
            section.forbid(name, "dataset.path or dataset.uri")
    preprocess = section.section("preprocess")
    dataset = Dataset(
        builtin,
        synthetic,
        preprocess.choice("scale", ("standard", "minmax", "none"), "standard"),
        _split(section.section("split")),
        path,
        uri,
        section.choice("format", FORMATS, None) if "format" in section else None,
        section.name_or_index("target"),
        section.texts("features", 65536),
        section.text("textColumn"),
        section.choice("task", (CLASSIFICATION, REGRESSION), None) if "task" in section else None,
        preprocess.boolean("dropMissing", False),
        tuple(_augment(item) for item in preprocess.sections("augment", 16)),
    )
    preprocess.close()
    section.text("secretName")  # the kubelet has put its keys into the environment
    _check(dataset, section)
    section.close()
    return dataset


def _source(section: Section) -> tuple[str, str, str]:
    """(builtin, path, uri), one of them not empty unless a problem was noted; file:///path becomes a path."""
    given = [name for name in ("builtin", "path", "uri") if name in section]
    builtin = (
        section.choice("builtin", tuple(BUILTIN_CLASSES), None) if not given or "builtin" in given else ""
    )
    path, uri = section.text("path") or "", section.text("uri") or ""
    if len(given) > 1:
        section.problems.append(f"{section.path} has {' and '.join(given)}; keep one of them")
    parts = urlsplit(uri)
    if parts.scheme == "file" and not parts.netloc:
        return builtin, unquote(parts.path), ""
    if uri and not (parts.scheme == "s3" and parts.netloc and parts.path.strip("/")):
        section.problems.append(f"{section.path}.uri is {uri}; give s3://bucket/key or file:///path")
    return builtin, path, uri


def _check(dataset: Dataset, section: Section) -> None:
    """What goes together in data of files, as far as it can be told without reading them."""
    if dataset.is_language:
        for name in ("target", "features", "textColumn", "task"):
            section.forbid(name, "a table, and dataset.format text has no columns")
    if dataset.text_column is not None:
        section.forbid("features", "columns of numbers, and dataset.textColumn is the only input")
        if dataset.format not in (None, "csv", "parquet"):
            section.forbid("textColumn", "dataset.format csv or parquet")
    if dataset.augment and (dataset.is_text or (dataset.builtin and dataset.builtin not in IMAGES)):
        section.problems.append(f"{section.path}.preprocess.augment only goes with images; remove it")


def _augment(section: Section) -> Augment:
    kind = section.choice("type", ("rotate", "flip", "crop"), None)
    degrees, padding = 0.0, 0
    if kind == "rotate":
        degrees = section.number("degrees", Range(0, 180, low_open=True), 10.0)
    else:
        section.forbid("degrees", "type rotate")
    if kind == "crop":
        padding = section.whole("padding", 1, 64, 2)
    else:
        section.forbid("padding", "type crop")
    section.close()
    return Augment(kind, degrees, padding)


def _synthetic(section: Section) -> Synthetic:
    synthetic = Synthetic(
        section.whole("samples", 10, 1_000_000, 100),
        section.whole("features", 1, 1024, 2),
        section.numbers("coefficients", Range(-1e6, 1e6), 1024),
        section.number("noise", Range(0, 1e6), 0.1),
        section.whole("seed", 0, SEEDS, 0),
    )
    given = synthetic.coefficients
    if given is not None and len(given) != synthetic.features:
        section.problems.append(
            f"{section.path}.coefficients has {len(given)} numbers for {synthetic.features} features; "
            "give one for each feature"
        )
    section.close()
    return synthetic


def _split(section: Section) -> Split:
    split = Split(
        section.number("validation", SHARE, 0.1),
        section.number("test", Range(0, 1, low_open=True, high_open=True), 0.2),
        section.whole("seed", 0, SEEDS, 0),
    )
    if split.validation + split.test >= 1:
        section.problems.append(
            f"{section.path}.validation and {section.path}.test add up to "
            f"{split.validation + split.test:g}; together they must leave a part for training"
        )
    section.close()
    return split
