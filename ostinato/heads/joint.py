"""CTC and attention over one encoder, each judging what the other says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from torch import Tensor

from ostinato.decoders.contract import Decoding, joined, parted
from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.heads.contract import BestPath, Generator, Head, Loss, Scored, Sizes, by_step
from ostinato.heads.ctc import CTC
from ostinato.modalities.contract import Symbols
from ostinato.registry import Rate, Room, Settings, build, component
from ostinato.steps import Steps


class Joint(Head, Generator):
    """Connectionist temporal classification and an attention decoder that read one encoder.

        loss            = (1 - w) loss of `attention` + w loss of `ctc`
        log p(v | h, x) = (1 - w) log p_attention(v | h, x) + w log p_ctc(v | h, x)

    Attention alone may skip or repeat parts of a long source; CTC alone knows nothing of what was said before. In
    training CTC makes the encoder keep the order of the source, and in a search every symbol is judged by both: p_ctc
    is the share of the targets that begin with h v among those that begin with h (`ctc`). Over all
    targets these probabilities sum to 1 at most, so that perplexity is an upper bound. With `search: {type: greedy,
    path: true}`, and for the times of symbols, CTC answers alone.

    Shapes:
        as of `ctc`; the first input that it reads is labelled

    Args:
        attention: the head beside CTC.
        weight: w, above 0.
        dropout: of what the softmax of CTC reads.

    Errors:
        ConfigError: `weight: 0`; `attention` is no head that generates symbols; the first input has no steps.

    Source: Watanabe et al. 2017, doi:10.1109/JSTSP.2017.2763455, sections II.C and II.D.
    """

    aligns = frozenset({"free"})
    generates = True
    labels_source = True
    targets_rule = CTC.targets_rule

    def __init__(
        self,
        spec: Symbols,
        sizes: Sequence[Sizes],
        *,
        attention: Annotated[Settings, Room("heads", inner=True)] = "autoregressive",
        weight: Rate = 0.3,
        dropout: Rate = 0.0,
    ):
        super().__init__()
        member: Any = component("heads", attention.type)
        if not weight:
            raise ConfigError(f"joint: weight: 0 leaves CTC out; set head: {attention.type}, or a weight above 0")
        if not member.generates or member.labels_source or not member.aligns & self.aligns:
            raise ConfigError(
                f"joint: attention: {attention.type} generates no symbols by attention; set attention: autoregressive"
            )
        self.weight = weight
        self.attention: Any = build(attention, "heads", spec, sizes)
        self.ctc = CTC(spec, sizes[:1], dropout=dropout)
        self.begin, self.end, self.num_symbols = spec.begin, spec.end, spec.size
        self.attended, self.penalties = self.attention.attended, self.attention.penalties
        self.shares_embedding = self.attention.shares_embedding
        self.shares_vocabulary = self.attention.shares_vocabulary

    @classmethod
    def targets_allowed(cls, source_lengths: Tensor, targets: Steps) -> Tensor:
        return CTC.targets_allowed(source_lengths, targets)

    def share_embedding(self, encoder: Encoder) -> None:
        self.attention.share_embedding(encoder)

    def obstacle(self) -> str | None:
        return self.attention.obstacle()

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        own, other = self.attention.loss(encoded, targets), self.ctc.loss(encoded[:1], targets)
        total = (1 - self.weight) * own.total + self.weight * other.total
        return own._replace(total=total)

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        truth = targets.appended(self.end)
        distribution, _ = self.extend(targets.prepended(self.begin), self.start(encoded))
        scored = Scored.of_steps(by_step(distribution, truth.values), truth.layout)
        own = self.attention.score(encoded, targets).log_probability
        other = self.ctc.score(encoded[:1], targets).log_probability
        return replace(scored, log_probability=(1 - self.weight) * own + self.weight * other)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        return self._together([self.attention.start(encoded), self.ctc.start(encoded[:1])])

    def extend(self, steps: Steps, state: Decoding) -> tuple[Categorical, Decoding]:
        return self._judged([head.extend(steps, own) for head, own in self._parts(state)])

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        return self._judged([head.step(steps, own) for head, own in self._parts(state)])

    def spans(self, state: Decoding, answers: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
        return self.ctc.spans(parted(state)[1], answers)

    def paths(self, state: Decoding, before: int | None = None) -> list[BestPath]:
        return self.ctc.paths(parted(state)[1], before)

    def _parts(self, state: Decoding) -> Iterator[tuple[Any, Decoding]]:
        """Both heads, each with its own state."""
        first, second = parted(state)
        return zip((self.attention, self.ctc), (replace(first, attention=state.attention), second))

    def _judged(self, read: Sequence[tuple[Any, Decoding]]) -> tuple[Categorical, Decoding]:
        (own, first), (other, second) = read
        logs = (1 - self.weight) * own.by_symbol(self.num_symbols) + self.weight * other.log_probabilities
        return Categorical(logs, own.layout, normalized=True), self._together([first, second])

    def _together(self, states: Sequence[Decoding]) -> Decoding:
        return replace(joined(states), attention=states[0].attention)
