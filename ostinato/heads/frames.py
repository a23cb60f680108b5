"""Frames: vectors of numbers one after the other, such as those of a spectrum, and where they end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution
from ostinato.distributions.mixture import Mixture
from ostinato.distributions.normal import Normal
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._losses import described
from ostinato.heads.contract import Generator, Head, Loss, Scored, Sizes, by_step
from ostinato.layers.dropout import dropped
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Positive, Rate, Room, Settings, build
from ostinato.steps import Layout, Steps

HELD, PHASE, SURVIVED = "held", "phase", "survived"
"""The names of values in a state: the decoder's last features, how many frames were read since it read one, and the
logarithm of the probability that no end was among them."""


class Frames(Head, Generator):
    """Predicts frames one by one, r of them each time that the decoder reads one, and after each whether it is last.

        e[i]         = dropout(relu(W_2 dropout(relu(W_1 y[i r] + b_1)) + b_2))        pre-net; y[0] = 0
        a[i]         = decoder(e[0..i], inputs)
        p(end at j)  = sigmoid(u_j a[i] + c_j)                                         j = 1..r, instead of y[i r + j]
        p(y[i r + j]) = sum over k of w[k] product over numbers c of N(y_c; m[k, c], s[k, c])

    w through a softmax, m, and s through a softplus are linear in a[i], each j with weights of its own. The pre-net's
    dropout hides so much of the last frame that the inputs must be read; in predictions nothing is dropped. Greedy
    search takes the centers m, and ends at the median of the lengths: where having ended is more probable than not. The
    end of a sound is seldom certain at any one frame. `sample` draws frames around m, and ends as often as p says; with
    a bias its lengths are those of the middle exp(-bias) of their distribution.

    Shapes:
        targets (N, C), no number missing; state values those of the decoder, `held` (R, A), `phase` and `survived` (R,)

    Args:
        decoder: how the frames so far and the inputs become the features a[i].
        reduction: r.
        components: of the mixture; 1: a normal distribution.
        least_scale: added to s: a density of numbers that repeat exactly, as in silence, would grow without bound.
        prenet_size: width of both layers of the pre-net.
        prenet_dropout: in both layers of the pre-net.
        dropout: on what the pre-net gives, between the decoder's layers and before the output.

    Errors:
        ConfigError: a step of the output is no vector of measured numbers.

    Source: Wang et al. 2017, arXiv:1703.10135, section 3; the end: Shen et al. 2018, arXiv:1712.05884, section 2.2;
        mixture: Bishop 1994, NCRG/94/004, in place of their distances.
    """

    aligns = frozenset({"free"})
    generates = True
    begin, end, num_symbols = 0.0, math.nan, 0

    def __init__(
        self,
        spec: Values,
        sizes: Sequence[Sizes],
        *,
        decoder: Annotated[Settings, Room("decoders")] = "recurrent",
        reduction: Count = 3,
        components: Count = 1,
        least_scale: Positive = 0.1,
        prenet_size: Count = 128,
        prenet_dropout: Rate = 0.5,
        dropout: Rate = 0.0,
    ):
        if not isinstance(spec, Values) or spec.signs:
            raise ConfigError(f"frames: a step is a vector of numbers without gaps, not {described(spec)}")
        super().__init__()
        self.num_values, self.reduction, self.components = spec.size, reduction, components
        self.least_scale, self.dropout = least_scale, dropout
        self.decoder = build(
            decoder,
            "decoders",
            sizes,
            lambda: PreNet(spec.size, prenet_size, prenet_dropout),
            prenet_size,
            None,
            dropout,
        )
        self.attended = self.decoder.attended
        self.output = nn.Linear(self.decoder.output_size, reduction * (1 + components * (1 + 2 * spec.size)))

    def obstacle(self) -> str | None:
        return self.decoder.obstacle()

    def ended(self, steps: Tensor) -> Tensor:
        return steps.isnan().all(1)

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return self._whole(encoded, targets).loss(targets.appended(self.end).values)

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        truth = targets.appended(self.end)
        return Scored.of_steps(by_step(self._whole(encoded, targets), truth.values), truth.layout)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        state = self.decoder.start(encoded)
        held = self.output.weight.new_zeros(len(state.rows), self.decoder.output_size)
        own = {HELD: held, PHASE: torch.zeros_like(state.rows), SURVIVED: held.new_zeros(len(held))}
        return replace(state, values={**state.values, **own})

    def extend(self, steps: Steps, state: Decoding) -> tuple[Distribution, Decoding]:
        values = dict(state.values)
        held, phase, survived = values.pop(HELD), values.pop(PHASE), values.pop(SURVIVED)
        places = self._places(steps.layout, phase)
        read, inner = Steps(steps.values[places.read], places.layout), replace(state, values=values)
        features, after = held.new_zeros(0, held.shape[1]), inner
        if places.layout.full and places.layout.longest == 1:
            features, after = self.decoder.step(read.values, inner)
        elif places.layout.total:
            features, after = self.decoder.extend(read, inner)
        pool, lengths = torch.cat([features, held]), places.layout.lengths.to(phase)
        last = places.layout.offsets[1:].to(phase) - 1
        kept = torch.where(lengths > 0, last, len(features) + torch.arange(len(phase), device=phase.device))
        phase = (phase + steps.layout.lengths.to(phase)) % self.reduction
        ending = self._predict(pool, places.features, places.slots, steps.layout).after(survived)
        own = {HELD: pool.index_select(0, kept), PHASE: phase, SURVIVED: survived + steps.layout.sums(ending.going_on)}
        return ending, replace(after, values={**after.values, **own})

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        return self.extend(Steps(steps, Layout.equal(len(steps), 1, steps.device)), state)

    def _whole(self, encoded: Sequence[Encoded], targets: Steps) -> Ending:
        """The distribution of each step of whole targets, and of what follows the last."""
        steps = targets.prepended(self.begin)
        phase = torch.zeros(len(steps.layout), dtype=torch.int64, device=steps.values.device)
        places = self._places(steps.layout, phase)
        read = Steps(steps.values[places.read], places.layout)
        features = self.decoder.run(encoded, read, self._last_frame)
        return self._predict(features, places.features, places.slots, steps.layout)

    def _last_frame(self, features: Tensor) -> Tensor:
        """What the decoder would read next, from features (N, A)."""
        every = torch.arange(len(features), device=features.device)
        return self._predict(features, every, torch.full_like(every, self.reduction - 1), None).frames.mode()

    def _places(self, layout: Layout, phase: Tensor) -> Places:
        slots = (phase.index_select(0, layout.rows) + layout.positions) % self.reduction
        due = (slots == 0).long()
        own = Layout(layout.sums(due).cpu(), slots.device)
        last = due.cumsum(0) - 1
        first = own.offsets.to(last).index_select(0, layout.rows)
        return Places(due.nonzero().squeeze(1), own, torch.where(last < first, own.total + layout.rows, last), slots)

    def _predict(self, features: Tensor, places: Tensor, slots: Tensor, layout: Layout | None) -> Ending:
        features = dropped(features, self.dropout) if self.dropout and self.training else features
        parts = self.output(features).unflatten(1, (self.reduction, -1))[places, slots]
        count, size = self.components, self.num_values
        end, weights, location, scale = parts.split([1, count, count * size, count * size], 1)
        normals = Normal(*(part.unflatten(1, (count, size)) for part in (location, self._positive(scale))))
        return Ending(Mixture(weights, normals), end.squeeze(1), layout)

    def _positive(self, scale: Tensor) -> Tensor:
        return functional.softplus(scale) + self.least_scale


class Places(NamedTuple):
    """Where the decoder reads, and what each step is predicted from.

    Args:
        read: the numbers of the steps that it reads.
        layout: of these.
        features: of each step the number of the features that the decoder gave at it or last before it; beyond these,
            those held of its row.
        slots: of each step its place among those that are predicted from one vector of features.
    """

    read: Tensor
    layout: Layout
    features: Tensor
    slots: Tensor


class PreNet(nn.Module):
    """Two layers between a frame (N, C) and the decoder, with dropout."""

    def __init__(self, size: int, width: int, dropout: float):
        super().__init__()
        self.first, self.second, self.dropout = nn.Linear(size, width), nn.Linear(width, width), dropout

    def forward(self, frames: Tensor) -> Tensor:
        read = frames.to(self.first.weight)
        for layer in (self.first, self.second):
            read = layer(read).relu()
            read = dropped(read, self.dropout) if self.dropout and self.training else read
        return read


class Ending(Distribution):
    """Frames, or the end in place of one: a target of NaN.

        p(end) = sigmoid(logits);   p(y) = (1 - sigmoid(logits)) p_frames(y)

    The mode is the end where it is more probable than not that it has come by then. With a bias the length is drawn
    from the middle exp(-bias) of its distribution: an end that is improbable at each of the first frames may yet come
    at one of them. Of several the probabilities of the end are averaged, those of having come so far, and the
    distributions of frames.

    Shapes:
        targets (R, C); logits, survived (R,)

    Args:
        frames: the distribution of the frames alone.
        logits: of the end.
        layout: of the targets.
        survived: the logarithm of the probability that no frame before was the end; None: that is certain.
        middle: the share of the distribution of lengths, around its median, that is drawn from.
    """

    def __init__(
        self,
        frames: Mixture,
        logits: Tensor,
        layout: Layout | None = None,
        survived: Tensor | None = None,
        middle: float = 1.0,
    ):
        self.frames, self.logits, self.layout, self.lacks, self.middle = frames, logits, layout, frames.lacks, middle
        self.survived = torch.zeros_like(logits) if survived is None else survived

    def after(self, survived: Tensor) -> Ending:
        """The same of steps of rows, of which each has survived (R,) so far, in the logarithm."""
        assert self.layout is not None, "they are steps of rows"
        total = functional.pad(self.going_on.double().cumsum(0), (1, 0))
        begun = total.index_select(0, self.layout.offsets[:-1].to(total.device))
        since = total[:-1] - begun.index_select(0, self.layout.rows)
        return Ending(
            self.frames, self.logits, self.layout, survived.index_select(0, self.layout.rows) + since.to(survived)
        )

    @property
    def going_on(self) -> Tensor:
        """ln(1 - p(end))."""
        return functional.logsigmoid(-self.logits)

    @property
    def draws(self) -> int:
        """Those of a frame, and one that decides about the end: that of the first number of a row."""
        return 1 + self.frames.draws

    def score(self, target: Tensor) -> Tensor:
        ended = target.isnan().all(1)
        return functional.logsigmoid(torch.where(ended, 1, -1) * self.logits) + self.frames.score(target)

    def log_prob(self, target: Tensor) -> Tensor:
        return self.score(target)

    def mode(self) -> Tensor:
        return self._or_end(self.frames.mode(), self.survived + self.going_on < -math.log(2))

    def sample(self, uniform: Tensor) -> Tensor:
        return self._or_end(self.frames.sample(uniform[..., 1:]), uniform[:, 0, 0] < self._ends())

    def counts(self, target: Tensor) -> Tensor:
        return self.frames.counts(target) + 1

    def right(self, target: Tensor) -> Tensor:
        return self.frames.right(target) + ((self.logits > 0) == target.isnan().all(1))

    def biased(self, bias: float) -> Ending:
        middle = self.middle * math.exp(-bias)
        return Ending(self.frames.biased(bias), self.logits, self.layout, self.survived, middle)

    def mean_of(self, others: Sequence[Ending]) -> Ending:
        if not others:
            return self
        share = torch.stack([other.logits.sigmoid() for other in (self, *others)]).mean(0)
        survived = torch.stack([other.survived.exp() for other in (self, *others)]).mean(0).log()
        frames = self.frames.mean_of([other.frames for other in others])
        return Ending(frames, share.logit(1e-6), self.layout, survived)

    def _ends(self) -> Tensor:
        """The probability (R,) float64 of an end where none came, its length drawn from the middle."""
        share = self.logits.double().sigmoid()
        if self.middle == 1:
            return share
        least = (1 - self.middle) / 2
        before = -self.survived.double().expm1()
        after = (before + (1 - before) * share).clamp(least, 1 - least)
        before = before.clamp(least, 1 - least)
        left = 1 - least - before
        return torch.where(left > 0, (after - before) / left, 1.0)

    def _or_end(self, frames: Tensor, ended: Tensor) -> Tensor:
        return frames.masked_fill(ended.unsqueeze(1), math.nan)
