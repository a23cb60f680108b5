"""Every distribution keeps the laws, and the laws see one that breaks them."""

import pytest

from ostinato import registry
from ostinato.distributions.normal import Normal
from ostinato.errors import ConfigError
from ostinato.testing import distributions as laws
from ostinato.testing import laws as every
from tests.distributions.cases import CASES as OWN

CASES = [
    pytest.param(case, id=f"{name}-{number}")
    for name in registry.names("distributions")
    for number, case in enumerate(OWN[registry.component("distributions", name)])
]


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES)
def test_law(law, case):
    law(case)


@pytest.mark.parametrize(
    ("method", "wrong", "law"),
    [
        ("densities", lambda honest: lambda self, values: honest(self, values) + 0.1, laws.probabilities_sum_to_one),
        ("mode", lambda honest: lambda self: honest(self) + 1, laws.the_mode_scores_best),
        ("quantile", lambda honest: lambda self, levels: 2 * honest(self, levels) - self.mode(),
         laws.quantiles_invert_the_distribution),
        ("sample", lambda honest: lambda self, uniform: honest(self, uniform**2), laws.samples_have_its_frequencies),
        ("score", lambda honest: lambda self, target: honest(self, target).nan_to_num() + 1,
         laws.what_is_missing_is_left_out),
    ],
)  # fmt: skip
def test_the_laws_see_what_breaks_them(monkeypatch, method, wrong, law):
    monkeypatch.setattr(Normal, method, wrong(getattr(Normal, method)), raising=False)
    with pytest.raises(AssertionError):
        law(OWN[Normal][0])


def test_the_advice_on_a_distribution_of_another_package(monkeypatch):
    other = type("Other", (Normal,), {})
    advice = "made from tensors that it alone knows; put a Case of it into ostinato.testing.distributions.CASES"
    with pytest.raises(ConfigError, match=advice):
        every.run("distributions", other)
    monkeypatch.setitem(laws.CASES, other, laws.CASES[Normal])
    every.run("distributions", other)
