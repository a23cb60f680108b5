"""Frequent symbols are generated, and all others copied from the source, so that what may follow differs by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor, nn

from ostinato.contracts import (
    Categorical,
    ConfigError,
    Count,
    Decoding,
    Encoded,
    Generator,
    Head,
    Loss,
    Room,
    Scored,
    Settings,
    Sizes,
    Steps,
    Symbols,
    build,
    by_step,
)


class Copying(Head, Generator):
    """Predicts symbol by symbol, one of the most frequent ones or one that the source has.

        a[i]      = decoder(embedding(y[0..i-1]), inputs)
        p(y[i])   = softmax([W_o a[i] + b_o; h[1] . W_c a[i]; ...; h[S] . W_c a[i]])
                    of the symbols 0 to `generated` - 1, then of the symbol at each step h[s] of the source

    A symbol with several places has their sum. The first input that the output reads is the source; it shares its
    vocabulary with the output (`same_as`).

    Shapes:
        targets (N,) symbols; scores (N, generated + S)

    Args:
        decoder: how the target so far and the inputs become the features a[i].
        embedding_size: width of the symbols' vectors.
        generated: how many symbols, from the most frequent one, need not be in the source.

    Errors:
        ConfigError: the output has no symbols; the source gives no steps, or not one for each of its symbols.

    Source: Gu et al. 2016, arXiv:1603.06393, section 3.2, without its selective read.
    """

    aligns = frozenset({"free"})
    generates = True

    def __init__(
        self,
        spec: Symbols,
        sizes: Sequence[Sizes],
        *,
        decoder: Annotated[Settings, Room("decoders")] = "recurrent",
        embedding_size: Count = 64,
        generated: Count = 1000,
    ):
        if not isinstance(spec, Symbols):
            raise ConfigError("copying: copies symbols; give an output of a type of texts or tokens")
        super().__init__()
        if sizes[0].steps is None:
            raise ConfigError("copying: the first input that it reads gives no steps to copy; name another one first")
        self.begin, self.end, self.num_symbols, self.unknown = spec.begin, spec.end, spec.size, spec.unknown
        self.generated = min(spec.size, max(generated, spec.begin + 1, spec.end + 1, spec.unknown + 1))
        self.decoder = build(
            decoder, "decoders", sizes, lambda: nn.Embedding(spec.size, embedding_size), embedding_size, None, 0.0
        )
        self.output = nn.Linear(self.decoder.output_size, self.generated)
        self.query = nn.Linear(self.decoder.output_size, sizes[0].steps)
        self.attended = self.decoder.attended

    def obstacle(self) -> str | None:
        return self.decoder.obstacle()

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        distribution, truth = self._predicted(encoded, targets)
        return distribution.loss(truth.values)

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        distribution, truth = self._predicted(encoded, targets)
        return Scored.of_steps(by_step(distribution, truth.values), truth.layout)

    def _predicted(self, encoded: Sequence[Encoded], targets: Steps) -> tuple[Categorical, Steps]:
        """What is predicted of whole targets, and these with their end; what their row has no symbol for is unknown."""
        steps, truth = targets.prepended(self.begin), targets.appended(self.end)
        distribution = self._distribution(self.decoder.run(encoded, steps), steps.layout.rows, *_source(encoded[0]))
        assert distribution.support is not None
        there = (distribution.support == truth.values.unsqueeze(1)) & (distribution.scores > -torch.inf)
        return distribution, truth.with_values(torch.where(there.any(1), truth.values, self.unknown))

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        state = self.decoder.start(encoded)
        return replace(state, memory=(state.memory, *_source(encoded[0])))

    def extend(self, steps: Steps, state: Decoding) -> tuple[Categorical, Decoding]:
        own, *source = state.memory
        features, after = self.decoder.extend(steps, replace(state, memory=own))
        rows = state.rows.index_select(0, steps.layout.rows)
        return self._distribution(features, rows, *source), replace(after, memory=state.memory)

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        own, *source = state.memory
        features, after = self.decoder.step(steps, replace(state, memory=own))
        return self._distribution(features, state.rows, *source), replace(after, memory=state.memory)

    def _distribution(self, features: Tensor, rows: Tensor, vectors: Tensor, symbols: Tensor) -> Categorical:
        """Of features (R, A) that read the sources `rows` (R,)."""
        copied = symbols.index_select(0, rows)
        scores = torch.einsum("rsh,rh->rs", vectors.index_select(0, rows), self.query(features))
        scores = scores.masked_fill(copied < 0, -torch.inf)
        common = torch.arange(self.generated, device=rows.device).expand(len(rows), -1)
        return Categorical(
            torch.cat([self.output(features), scores], 1), support=torch.cat([common, copied.clamp(min=0)], 1)
        )


def _source(encoded: Encoded) -> tuple[Tensor, Tensor]:
    """The vectors (B, S, H) and the symbols (B, S) of the source; -1 is padding."""
    steps, source = encoded.steps, encoded.source
    assert steps is not None and source is not None
    values = source.values if source.values.values.ndim == 1 else source.values.with_values(source.values.values[:, 0])
    if values.layout != steps.layout:
        raise ConfigError("copying: the encoder of the source gives another number of steps than there are symbols")
    return steps.padded(), values.with_values(values.values.long() + 1).padded() - 1
