"""spec.model of a TrainingJob: the network."""

from typing import Annotated, Literal

from pydantic import Field

from loadstar.api.schema import Rule, Strict, atomic

ModelType = Literal["linear", "mlp", "cnn"]
Activation = Literal["relu", "tanh", "sigmoid", "gelu"]
Width = Annotated[int, Field(ge=1, le=65536)]
Channels = Annotated[int, Field(ge=1, le=4096)]


class ModelSpec(Strict):
    """The network to train."""

    type: ModelType = Field(
        description="Kind of network. linear: one layer, no activation. mlp: fully connected hidden layers. "
        "cnn: convolutions over images, followed by one linear layer."
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
    activation: Activation | None = Field(
        None,
        description="Function between two layers. Only for types mlp and cnn, where it is relu if left out.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of hidden units switched off at random in each training step. "
        "Only types mlp and cnn have hidden units.",
    )

    RULES = (
        Rule(
            "!has(self.hiddenLayers) || self.type == 'mlp'",
            lambda m: m.hidden_layers is None or m.type == "mlp",
            "hiddenLayers only applies to model.type mlp: remove it or set model.type to mlp",
            ".hiddenLayers",
        ),
        Rule(
            "!has(self.channels) || self.type == 'cnn'",
            lambda m: m.channels is None or m.type == "cnn",
            "channels only applies to model.type cnn: remove it or set model.type to cnn",
            ".channels",
        ),
        Rule(
            "!has(self.activation) || self.type != 'linear'",
            lambda m: m.activation is None or m.type != "linear",
            "a linear model has no activation: remove activation or set model.type to mlp or cnn",
            ".activation",
        ),
        Rule(
            "self.dropout == 0.0 || self.type != 'linear'",
            lambda m: m.dropout == 0 or m.type != "linear",
            "a linear model has no hidden units to drop: remove dropout or set model.type to mlp or cnn",
            ".dropout",
        ),
    )
