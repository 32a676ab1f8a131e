"""spec.dataset.preprocess of a TrainingJob: what is done to the rows before training."""

from typing import Annotated, Literal

from pydantic import Field

from loadstar.api.schema import Rule, Strict, atomic, only_with

Scale = Literal["standard", "minmax", "none"]


def _only(field: str, type_: str) -> Rule:
    return only_with(
        field,
        f"self.type == '{type_}'",
        lambda augmentation: augmentation.type == type_,
        f"{field} only applies to type {type_}: remove it or set type to {type_}",
    )


class Augmentation(Strict):
    """One random change of a training image, drawn anew each time that the image is seen."""

    type: Literal["rotate", "flip", "crop"] = Field(
        description="rotate: turned by up to degrees to either side. flip: mirrored left to right, half of the time. "
        "crop: cut out at a random place after padding pixels were added on every side."
    )
    degrees: float | None = Field(
        None, gt=0, le=180, description="Largest turn. Only for type rotate, where it is 10 if left out."
    )
    padding: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Pixels added on every side. Only for type crop, where it is 2 if left out.",
    )

    RULES = (_only("degrees", "rotate"), _only("padding", "crop"))


class PreprocessSpec(Strict):
    """What is done to the inputs before training. It is fitted on the training split alone."""

    drop_missing: bool = Field(
        False,
        description="Leave out rows in which a value is missing or not a number. Otherwise such a row is an error "
        "that names file, row and column.",
    )
    scale: Scale = Field(
        "standard",
        description="Scaling of each input column. standard: mean 0, deviation 1. minmax: 0 to 1. none: as they are. "
        "Text is never scaled.",
    )
    augment: Annotated[tuple[Augmentation, ...], Field(min_length=1, max_length=8)] | None = Field(
        None,
        description="Random changes of the training images, one after the other. Only for images.",
        json_schema_extra=atomic(),
    )
