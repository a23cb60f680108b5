"""Vectors one by one, such as the points of a drawing: a head of `next` above a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from torch import Tensor, nn

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._losses import described
from ostinato.heads.contract import Generator, Head, Loss, NextHead, Scored, Sizes
from ostinato.modalities.contract import Symbols, Values
from ostinato.registry import Count, Rate, Room, Settings, build, component
from ostinato.steps import Steps


class Decoded(Head, Generator):
    """Predicts vectors one by one, each from those before it and from the inputs.

        a[i]    = decoder(W y[0..i-1] + b, inputs)        y[0] = 0
        p(y[i]) = step_head(a[i])

    With an input of text that a decoder attends to, a pen writes what it reads; from the code of `join: latent` and
    without attention it is the decoder of a variational autoencoder of drawings.

    Shapes:
        targets (N, C), no number missing

    Args:
        decoder: how the vectors so far and the inputs become the features a[i].
        step_head: what predicts a vector from these, a head on `next`.
        embedding_size: rows of W.
        dropout: on W y + b and between the decoder's layers.

    Errors:
        ConfigError: a step of the output is no vector of numbers; `step_head` predicts no next step, or refuses such a
            vector.

    Source: Graves 2013, arXiv:1308.0850, section 5, with an attention and a decoder of the house in place of its
        window; Ha and Eck 2017, arXiv:1704.03477, section 3.2, whose code enters each step too.
    """

    aligns = frozenset({"free"})
    generates = True

    def __init__(
        self,
        spec: Values,
        sizes: Sequence[Sizes],
        *,
        decoder: Annotated[Settings, Room("decoders")] = "recurrent",
        step_head: Annotated[Settings, Room("heads", inner=True)] = "mixture_density",
        embedding_size: Count = 64,
        dropout: Rate = 0.0,
    ):
        if not isinstance(spec, Values):
            other = "; head: autoregressive predicts symbols" if isinstance(spec, Symbols) else ""
            raise ConfigError(f"decoded: a step is a vector of numbers, not {described(spec)}{other}")
        member: Any = component("heads", step_head.type)
        if not issubclass(member, NextHead):
            raise ConfigError(f"decoded: step_head: {step_head.type} does not predict what follows; take one on `next`")
        super().__init__()
        self.num_values = spec.size
        self.decoder = build(
            decoder, "decoders", sizes, lambda: nn.Linear(spec.size, embedding_size), embedding_size, None, dropout
        )
        self.attended = self.decoder.attended
        self.step_head: Any = build(step_head, "heads", spec, [Sizes(self.decoder.output_size, None)])
        self.begin, self.end, self.num_symbols = self.step_head.begin, self.step_head.end, self.step_head.num_symbols

    def obstacle(self) -> str | None:
        return self.decoder.obstacle()

    def ended(self, steps: Tensor) -> Tensor:
        return self.step_head.ended(steps)

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return self.step_head.loss(self._read(encoded, targets), targets)

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        return self.step_head.score(self._read(encoded, targets), targets)

    def _read(self, encoded: Sequence[Encoded], targets: Steps) -> list[Encoded]:
        """The features after each step of whole targets, as the encoded input of the head on `next`."""
        steps = self.step_head.prepare_input(targets)
        features = self.decoder.run(encoded, steps, lambda own: self.step_head.predict_next(own).mode())
        return [Encoded(steps.with_values(features), None, None)]

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        return self.decoder.start(encoded)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Distribution, Decoding]:
        features, after = self.decoder.extend(steps, state)
        return self.step_head.predict_next(features), after

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        features, after = self.decoder.step(steps, state)
        return self.step_head.predict_next(features, None, after.packed), after
