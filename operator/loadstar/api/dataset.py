"""spec.dataset of a TrainingJob: the data, its preparation and its split."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loadstar.api.locations import Uri, location_rules
from loadstar.api.preprocess import PreprocessSpec
from loadstar.api.schema import Group, Rule, Seed, Strict, atomic, different, only_with

Builtin = Literal["iris", "digits", "breast-cancer", "wine", "synthetic-regression"]
Format = Literal["csv", "npy", "npz", "parquet", "idx", "images", "text"]
Task = Literal["classification", "regression"]
Coefficient = Annotated[float, Field(ge=-1e6, le=1e6)]
Column = Annotated[str, Field(min_length=1, max_length=256)]
Columns = Annotated[tuple[Column, ...], Field(min_length=1, max_length=1024), AfterValidator(different)]

ENDINGS = {".csv": "csv", ".npy": "npy", ".npz": "npz", ".parquet": "parquet", ".txt": "text"}
"""The format that a file's name tells."""
TABLES = ("csv", "parquet")


def known_format(dataset: str) -> str:
    """DatasetSpec.known_format in CEL, where `dataset` is the expression for one; '' for None."""
    by_ending = "".join(
        f"{dataset}.uri.endsWith('{ending}') ? '{name}' : " for ending, name in ENDINGS.items()
    )
    return f"(has({dataset}.format) ? {dataset}.format : !has({dataset}.uri) ? '' : {by_ending}'')"


def known_task(dataset: str) -> str:
    """DatasetSpec.known_task in CEL; '' for None."""
    builtin = f"({dataset}.builtin == 'synthetic-regression' ? 'regression' : 'classification')"
    of_files = f"({known_format(dataset)} == 'text' ? 'language' : has({dataset}.task) ? {dataset}.task : '')"
    return f"(has({dataset}.builtin) ? {builtin} : {of_files})"


def is_text(dataset: str) -> str:
    """DatasetSpec.is_text in CEL."""
    return f"({known_format(dataset)} == 'text' || has({dataset}.textColumn))"


def may_be_images(dataset: str) -> str:
    """DatasetSpec.may_be_images in CEL."""
    of_files = f"!({known_format(dataset)} in ['csv', 'parquet', 'text'])"
    return f"(has({dataset}.builtin) ? {dataset}.builtin == 'digits' : {of_files})"


class SyntheticSpec(Strict):
    """Data made on the spot: features drawn from a standard normal distribution."""

    samples: int = Field(
        100, ge=10, le=1_000_000, description="Number of rows to make, before they are split."
    )
    features: int = Field(2, ge=1, le=1024, description="Number of input columns.")
    coefficients: Annotated[tuple[Coefficient, ...], Field(min_length=1, max_length=1024)] | None = Field(
        None,
        description="Weight of each feature: the target is their weighted sum plus noise, so a linear model can find "
        "it. Left out, the target is uniform random and independent of the features: nothing can be learned, which "
        "makes a load test of known outcome.",
        json_schema_extra=atomic(),
    )
    noise: float = Field(
        0.1, ge=0, le=1e6, description="Standard deviation of the normal noise added to the target."
    )
    seed: Seed = Field(0, description="Seed of the generator: the same seed makes the same data.")

    RULES = (
        only_with(
            "coefficients",
            "size(self.coefficients) == self.features",
            lambda s: len(s.coefficients) == s.features,
            "coefficients needs one number for each feature: set features to their number, or change the list",
        ),
    )


class SplitSpec(Strict):
    """How the rows are divided. What neither validation nor test takes is trained on."""

    validation: float = Field(
        0.1, ge=0, lt=1, description="Share of rows for measuring progress after each epoch; 0 for none."
    )
    test: float = Field(
        0.2, gt=0, lt=1, description="Share of rows for the final accuracy; never seen in training."
    )
    seed: Seed = Field(0, description="Seed of the shuffle: the same seed makes the same split.")

    RULES = (
        Rule(
            "self.validation + self.test < 1.0",
            lambda s: s.validation + s.test < 1,
            "validation and test together must stay below 1, or no rows are left to train on: lower one of them",
        ),
    )


def _of_files(field: str) -> Rule:
    return only_with(
        field,
        "has(self.uri)",
        lambda d: d.uri is not None,
        f"{field} tells how files are read, and a built-in data set is known: remove it, or name files by dataset.uri",
    )


def _of_tables(field: str) -> Rule:
    return only_with(
        field,
        f"{known_format('self')} in ['csv', 'parquet', '']",
        lambda d: d.known_format in {*TABLES, None},
        f"{field} names columns of a table: remove it, or set dataset.format to csv or parquet",
    )


def _not_of_text(field: str) -> Rule:
    return only_with(
        field,
        f"{known_format('self')} != 'text'",
        lambda d: d.known_format != "text",
        f"a text file is learned as a whole, byte by byte: remove {field}, or set dataset.format to csv or parquet",
    )


