"""The encoder of what is no sequence: a table's fields."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ostinato.encoders._sizes import sizes_of
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import DataError
from ostinato.layers.dense import Dense
from ostinato.layers.embedding import Embedding
from ostinato.modalities.contract import Spec
from ostinato.registry import Count, NonNegative, Rate
from ostinato.steps import Steps


class FeedForward(Encoder):
    """A feed-forward net on what is no sequence: a category, a number, several labels at once.

        h_0     = embedding(x)
        h_l     = activation(W_l h_{l-1} + b_l)
        summary = h of the top layer

    It gives no steps: what lines up with time cannot read it alone. Nothing is carried from one value to the next, so
    its state is empty.

    Shapes:
        steps (B,) symbols or (B, C) values, one of each row; summary_size = H of the top layer

    Args:
        hidden_size: H: one number, or a list of one per layer from the embedding up.
        layers: the number of layers; with a list of sizes, its length.
        activation: what each layer ends in.
        dropout: the probability of dropping a value that a layer reads.
        embedding_size: the width of the embedding; 256 by default.
        rare_label_dropout: alpha; a training row reads a label as an unknown one with probability alpha / (alpha +
            count), so that an input may have labels that training lacks.

    Errors:
        ConfigError: a list of sizes of another length than `layers`.
        DataError: a row of more or less than one step.
    """

    reads_sequences = False
    variants = ({"layers": 2}, {"dropout": 0.3}, {"hidden_size": 64}, {"activation": "gelu"})

    def __init__(
        self,
        spec: Spec,
        *,
        hidden_size: Count | list[Count] = 256,
        layers: Count = 1,
        activation: Literal["relu", "tanh", "gelu"] = "relu",
        dropout: Rate = 0.0,
        embedding_size: Count | None = None,
        rare_label_dropout: NonNegative = 0.0,
    ):
        super().__init__()
        sizes = sizes_of("feed_forward", hidden_size, layers)
        self.causal = True
        self.look_ahead = 0
        width = 256 if embedding_size is None else embedding_size
        self.embedding = Embedding(spec, width, rare_word_dropout=rare_label_dropout)
        self.net = Dense(self.embedding.size, sizes, activation=activation, dropout=dropout)
        self.steps_size = None
        self.summary_size = self.net.output_size

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        wrong = [length for length in steps.layout.lengths.tolist() if length != 1]
        if wrong:
            raise DataError(
                f"feed_forward: needs one step per row, and a row has {wrong[0]}; "
                "for a sequence choose encoder: recurrent, convolutional or windowed"
            )
        return Encoded(None, self.net(self.embedding(steps).values), ())
