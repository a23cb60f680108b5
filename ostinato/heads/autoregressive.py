"""The autoregressive head: symbols predicted one by one by a decoder and a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Strict
from torch import Tensor, nn

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.heads._losses import wants_symbols
from ostinato.heads._pointer import Copied, Pointer, Source
from ostinato.heads.contract import Generator, Head, Loss, Scored, Sizes, by_step, by_step_in_pieces
from ostinato.layers.dropout import dropped
from ostinato.layers.embedding import Table
from ostinato.layers.vocabulary import pieces, softmax_of
from ostinato.modalities.contract import Symbols
from ostinato.registry import Count, Rate, Room, Settings, build
from ostinato.steps import Layout, Steps

COVERED = "covered"
"""What a generation keeps of coverage."""


class Autoregressive(Head, Generator):
    """Predicts an output symbol by symbol, each from those before it and from the inputs.

        a[i]    = decoder(embedding(y[0..i-1]), inputs)        y[0] is the begin symbol
        p(y[i]) = softmax(W_o a[i] + b_o)                      with copy: see `Pointer`

    Shapes:
        targets (N,) symbols; logits (N, V), with copy (N, V + S) and targets below V + K, K the most symbols of a
        source that the vocabulary lacks

    Args:
        decoder: how the target so far and the inputs become the features a[i].
        embedding_size: width of the symbols' vectors.
        tied: whether the softmax shares the embedding's weights; the decoder's features are then as wide as the
            embedding. input: so does the embedding of the first input, whose vocabulary the output shares
            (`tokenizer: {same_as: INPUT}`).
        bias: whether the softmax adds a number to each symbol's score.
        dropout: on embeddings, between the decoder's layers and before the softmax.
        word_dropout: share of the target's symbols that the decoder reads as unknown in training, so that it cannot do
            without its inputs.
        label_smoothing: share of each target's probability that is spread over all symbols (Szegedy 2016).
        softmax: full: every symbol has a vector as wide as what is read; adaptive: rare ones have shorter vectors, and
            are looked at only where one is meant, which makes vocabularies of many thousand symbols cheap. Needs tied:
            false.
        cutoffs: of an adaptive softmax: the symbols, numbered from the most frequent to the rarest, at which its parts
            of rare ones begin; by default where 85 % and 95 % of the training targets come before.
        copy: whether symbols of the first input can be said from there, by a pointer (pointer-generator), also words,
            characters and symbols that the vocabulary lacks; it shares its vocabulary with the output
            (`tokenizer: {same_as: INPUT}`).
        coverage: with copy: whether what was copied already is held against copying it again, also in the loss.

    Errors:
        ConfigError: options exclude each other; or copying from an input without steps.

    Source: copy and coverage: See 2017, arXiv:1704.04368, sections 2.2 and 2.3; adaptive softmax: Grave 2017,
        arXiv:1609.04309; tied: Press and Wolf 2017, arXiv:1608.05859, to the input's embedding too: Vaswani 2017,
        arXiv:1706.03762, section 3.4; word_dropout: Bowman 2016, arXiv:1511.06349, section 3.1.1; the decoder
    names its own.
    """

    aligns = frozenset({"free"})
    generates = True

    variants = ({"label_smoothing": 0.1}, {"dropout": 0.5})

    def __init__(
        self,
        spec: Symbols,
        sizes: Sequence[Sizes],
        *,
        decoder: Annotated[Settings, Room("decoders")] = "recurrent",
        embedding_size: Count = 256,
        tied: bool | Literal["input"] = False,
        bias: bool = True,
        dropout: Rate = 0.0,
        word_dropout: Rate = 0.0,
        label_smoothing: Rate = 0.0,
        softmax: Literal["full", "adaptive"] = "full",
        cutoffs: Annotated[tuple[Count, ...], Strict(False)] = (),
        copy: bool = False,
        coverage: bool = False,
    ):
        super().__init__()
        wants_symbols("autoregressive", spec)
        if coverage and not copy:
            raise ConfigError("coverage: belongs to copy: true; set that too, or leave coverage out")
        if copy and label_smoothing:
            raise ConfigError("label_smoothing: would share out what is copied; leave it out, or set copy: false")
        if copy and sizes[0].steps is None:
            raise ConfigError("copy: the first input that it reads gives no steps to copy; leave copy out")
        self.begin, self.end, self.num_symbols, self.dropout = spec.begin, spec.end, spec.size, dropout
        self.word_dropout, self.unknown = word_dropout, spec.unknown

        def embed() -> Table:
            table = Table(spec.size, embedding_size)
            nn.init.normal_(table.weight, std=embedding_size**-0.5)
            return table

        wanted = embedding_size if tied else None
        self.decoder = build(decoder, "decoders", sizes, embed, embedding_size, wanted, dropout)
        width = self.decoder.output_size
        self.shares_embedding = tied == "input"
        self.output = softmax_of(
            softmax, width, spec.size, cutoffs, label_smoothing=label_smoothing, tied=bool(tied), bias=bias
        )
        if tied:
            self.output.weight = self.decoder.embedding.weight
        self.attended = self.decoder.attended
        self.shares_vocabulary = copy
        self.pointer = Pointer(width, sizes[0].steps or 0, coverage=coverage) if copy else None
        self.penalties = ("coverage",) if coverage else ()

    def share_embedding(self, encoder: Encoder) -> None:
        own = self.decoder.embedding.weight
        embedding = next((module for module in encoder.modules() if isinstance(module, nn.Embedding)), None)
        theirs = None if embedding is None else tuple(embedding.weight.shape)
        if embedding is None or theirs != own.shape:
            raise ConfigError(
                f"tied: input: the embedding of that input is {theirs or 'no table'}, and that of the output is "
                f"{tuple(own.shape)}; give both the same embedding_size and learnt symbols, or set tied: true"
            )
        embedding.weight = own

    @classmethod
    def copies(cls, settings: Settings) -> bool:
        return settings.copy

    def obstacle(self) -> str | None:
        return self.decoder.obstacle()

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        steps, truth = self._shifted(targets)
        if self.word_dropout and self.training:
            lost = torch.rand(len(truth), device=truth.device) < self.word_dropout
            steps = steps.with_values(steps.values.masked_fill(lost & (steps.values != self.begin), self.unknown))
        features = self.decoder.run(encoded, steps, lambda features: self.output(features).argmax(1))
        if self.pointer is not None:
            return self._copying_loss(encoded, steps.with_values(self._dropped(features)), truth)
        return Loss(self.output.loss(self._dropped(features), truth), len(truth))

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        steps, truth = self._shifted(targets)
        features = self.decoder.run(encoded, steps)
        if self.pointer is not None:
            source = Source.of(encoded)
            copied = self.pointer(steps.with_values(features), source)
            symbols, layout = source.symbols, steps.layout
            predicted = [
                by_step(self._mixed(features[part], copied, part, symbols[layout.rows[part]]), truth[part])
                for part in pieces(len(truth), self.num_symbols)
            ]
            return Scored.of_steps(torch.cat(predicted), layout)
        scores = by_step_in_pieces(lambda part: Categorical(self.output(features[part])), truth, self.num_symbols)
        return Scored.of_steps(scores, steps.layout)

    def _copying_loss(self, encoded: Sequence[Encoded], features: Steps, truth: Tensor) -> Loss:
        source, layout = Source.of(encoded), features.layout
        copied = self.pointer(features, source)
        total = truth.new_zeros((), dtype=copied.logs.dtype)
        for part in pieces(len(truth), self.num_symbols):
            mixed = self._mixed(features.values[part], copied, part, source.symbols[layout.rows[part]])
            total = total + mixed.loss(truth[part]).total
        penalties = {"coverage": (copied.penalty, len(truth))} if self.penalties else {}
        return Loss(total, len(truth), penalties)

    def _mixed(self, features: Tensor, copied: Copied, part: slice, symbols: Tensor) -> Categorical:
        """Of R features: every symbol of the vocabulary, then that of each place of the source, which is -1 at none."""
        generated = self.output(features).log_softmax(1) + copied.generated[part].unsqueeze(1)
        pointed = copied.logs[part] + copied.copied[part].unsqueeze(1)
        every = torch.arange(self.num_symbols, device=symbols.device).expand(len(symbols), -1)
        support = torch.cat([every, symbols.clamp(min=0)], 1)
        return Categorical(torch.cat([generated, pointed], 1), support=support, normalized=True)

    def _pointed(self, features: Steps, state: Decoding, after: Decoding) -> tuple[Categorical, Decoding]:
        """The distributions after features that a decoder gave, and its state with what is copied from."""
        source = Source(*state.memory[1]).select(state.rows)
        covered = state.values.get(COVERED)
        copied = self.pointer(features, source, covered)
        values = after.values if covered is None else {**after.values, COVERED: copied.covered}
        mixed = self._mixed(features.values, copied, slice(None), source.symbols[features.layout.rows])
        return mixed, replace(after, memory=state.memory, values=values)

    def _inner(self, state: Decoding) -> Decoding:
        """The state of the decoder alone."""
        values = {name: value for name, value in state.values.items() if name != COVERED}
        return replace(state, memory=state.memory[0], values=values)

    def _shifted(self, targets: Steps) -> tuple[Steps, Tensor]:
        """What the decoder reads (begin, then the targets) and what follows each of these (the targets, then end)."""
        read = targets if self.pointer is None else targets.with_values(self._known(targets.values))
        return read.prepended(self.begin), targets.appended(self.end).values

    def _known(self, symbols: Tensor) -> Tensor:
        """Symbols as the decoder reads them: what is copied though the vocabulary lacks it is the unknown one."""
        return symbols.masked_fill(symbols >= self.num_symbols, self.unknown)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        state = self.decoder.start(encoded)
        if self.pointer is None:
            return state
        source = Source.of(encoded)
        covered = {COVERED: source.vectors.new_zeros(source.symbols.shape)} if self.penalties else {}
        return replace(state, memory=(state.memory, (source.vectors, source.symbols)), values=state.values | covered)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Categorical, Decoding]:
        if self.pointer is not None:
            features, after = self.decoder.extend(steps.with_values(self._known(steps.values)), self._inner(state))
            return self._pointed(steps.with_values(self._dropped(features)), state, after)
        features, after = self.decoder.extend(steps, state)
        return Categorical(self.output(self._dropped(features)), steps.layout), after

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        if self.pointer is not None:
            features, after = self.decoder.step(self._known(steps), self._inner(state))
            layout = Layout.equal(len(steps), 1, steps.device)
            return self._pointed(Steps(self._dropped(features), layout), state, after)
        features, after = self.decoder.step(steps, state)
        return Categorical(self.output(self._dropped(features), after.packed)), after

    def _dropped(self, values: Tensor) -> Tensor:
        return dropped(values, self.dropout) if self.dropout and self.training else values