class DatasetSpec(Strict):
    """The data to train on."""

    builtin: Builtin | None = Field(
        None,
        description="A data set that comes with the trainer. Classification: iris (150 rows, 4 columns), digits (1797 "
        "images of 8×8), breast-cancer (569 rows, 30 columns), wine (178 rows, 13 columns). Regression: "
        "synthetic-regression, made as dataset.synthetic says. One of builtin and uri is needed.",
    )
    synthetic: SyntheticSpec | None = Field(
        None,
        description="How synthetic-regression is made; its defaults hold if left out. Only for that data set.",
    )
    uri: Uri | None = Field(
        None,
        description="Where one's own data is: pvc://CLAIM/path on a PersistentVolumeClaim and configmap://NAME/key in "
        "a ConfigMap of the job's namespace, s3://BUCKET/key in an S3-compatible store, or file:///path in the image "
        "or a volume of trainer.volumes. It is checked before training starts.",
    )
    format: Format | None = Field(
        None,
        description="How the files are written. Left out, the ending tells: .csv, .npy, .npz, .parquet, .txt (text); a "
        "folder is idx if it has *-ubyte files, and images if it has one folder of PNG or JPEG files for each class. "
        "csv has a header line. npy and npz hold numbers only, no pickled objects. text is one long text for a "
        "language model.",
    )
    target: Column | None = Field(
        None,
        description="What is to be predicted: a column's name (csv, parquet; default the last), an array's name (npz; "
        "default y, with the inputs in x), or a column's index from 0 (npy; default the last).",
    )
    features: Columns | None = Field(
        None,
        description="The columns that it is predicted from, by name. Only for csv and parquet. Left out, all but the "
        "target.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    text_column: Column | None = Field(
        None,
        description="The column whose text is the input, byte by byte, instead of features. Only for csv and parquet, "
        "and model.type transformer.",
    )
    task: Task | None = Field(
        None,
        description="classification predicts one of several values of the target, regression a number. Left out, the "
        "target tells: text, booleans and integers are classes, decimals are numbers. Format text is always a "
        "language model.",
    )
    secret_name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        None,
        description="Secret of the job's namespace with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and if "
        "needed AWS_ENDPOINT_URL and AWS_REGION. The kubelet hands them to the pods; the operator never reads them. "
        "Only for s3://, where it is needed unless the pods get such keys in another way (trainer.env).",
    )
    preprocess: PreprocessSpec = Field(
        PreprocessSpec(),
        description="What is done to the inputs before training. Fitted on the training rows alone.",
    )
    split: SplitSpec = Field(
        SplitSpec(),
        description="How the rows are divided into training, validation and test rows, with the same share of each "
        "class in all of them. What validation and test don't take is trained on.",
    )

    RULES = (
        Rule(
            "has(self.builtin) != has(self.uri)",
            lambda d: (d.builtin is None) != (d.uri is None),
            "the data is named once: give one of dataset.builtin and dataset.uri",
            ".builtin",
        ),
        only_with(
            "synthetic",
            "has(self.builtin) && self.builtin == 'synthetic-regression'",
            lambda d: d.builtin == "synthetic-regression",
            "synthetic only applies to builtin synthetic-regression: remove it or set dataset.builtin to that",
        ),
        *location_rules("dataset", ("pvc", "configmap", "s3", "file")),
        *(_of_files(field) for field in ("format", "target", "features", "textColumn", "task")),
        Group(
            "has(self.uri)",
            (
                *(_of_tables(field) for field in ("features", "textColumn")),
                *(_not_of_text(field) for field in ("target", "task")),
                only_with(
                    "textColumn",
                    "!has(self.features)",
                    lambda d: d.features is None,
                    "textColumn is the only input: remove it or features",
                ),
            ),
            "spec.dataset",
        ),
        only_with(
            "secretName",
            "has(self.uri) && self.uri.startsWith('s3://')",
            lambda d: (d.uri or "").startswith("s3://"),
            "secretName only applies to s3:// data: remove it, or name a bucket by dataset.uri",
        ),
        Rule(
            f"!has(self.preprocess.augment) || {may_be_images('self')}",
            lambda d: d.preprocess.augment is None or d.may_be_images,
            "augment changes images: remove it, or name images such as dataset.builtin digits",
            ".preprocess.augment",
        ),
    )

    @property
    def known_format(self) -> str | None:
        """The format as far as it is known without looking at the data."""
        endings = (name for ending, name in ENDINGS.items() if (self.uri or "").endswith(ending))
        return self.format or next(endings, None)

    @property
    def known_task(self) -> str | None:
        """classification, regression or language, as far as that is known without looking at the data."""
        if self.builtin is not None:
            return "regression" if self.builtin == "synthetic-regression" else "classification"
        return "language" if self.known_format == "text" else self.task

    @property
    def is_text(self) -> bool:
        """Whether bytes of text are the input."""
        return self.known_format == "text" or self.text_column is not None

    @property
    def may_be_images(self) -> bool:
        """False where the data is known to be something else."""
        if self.builtin is not None:
            return self.builtin == "digits"
        return self.known_format not in {*TABLES, "text"}
