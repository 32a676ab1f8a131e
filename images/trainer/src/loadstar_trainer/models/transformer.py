"""transformer: a language model over bytes, and encoders of texts and of tables.

Blocks normalise before attention and before the dense part (pre-norm), which trains without warm-up at these depths.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from loadstar_trainer.models.activations import ACTIVATIONS
from loadstar_trainer.spec import Model

BYTES = 256
DEVIATION = 0.02  # of fresh weights


class Block(nn.Module):  # type: ignore[misc]
    """Attention, then a dense part four times as wide; each adds to its input."""

    def __init__(self, model: Model, *, causal: bool) -> None:
        super().__init__()
        width = model.width
        self.heads, self.causal, self.dropout = model.heads, causal, model.dropout
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.dense = nn.Sequential(
            nn.Linear(width, 4 * width), ACTIVATIONS[model.activation](), nn.Linear(4 * width, width)
        )
        self.drop = nn.Dropout(model.dropout)

    def forward(self, inputs: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`inputs` is samples × tokens × width; where `mask` (samples × 1 × 1 × tokens) is false, nobody looks."""
        inputs = inputs + self.drop(self._attend(self.norm1(inputs), mask))
        return inputs + self.drop(self.dense(self.norm2(inputs)))

    def _attend(self, tokens: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        parts = self.attention(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        looked = functional.scaled_dot_product_attention(
            *parts.unbind(0),
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        projected: torch.Tensor = self.projection(looked.transpose(1, 2).flatten(2))
        return projected


class Transformer(nn.Module):  # type: ignore[misc]
    """Blocks and what comes after them; `outputs` numbers for each token."""

    def __init__(self, model: Model, outputs: int, *, causal: bool) -> None:
        super().__init__()
        self.drop = nn.Dropout(model.dropout)
        self.blocks = nn.ModuleList(Block(model, causal=causal) for _ in range(model.layers))
        self.norm = nn.LayerNorm(model.width)
        self.head = nn.Linear(model.width, outputs)

    def transform(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        tokens = self.drop(tokens)
        for block in self.blocks:
            tokens = block(tokens, mask)
        normed: torch.Tensor = self.norm(tokens)
        return normed


class Language(Transformer):
    """bytes (samples × up to contextLength) → scores of the byte that follows each (samples × bytes × 256)."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, BYTES, causal=True)
        self.bytes = nn.Embedding(BYTES, model.width)
        self.places = nn.Embedding(model.context_length, model.width)
        initialise(self)

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(
            self.transform(self.bytes(texts.long()) + self.places.weight[: texts.shape[1]])
        )
        return scores


class TextEncoder(Transformer):
    """bytes (samples × contextLength, filled up with zeros) → outputs (samples × outputs)."""

    def __init__(self, model: Model, outputs: int) -> None:
        super().__init__(model, outputs, causal=False)
        self.bytes = nn.Embedding(BYTES, model.width)
        self.places = nn.Embedding(model.context_length, model.width)
        initialise(self)

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        written = texts != 0
        written = torch.cat(
            [torch.ones_like(written[:, :1]), written[:, 1:]], dim=1
        )  # an empty text has one, too
        tokens = self.bytes(texts.long()) + self.places.weight[: texts.shape[1]]
        tokens = self.transform(tokens, written[:, None, None, :])
        share = written[:, :, None].to(tokens.dtype)
        scores: torch.Tensor = self.head((tokens * share).sum(dim=1) / share.sum(dim=1))
        return scores


class ColumnEncoder(Transformer):
    """numbers (samples × columns) → outputs (samples × outputs): each column is a token, its number the token's size.

    A further token, alike for all samples, gathers what the others say.
    """

    def __init__(self, model: Model, sample_shape: Sequence[int], outputs: int) -> None:
        super().__init__(model, outputs, causal=False)
        columns = math.prod(sample_shape)
        self.slopes = nn.Parameter(torch.empty(columns, model.width))
        self.offsets = nn.Parameter(torch.empty(columns, model.width))
        self.summary = nn.Parameter(torch.empty(1, model.width))
        initialise(self)
        for parameter in (self.slopes, self.offsets, self.summary):
            nn.init.uniform_(parameter, -1 / math.sqrt(model.width), 1 / math.sqrt(model.width))

    def forward(self, table: torch.Tensor) -> torch.Tensor:
        columns = table.flatten(1)[:, :, None] * self.slopes + self.offsets
        tokens = self.transform(torch.cat([self.summary.expand(table.shape[0], 1, -1), columns], dim=1))
        scores: torch.Tensor = self.head(tokens[:, 0])
        return scores


def initialise(network: Transformer) -> None:
    """Small weights, and smaller ones where a block adds to its input, so that depth does not make sums grow."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            adds = name.endswith(("projection", "dense.2"))
            nn.init.normal_(
                module.weight, std=DEVIATION / math.sqrt(2 * len(network.blocks)) if adds else DEVIATION
            )
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=DEVIATION)
