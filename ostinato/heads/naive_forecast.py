"""The head that repeats the end of a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ostinato.distributions.affine import Affine
from ostinato.distributions.contract import Distribution
from ostinato.distributions.quantile_levels import QuantileLevels
from ostinato.encoders.contract import Encoded
from ostinato.heads._windows import Normalize, OfOneSeries, Spread, Unit, fitted, refuse_others, unit_of
from ostinato.heads.contract import Outlook, PairsByTime, Sizes, Span
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Settings
from ostinato.steps import Steps


class NaiveForecast(OfOneSeries):
    """Repeats the last value of a series, or its last season.

        f[k] = x[T]                                          season: null, the last value
        f[k] = x[T - s + 1 + (k - 1) mod s]                  season: s
        q[k] = f[k] + d w[k, level]                          w is 0 at the median, d the deviation of the window

    A gap is filled by the value a season before, or by the last value. The spread w begins at the quantiles of the
    errors on training windows, and is all that is trained.

    It reads the window itself, so that `encoder: identity`, which has no weights, is enough.

    Shapes:
        targets (B * horizon, C + signs of gaps, which are not predicted)

    Args:
        season: steps of a season; null: the last value is repeated.
        normalize: window: the spread is in units of the window's deviation; none: of the data.

    Errors:
        ConfigError: the output is none of numbers; it reads another input too; or a season is longer than the lookback.

    Source: Hyndman and Athanasopoulos 2021, otexts.com/fpp3, section 5.2.
    """

    def __init__(
        self,
        spec: Values,
        sizes: Sequence[Sizes],
        span: Span,
        *,
        season: Count | None = None,
        normalize: Normalize = "window",
    ):
        super().__init__()
        refuse_others("naive_forecast", sizes)
        relative = "last" if season is None else "season"
        self.unit = unit_of("naive_forecast", spec, span, normalize, relative, season)
        self.spread = Spread(span.horizon, spec.channels)

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        level = self.unit.level(encoded[0].source.values)
        quantiles: Tensor = self.spread().expand(len(level.mean), -1, -1, -1)
        return Affine(QuantileLevels(quantiles), *level[:3], self.unit.horizon, self.unit.spec.signs)

    @classmethod
    def choose(cls, settings: Settings, outlook: Outlook) -> Mapping[str, tuple[Any, str]]:
        errors = {}
        for season in (None, outlook.season) if 1 < outlook.season <= outlook.span.lookback else (None,):
            relative = "last" if season is None else "season"
            unit = Unit(outlook.spec, outlook.span.horizon, settings.normalize, relative, season)
            errors[season] = fitted(unit, 0, *outlook.windows(), power=1).errors.mean().item()
        best = min(errors, key=errors.__getitem__)
        why = ", ".join(f"{'last value' if s is None else 'last season'}: {error:.4g}" for s, error in errors.items())
        return {} if best is None else {"season": (best, f"errors on the last fifth of the training windows: {why}")}

    def warm_start(self, windows: PairsByTime) -> str | None:
        start = fitted(self.unit, 0, *windows(), power=1)
        self.spread.start_from(start.spread)
        return "intervals from the errors of the naive forecast on the training windows"
