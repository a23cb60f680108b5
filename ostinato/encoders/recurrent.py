"""The recurrent encoder."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn

from ostinato.encoders._sizes import sizes_of
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.layers.characters import FILTERS, WIDTH
from ostinato.layers.dropout import keep_mask
from ostinato.layers.embedding import Embedding, Kind
from ostinato.layers.pooling import sum_up
from ostinato.layers.recurrent import RecurrentStack
from ostinato.modalities.contract import Spec
from ostinato.registry import Count, NonNegative, Rate, Room, Settings
from ostinato.steps import Steps


class Recurrent(Encoder):
    """Reads step after step, keeping in a state what it has seen.

        e[t]    = embedding(x[t])
        steps   = the top layer's hidden states; both ways: forward beside backward
        summary = the top layer's state after its last step; both ways: forward after the last step, backward after the
                  first; or the mean or the largest over its steps
        state   = the final states of all cells: layer by layer, forward before backward, each (h, ...) in the
                  cell's order

    It is causal when it reads one way and the source is not reversed. A reversed source is read from its last step to
    its first, but its steps keep the source's order, so that what attends to them finds step t of the source at t; the
    summary has then just seen the first step, which lies next to the first step of the output.
    A sequence without steps has the start state as its summary.

    Shapes:
        steps (N,) symbols or (N, C) values; steps_size = summary_size = H of the top layer, or 2 H both ways

    Args:
        cell: the recurrence.
        hidden_size: H per direction: one number, or a list of one per layer from the embedding up.
        layers: the number of layers; with a list of sizes, its length.
        bidirectional: whether each layer reads backward too.
        residual: whether a layer's input is added to its output, at each layer where both are equally wide.
        dropout: the probability of dropping a value of the embedding, and of a layer's output that the next layer
            reads.
        variational: whether that dropout has one mask per sequence, in place of one per step.
        recurrent_dropout: the probability of dropping a value of the hidden state inside the recurrence, one mask per
            sequence.
        weight_drop: the probability of dropping a weight between hidden states, one mask per batch, in training.
        word_dropout: the probability of dropping a symbol's whole embedding, wherever it occurs in the batch, in
            training.
        rare_word_dropout: alpha: in training a symbol is read as the unknown one with probability alpha / (alpha + its
            count); its characters are read in any case.
        reversed_source: whether one-way reading runs from the last step to the first.
        start: the state before the first step: zero, or learnt.
        summary: the states after the last steps, or the mean or the largest of each number over all steps; what joins
            and heads take for the whole.
        embedding: learnt, or one-hot, which is as wide as there are symbols; `{file: PATH, frozen: true}`: from the
            vectors of words in a file on, as wide as these, and frozen or not; with `extend: true` words of the file
            that training lacks are known too.
        embedding_size: the width of a learnt embedding; 256 by default.
        embedding_init: how a learnt embedding of symbols begins: normal with variance 1, or uniform with variance 1 /
            embedding_size.
        character_size: the filters that read a word's characters, where words come with them.
        character_width: how many characters each of these reads, an odd number.

    Errors:
        ConfigError: a list of sizes of another length than `layers`; `variational` without dropout; `reversed_source`
            both ways; `residual` where no layer is as wide as its input; a one-hot embedding of real numbers or of a
            given size; `word_dropout` of real numbers; `rare_word_dropout` of what was not counted; an
            `embedding_init` of what has no table; filters over characters where there are none, or of an even width;
            a mean or largest `summary` of what reads one way.
        ValueError: a state is given to an encoder that is not causal.

    Source: reversed source: Sutskever 2014, arXiv:1409.3215, section 3.3; dropout between layers: Zaremba 2014,
        arXiv:1409.2329; weight drop: Merity 2018, arXiv:1708.02182, section 2; dropout of words: Gal 2016,
        arXiv:1512.05287, section 4.2, one mask per batch as in Merity 2018, section 4.3; of rare words: Kiperwasser and
        Goldberg 2016, arXiv:1603.04351, section 4.
    """

    streams = True
    sees_ahead = ("bidirectional", "reversed_source")
    reads_characters = True
    directions_beside = True

    of_rules = {"cell.type": "gru"}
    variants = ({"cell": "gru"}, {"dropout": 0.5}, {"layers": 2}, {"hidden_size": 256}, {"dropout": 0.1})

    def __init__(
        self,
        spec: Spec,
        *,
        cell: Annotated[Settings, Room("cells")] = "lstm",
        hidden_size: Count | list[Count] = 256,
        layers: Count = 1,
        bidirectional: bool = True,
        residual: bool = False,
        dropout: Rate = 0.0,
        variational: bool = False,
        recurrent_dropout: Rate = 0.0,
        weight_drop: Rate = 0.0,
        word_dropout: Rate = 0.0,
        rare_word_dropout: NonNegative = 0.0,
        reversed_source: bool = False,
        start: Literal["zero", "learnt"] = "zero",
        summary: Literal["last", "mean", "max"] = "last",
        embedding: Kind = "learnt",
        embedding_size: Count | None = None,
        embedding_init: Literal["normal", "uniform"] = "normal",
        character_size: Count = FILTERS,
        character_width: Count = WIDTH,
    ):
        super().__init__()
        sizes = sizes_of("recurrent", hidden_size, layers)
        if variational and not dropout:
            raise ConfigError(
                "recurrent: variational: true has no effect with dropout: 0; set dropout above 0, or leave it out"
            )
        if reversed_source and bidirectional:
            raise ConfigError(
                "recurrent: reversed_source: true has no meaning with bidirectional: true, which reads the source in "
                "both orders; set bidirectional: false, or leave reversed_source out"
            )
        self.causal = not bidirectional and not reversed_source
        if summary != "last" and self.causal:
            raise ConfigError(
                f"recurrent: summary: {summary} looks at all steps, and one that reads one way may have more to come; "
                "set bidirectional: true, or let the output pool them (head: {pool: ...})"
            )
        self.summary = summary
        self.look_ahead = 0 if self.causal else None
        width = 256 if embedding_size is None and embedding == "learnt" else embedding_size
        self.embedding = Embedding(
            spec,
            width,
            kind=embedding,
            rare_word_dropout=rare_word_dropout,
            init=embedding_init,
            character_size=character_size,
            character_width=character_width,
        )
        if word_dropout and not self.embedding.numbered:
            raise ConfigError(
                "recurrent: word_dropout: each step of this input is a vector of real numbers, which has no symbol; "
                "use dropout"
            )
        self.word_dropout = word_dropout
        self.stack = RecurrentStack(
            cell,
            self.embedding.size,
            sizes,
            reads="both" if bidirectional else "backward" if reversed_source else "forward",
            residual=residual,
            dropout=dropout,
            variational=variational,
            recurrent_dropout=recurrent_dropout,
            weight_drop=weight_drop,
            learnt_start=start == "learnt",
        )
        self.steps_size = self.summary_size = self.stack.output_size
        self.state_sizes = self.stack.state_sizes

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError(
                "this encoder sees later steps before earlier ones, so it cannot resume from a state: give none"
            )
        read, final = self.stack(self._without_words(steps.values, self.embedding(steps)), state)
        summary = self.stack.last_hidden(final) if self.summary == "last" else sum_up(self.summary, read, None)[0]
        return Encoded(read, summary, final)

    def _without_words(self, symbols: Tensor, embedded: Steps) -> Steps:
        if not self.training or not self.word_dropout:
            return embedded
        keep = keep_mask(self.embedding.num_symbols, 1, self.word_dropout, embedded.values)
        numbers = symbols if symbols.ndim == 1 else symbols[:, 0]
        return embedded.with_values(embedded.values * keep.index_select(0, numbers.long().clamp(min=0)))

    def layers(self) -> list[nn.ModuleList]:
        return self.stack.layers()
