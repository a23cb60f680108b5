"""The temperature of probabilities that fits known targets best."""

from __future__ import annotations

import math
from collections.abc import Callable

HOTTEST = 20.0


def fitted_temperature(loss: Callable[[float], float]) -> float:
    """The temperature T of the least loss, between 1 / HOTTEST and HOTTEST.

        p_T(v) ~ p(v)^(1 / T)       T > 1: less sure

    Args:
        loss: of known targets, from T.

    Source: Guo, Pleiss, Sun and Weinberger 2017, arXiv:1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    limit = math.log(HOTTEST)
    fit = minimize_scalar(lambda logarithm: loss(math.exp(logarithm)), bounds=(-limit, limit), method="bounded")
    return math.exp(fit.x)
