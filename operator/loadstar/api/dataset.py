"""spec.dataset of a TrainingJob: the data, its preparation and its split."""

from typing import Annotated, Literal

from pydantic import Field

from loadstar.api.schema import Rule, Seed, Strict, atomic

Builtin = Literal["iris", "digits", "breast-cancer", "wine", "synthetic-regression"]
Scale = Literal["standard", "minmax", "none"]
Coefficient = Annotated[float, Field(ge=-1e6, le=1e6)]


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
        Rule(
            "!has(self.coefficients) || size(self.coefficients) == self.features",
            lambda s: s.coefficients is None or len(s.coefficients) == s.features,
            "coefficients needs one number for each feature: set features to their number, or change the list",
            ".coefficients",
        ),
    )


class PreprocessSpec(Strict):
    """What is done to the inputs before training. It is fitted on the training split alone."""

    scale: Scale = Field(
        "standard",
        description="Scaling of each input column. standard: mean 0, deviation 1. minmax: 0 to 1. none: as they are.",
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


class DatasetSpec(Strict):
    """The data to train on."""

    builtin: Builtin = Field(
        description="A data set that comes with the trainer. Classification: iris (150 rows, 4 columns), digits (1797 "
        "images of 8×8), breast-cancer (569 rows, 30 columns), wine (178 rows, 13 columns). Regression: "
        "synthetic-regression, made as dataset.synthetic says. The loss follows: cross-entropy for classes, squared "
        "error for numbers."
    )
    synthetic: SyntheticSpec | None = Field(
        None,
        description="How synthetic-regression is made; its defaults hold if left out. Only for that data set.",
    )
    preprocess: PreprocessSpec = Field(
        PreprocessSpec(),
        description="What is done to the inputs before training. Fitted on the training rows alone.",
    )
    split: SplitSpec = Field(
        SplitSpec(),
        description="How the rows are divided into training, validation and test rows. What validation and test "
        "don't take is trained on.",
    )

    RULES = (
        Rule(
            "!has(self.synthetic) || self.builtin == 'synthetic-regression'",
            lambda d: d.synthetic is None or d.builtin == "synthetic-regression",
            "synthetic only applies to builtin synthetic-regression: remove it or set dataset.builtin to that",
            ".synthetic",
        ),
    )
