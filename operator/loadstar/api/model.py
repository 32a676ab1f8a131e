"""spec.model of a TrainingJob: the network."""

from typing import Annotated, Literal

from pydantic import Field

from loadstar.api.locations import Uri, location_rules
from loadstar.api.schema import Rule, Strict, atomic, only_with

ModelType = Literal["linear", "mlp", "cnn", "transformer"]
Activation = Literal["relu", "tanh", "sigmoid", "gelu"]
Width = Annotated[int, Field(ge=1, le=65536)]
Channels = Annotated[int, Field(ge=1, le=4096)]
Pattern = Annotated[str, Field(min_length=1, max_length=256)]

DEFAULT_HEADS = 4
DEFAULT_WIDTH = 128


def _only(field: str, type_: str) -> Rule:
    return only_with(
        field,
        f"self.type == '{type_}'",
        lambda model: model.type == type_,
        f"{field} only applies to model.type {type_}: remove it or set model.type to {type_}",
    )


class InitialWeights(Strict):
    """Weights to start from instead of random ones."""

    uri: Uri = Field(
        description="A checkpoint or safetensors file of another job: pvc://CLAIM/path on a PersistentVolumeClaim, or "
        "file:///path in the image or a volume of trainer.volumes. Tensors of equal name and shape are taken over."
    )

    RULES = location_rules("model.initialWeights", ("pvc", "file"))


class ModelSpec(Strict):
    """The network to train."""

    type: ModelType = Field(
        description="Kind of network. linear: one layer, no activation. mlp: fully connected hidden layers. "
        "cnn: convolutions over images, followed by one linear layer. transformer: attention; over the bytes "
        "of a text, as a language model of a text file or to predict a table's target from its text column, or over "
        "the columns of a table."
    )
    hidden_layers: Annotated[tuple[Width, ...], Field(min_length=1, max_length=32)] | None = Field(
        None,
        description="Width of each hidden layer, from the input to the output. Only for type mlp, "
        "where it is [64, 64] if left out.",
        json_schema_extra=atomic(),
    )
    channels: Annotated[tuple[Channels, ...], Field(min_length=1, max_length=8)] | None = Field(
        None,
        description="Output channels of each convolution, from the input to the output. Only for type cnn, "
        "where it is [32, 64] if left out.",
        json_schema_extra=atomic(),
    )
    preset: Literal["mnist"] | None = Field(
        None,
        description="A network known by name, instead of channels. Only for type cnn. mnist: 32 and 64 channels of "
        "3×3, each with relu and pooling, then one linear layer.",
    )
    layers: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Blocks of attention and feed-forward layers. Only for type transformer, where it is 2 if left "
        "out.",
    )
    heads: int | None = Field(
        None,
        ge=1,
        le=64,
        description=f"Attention heads of each block. Only for type transformer, where it is {DEFAULT_HEADS} if left "
        "out.",
    )
    width: int | None = Field(
        None,
        ge=1,
        le=8192,
        description="Numbers that each byte or column is represented by; a multiple of heads. Only for type "
        f"transformer, where it is {DEFAULT_WIDTH} if left out.",
    )
    context_length: int | None = Field(
        None,
        ge=2,
        le=65_536,
        description="Bytes of text that are looked at together; of longer texts in a column, the first ones. Only for "
        "type transformer on text, where it is 128 if left out.",
    )
    activation: Activation | None = Field(
        None,
        description="Function between two layers. Not for type linear. Left out, it is relu, and gelu for type "
        "transformer.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of hidden units switched off at random in each training step. "
        "Type linear has no hidden units.",
    )
    initial_weights: InitialWeights | None = Field(
        None,
        description="Weights to start from instead of random ones, for transfer learning. The result says how many "
        "tensors were taken over; none is an error.",
    )
    freeze: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="Shell patterns, such as blocks.0.*, of the names of parameters that stay as they are. One that "
        "matches no parameter is an error that lists the names.",
        json_schema_extra=atomic(),
    )

    RULES = (
        _only("hiddenLayers", "mlp"),
        _only("channels", "cnn"),
        _only("preset", "cnn"),
        _only("layers", "transformer"),
        _only("heads", "transformer"),
        _only("width", "transformer"),
        _only("contextLength", "transformer"),
        Rule(
            "!has(self.preset) || !has(self.channels)",
            lambda m: m.preset is None or m.channels is None,
            "preset names the channels already: remove preset or channels",
            ".preset",
        ),
        Rule(
            f"(has(self.width) ? self.width : {DEFAULT_WIDTH}) % (has(self.heads) ? self.heads : {DEFAULT_HEADS}) == 0",
            lambda m: (m.width or DEFAULT_WIDTH) % (m.heads or DEFAULT_HEADS) == 0,
            f"width is shared out evenly among the heads: make width (default {DEFAULT_WIDTH}) a multiple of heads "
            f"(default {DEFAULT_HEADS})",
            ".width",
        ),
        only_with(
            "activation",
            "self.type != 'linear'",
            lambda m: m.type != "linear",
            "a linear model has no activation: remove activation or set model.type to mlp or cnn",
        ),
        Rule(
            "self.dropout == 0.0 || self.type != 'linear'",
            lambda m: m.dropout == 0 or m.type != "linear",
            "a linear model has no hidden units to drop: remove dropout or set model.type to mlp or cnn",
            ".dropout",
        ),
    )
