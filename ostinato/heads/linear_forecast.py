"""The head that is a linear map of the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ostinato.distributions.affine import Affine
from ostinato.distributions.contract import Distribution
from ostinato.distributions.quantile_levels import QuantileLevels
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._windows import (
    Normalize,
    OfOneSeries,
    Relative,
    Spread,
    chosen_unit,
    fitted,
    refuse_others,
    unit_of,
)
from ostinato.heads.contract import Outlook, PairsByTime, Sizes, Span
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Settings
from ostinato.steps import Steps


class LinearForecast(OfOneSeries):
    """A linear map of the last steps of a series to the next ones, one for all channels.

        z    = (x - m) / d                                        normalize: window; else m = 0, d = 1
        f[k] = m + d (l[k] + sum over j < steps of L[k, j] (z[T - j] - z[T]))
        q[k] = f[k] + d w[k, level]                               w is 0 at the median

    l is the naive forecast: the last value (relative: last), the last season, or 0. L begins at the ridge regression on
    the training windows, whose strength is chosen on the last fifth of them, or at 0 where it is no better than l
    there; w at the quantiles of what is left. Training goes on from there by the pinball loss.

    It reads the window itself, so that `encoder: identity`, which has no weights, is enough.

    Shapes:
        targets (B * horizon, C + signs of gaps, which are not predicted)

    Args:
        steps: how many last steps are read; null: all of the lookback.
        normalize: window: each window less its mean, divided by its deviation.
        relative: what the map adds to: the last value, the last season, or nothing.
        season: steps of a season, for `relative: season`.

    Errors:
        ConfigError: the output is none of numbers; it reads another input too; more steps than the lookback has; or a
            season is missing, without use, or longer than the lookback.

    Source: Zeng 2023, arXiv:2205.13504 (NLinear); in closed form: Toner and Darlow 2024, arXiv:2403.14587.
    """

    def __init__(
        self,
        spec: Values,
        sizes: Sequence[Sizes],
        span: Span,
        *,
        steps: Count | None = None,
        normalize: Normalize = "window",
        relative: Relative = "last",
        season: Count | None = None,
    ):
        super().__init__()
        refuse_others("linear_forecast", sizes)
        if steps is not None and steps > span.lookback:
            raise ConfigError(f"linear_forecast: steps: {steps} is more than the lookback, {span.lookback}; lower it")
        self.unit = unit_of("linear_forecast", spec, span, normalize, relative, season)
        self.map = nn.Linear(steps or span.lookback, span.horizon, bias=False)
        self.spread = Spread(span.horizon, spec.channels)
        nn.init.zeros_(self.map.weight)

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        source = encoded[0].source.values
        level = self.unit.level(source)
        place = self.map(self.unit.window(source, level, self.map.in_features)).transpose(1, 2)
        base = QuantileLevels(place.unsqueeze(3) + self.spread())
        return Affine(base, *level[:3], self.unit.horizon, self.unit.spec.signs)

    @classmethod
    def choose(cls, settings: Settings, outlook: Outlook) -> Mapping[str, tuple[Any, str]]:
        return chosen_unit(settings, outlook, settings.steps or outlook.span.lookback, power=1)

    @torch.no_grad()
    def warm_start(self, windows: PairsByTime) -> str | None:
        start = fitted(self.unit, self.map.in_features, *windows(), power=1)
        self.map.weight.copy_(start.weight)
        self.spread.start_from(start.spread)
        return start.note
