"""The head forecast: its equations, what it may not see, and what it learns."""

import math

import pytest
import torch
from torch import distributions

from ostinato.encoders.contract import Source
from ostinato.errors import ConfigError
from ostinato.heads.contract import Sizes, Span, predicted, scored
from ostinato.heads.forecast import LEVELS, Forecast
from ostinato.modalities.contract import Labels, Values
from ostinato.registry import make
from ostinato.steps import Layout, Steps

LOOKBACK, HORIZON, HIDDEN = 6, 4, 5
NAN = float("nan")


class Case:
    """A head above an encoder of the series, one of something known ahead, and a summary."""

    def __init__(self, options=None, *, spec=Values(2), ahead=True, seed=0, dtype=torch.float32):
        torch.manual_seed(seed)
        build = lambda one, **more: make(  # noqa: E731
            "encoders", "recurrent", (one,), {"bidirectional": False, "hidden_size": HIDDEN, "cell": "gru", **more}
        )
        self.reader, self.beside = build(spec), build(Values(3))
        sizes = [Sizes(HIDDEN, HIDDEN), Sizes(HIDDEN, HIDDEN), Sizes(None, 2)]
        flags = (False, True, False)
        self.ahead = ahead
        if not ahead:
            sizes, flags = [sizes[0], sizes[2]], (False, False)
        self.head = make("heads", "forecast", (spec, sizes, Span(LOOKBACK, HORIZON, flags)), options or {}).to(dtype)
        self.spec = spec
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.add_(torch.randn_like(parameter) / 5)
        self.reader, self.beside = self.reader.to(dtype), self.beside.to(dtype)
        self.head.eval()

    def data(self, rows=3, seed=1, dtype=torch.float32):
        random = torch.Generator().manual_seed(seed)
        draw = lambda *shape: torch.randn(*shape, generator=random).to(dtype)  # noqa: E731
        values = draw(rows, LOOKBACK + HORIZON, self.spec.size) * 2 + 5
        if self.spec.signs:
            values[..., self.spec.channels :] = 0
        return values, draw(rows, LOOKBACK + HORIZON, 3), draw(rows, 2)

    def encoded(self, data):
        values, beside, whole = data
        past = steps(values[:, :LOOKBACK])
        first = self.reader.encode(self.head.prepare_input(past))._replace(source=Source(past, self.reader))
        second = self.beside.encode(steps(beside))
        third = second._replace(steps=None, summary=whole, state=None)
        return [first, second, third] if self.ahead else [first, third]

    def targets(self, data):
        return steps(data[0][:, LOOKBACK:])


def steps(values):
    return Steps(values.flatten(0, 1), Layout.equal(*values.shape[:2]))


EVERY = [
    {"strategy": strategy, "distribution": distribution, "normalize": normalize}
    for strategy in ("direct", "recursive")
    for distribution in ("point", "quantile", "student_t")
    for normalize in ("none", "window")
]


@pytest.mark.parametrize("options", EVERY, ids=str)
@torch.no_grad()
def test_several_heads_have_the_mean_of_their_quantiles_and_of_their_densities(options):
    cases = [Case(options, seed=seed, dtype=torch.float64) for seed in (0, 1, 2)]
    data = cases[0].data(dtype=torch.float64)
    read = [case.encoded(data) for case in cases]
    own, *others = (case.head.predict_distribution(one) for case, one in zip(cases, read))
    said, alone = predicted(own.mean_of(others)), [case.head.predict(one) for case, one in zip(cases, read)]
    torch.testing.assert_close(said.steps.values, torch.stack([one.steps.values for one in alone]).mean(0))
    for level in said.quantiles or ():
        torch.testing.assert_close(said.quantiles[level], torch.stack([one.quantiles[level] for one in alone]).mean(0))
    targets = cases[0].targets(data)
    own, *others = (case.head.predict_distribution(one, targets) for case, one in zip(cases, read))
    each = [member.densities(member.values_of(targets.values)) for member in (own, *others)]
    expected = torch.stack(each).exp().mean(0).log().sum((1, 2))
    torch.testing.assert_close(scored(own.mean_of(others), targets).log_probability, expected)
    torch.testing.assert_close(own.mean_of([own]).score(targets.values), own.score(targets.values))
    torch.testing.assert_close(own.mean_of([own]).mode(), own.mode())


@torch.no_grad()
def test_points_and_quantiles_have_no_mean():
    point, quantile = Case({"distribution": "point"}), Case({"distribution": "quantile"})
    data = point.data()
    with pytest.raises(ConfigError, match="points cannot be averaged with quantiles"):
        point.head.predict_distribution(point.encoded(data)).mean_of(
            [quantile.head.predict_distribution(quantile.encoded(data))]
        )


@pytest.mark.parametrize("normalize", ["none", "window"])
@pytest.mark.parametrize("distribution", ["point", "student_t"])
@torch.no_grad()
def test_a_score_is_the_density_in_the_unit_of_the_targets(distribution, normalize):
    case = Case({"distribution": distribution, "normalize": normalize}, dtype=torch.float64)
    data = case.data(dtype=torch.float64)
    encoded, targets = case.encoded(data), case.targets(data)
    head, level = case.head, case.head.unit.level(encoded[0].source.values)
    answers = head._at_once(encoded, level, 0.0)
    place = level.mean + level.deviation * (answers[..., 0] + level.last)
    if distribution == "point":
        said = distributions.Normal(place, level.deviation)
    else:
        scale = torch.nn.functional.softplus(answers[..., 1]) + 1e-4
        said = distributions.StudentT(2 + torch.nn.functional.softplus(answers[..., 2]), place, level.deviation * scale)
    expected = said.log_prob(data[0][:, LOOKBACK:]).sum((1, 2))
    torch.testing.assert_close(head.score(encoded, targets).log_probability, expected)


@torch.no_grad()
def test_a_quantile_costs_its_pinball_loss():
    case = Case({"distribution": "quantile", "relative": "none"}, spec=Values(1), dtype=torch.float64)
    data = case.data(rows=1, dtype=torch.float64)
    encoded = case.encoded(data)
    said = case.head.predict(encoded).quantiles
    truth = data[0][0, LOOKBACK:, 0]
    expected = 0.0
    for level in LEVELS:
        apart = truth - said[level][:, 0]
        expected += (
            torch.where(apart >= 0, level * apart, (level - 1) * apart) - math.log(level * (1 - level))
        ).sum() / len(LEVELS)
    loss = case.head.loss(encoded, case.targets(data))
    assert loss.count == HORIZON
    torch.testing.assert_close(loss.total, expected)


@pytest.mark.parametrize("options", EVERY)
@torch.no_grad()
def test_quantiles_never_cross_and_the_answer_is_the_median(options):
    case = Case(options)
    predicted = case.head.predict(case.encoded(case.data()))
    assert predicted.steps.values.shape == (3 * HORIZON, 2) and predicted.steps.layout == Layout.equal(3, HORIZON)
    if options["distribution"] == "point":
        assert predicted.quantiles is None
        return
    stacked = torch.stack(list(predicted.quantiles.values()))
    assert list(predicted.quantiles) == list(LEVELS) and (stacked.diff(dim=0) >= 0).all()
    assert torch.equal(predicted.quantiles[0.5], predicted.steps.values)


@pytest.mark.parametrize("options", EVERY)
@torch.no_grad()
def test_company_changes_nothing(options):
    case = Case(options)
    data = case.data(4)
    whole = case.head.predict(case.encoded(data)).steps.split()
    score = case.head.score(case.encoded(data), case.targets(data))
    for row in range(4):
        own = tuple(one[row : row + 1] for one in data)
        (alone,) = case.head.predict(case.encoded(own)).steps.split()
        torch.testing.assert_close(alone, whole[row], rtol=1e-4, atol=1e-5)
        one = case.head.score(case.encoded(own), case.targets(own))
        torch.testing.assert_close(one.log_probability[0], score.log_probability[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", EVERY)
@torch.no_grad()
def test_a_forecast_is_told_no_later_truth(options):
    case = Case(options)
    data = case.data()
    before = case.head.predict(case.encoded(data)).steps.values
    values = data[0].clone()
    values[:, LOOKBACK:] += 9
    assert torch.equal(case.head.predict(case.encoded((values, *data[1:]))).steps.values, before)


@torch.no_grad()
@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_weights_by_which_each_level_was_an_answer_alone_give_the_same_quantiles(strategy):
    case = Case({"strategy": strategy, "distribution": "quantile"}, dtype=torch.float64)
    data = case.data(dtype=torch.float64)
    expected = case.head.predict(case.encoded(data)).quantiles
    today = dict(case.head.state_dict())
    earlier = {name: tensor.clone() for name, tensor in today.items() if name != "from_median"}
    for name in ("straight.weight", "straight.bias", "output.weight", "output.bias"):
        by_level = earlier[name].view(-1, len(LEVELS), *earlier[name].shape[1:])
        median = by_level[:, len(LEVELS) // 2, None].clone()
        by_level += median
        by_level[:, len(LEVELS) // 2] = median[:, 0]
    assert case.head.of_earlier(today) is today
    case.head.straight.weight.zero_()
    case.head.load_state_dict(case.head.of_earlier(earlier))
    said = case.head.predict(case.encoded(data)).quantiles
    assert all(torch.allclose(said[level], expected[level], atol=1e-12) for level in LEVELS)


@torch.no_grad()
def test_all_quantiles_move_with_the_median():
    case = Case({"distribution": "quantile"}, ahead=False)
    encoded = case.encoded(case.data())
    before = case.head.predict(encoded).quantiles
    case.head.straight.bias.view(-1, len(LEVELS))[:, len(LEVELS) // 2] += 0.25
    after = case.head.predict(encoded).quantiles
    for level in LEVELS:
        torch.testing.assert_close(after[level] - before[level], torch.full_like(before[level], 0.25))


@pytest.mark.parametrize("distribution", ["point", "quantile", "student_t"])
@torch.no_grad()
def test_taught_step_by_step_a_density_depends_on_the_truth_before_it_alone(distribution):
    case = Case({"strategy": "recursive", "distribution": distribution})
    data = case.data()
    encoded = case.encoded(data)
    level = case.head.unit.level(encoded[0].source.values)
    answers, _ = case.head._taught(encoded, level, case.targets(data), 0.0)
    for k in range(HORIZON):
        values = data[0].clone()
        values[:, LOOKBACK + k :] += 3
        changed, _ = case.head._taught(encoded, level, steps(values[:, LOOKBACK:]), 0.0)
        torch.testing.assert_close(changed[:, : k + 1], answers[:, : k + 1])
        if k + 1 < HORIZON:
            assert not torch.allclose(changed[:, k + 1], answers[:, k + 1])


@pytest.mark.parametrize("distribution", ["point", "quantile"])
@torch.no_grad()
def test_told_its_own_answers_it_says_them_again(distribution):
    case = Case({"strategy": "recursive", "distribution": distribution, "normalize": "window"})
    data = case.data()
    encoded = case.encoded(data)
    own = case.head.predict(encoded).steps
    again = case.head.predict_distribution(encoded, own).mode()
    torch.testing.assert_close(again, own.values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", EVERY)
@torch.no_grad()
def test_what_is_known_ahead_matters_at_its_step(options):
    case = Case(options)
    data = case.data()
    before = case.head.predict(case.encoded(data)).steps.values.view(3, HORIZON, -1)
    beside = data[1].clone()
    beside[:, -2] += 2
    after = case.head.predict(case.encoded((data[0], beside, data[2]))).steps.values.view(3, HORIZON, -1)
    assert torch.equal(after[:, : HORIZON - 2], before[:, : HORIZON - 2]) and not torch.allclose(
        after[:, -2], before[:, -2]
    )


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@torch.no_grad()
def test_a_window_in_other_units_has_the_forecast_in_those_units(strategy):
    case = Case({"strategy": strategy, "distribution": "point", "normalize": "window"}, spec=Values(1))
    data = case.data()
    before = case.head.predict(case.encoded(data)).steps.values
    after = case.head.predict(case.encoded((data[0] * 1000 - 7, *data[1:]))).steps.values
    torch.testing.assert_close(after, before * 1000 - 7, rtol=1e-4, atol=1e-1)


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_window_that_never_changes_is_not_divided_by_zero(value):
    case = Case({"normalize": "window"}, spec=Values(1))
    data = (torch.full((2, LOOKBACK + HORIZON, 1), value), *case.data(2)[1:])
    assert torch.isfinite(case.head.loss(case.encoded(data), case.targets(data)).total)
    assert torch.isfinite(case.head.predict(case.encoded(data)).steps.values).all()


def after_steady(case, value, move):
    """The loss, and the point that is said, where a window of one value moves on by so much."""
    data = (torch.full((1, LOOKBACK + HORIZON, 1), value), *case.data(1)[1:])
    data[0][:, LOOKBACK:] += move
    encoded = case.encoded(data)
    return case.head.loss(encoded, case.targets(data)).total, case.head.predict(encoded).steps.values


@pytest.mark.parametrize("value", [1e-3, 0.2, 30.0])
@torch.no_grad()
def test_after_a_steady_window_a_move_costs_the_same_wherever_it_stood(value):
    """A scaled series is in units of its spread: what stands near the data set's mean has no smaller unit than what is
    far from it."""
    case = Case({"normalize": "window"}, spec=Values(1))
    loss, said = after_steady(case, value, 0.5)
    expected, beyond = after_steady(case, 0.0, 0.5)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(said - value, beyond, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_steady_window_of_an_unscaled_series_is_in_units_of_its_size():
    case = Case({"normalize": "window"}, spec=Values(1, unscaled=True))
    loss, said = after_steady(case, 2.0, 0.5)
    larger, beyond = after_steady(case, 2000.0, 500.0)
    torch.testing.assert_close(beyond, said * 1000, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(larger, loss + HORIZON * torch.tensor(1000.0).log(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", EVERY)
def test_gaps_are_neither_summed_nor_counted(options):
    case = Case(options, spec=Values(3, signs=1))
    data = case.data()
    data[0][0, LOOKBACK + HORIZON - 1, 1] = NAN
    data[0][1, 2, 0] = NAN
    data[0][1, 2, 2] = 1
    encoded, targets = case.encoded(data), case.targets(data)
    loss, score = case.head.loss(encoded, targets), case.head.score(encoded, targets)
    assert loss.count == 3 * HORIZON * 2 - 1 == int(score.num_targets.sum()) and torch.isfinite(loss.total)
    torch.testing.assert_close(loss.total, -score.log_probability.sum())
    loss.total.backward()
    parameters = [*case.head.parameters(), *case.reader.parameters()]
    assert all(torch.isfinite(one.grad).all() for one in parameters if one.grad is not None)
    predicted = case.head.predict(encoded).steps.values
    assert torch.isfinite(predicted).all() and predicted.shape[1] == 3 and not predicted[:, 2].any()


@torch.no_grad()
def test_the_linear_map_alone_is_the_last_steps_weighted():
    case = Case({"distribution": "point", "linear": 3}, spec=Values(2), ahead=False)
    for parameter in case.head.straight.parameters():
        parameter.zero_()
    case.head.linear.weight.zero_()
    case.head.linear.weight[:, 0] = 1.0
    data = case.data()
    said = case.head.predict(case.encoded(data)).steps.values.view(3, HORIZON, 2)
    torch.testing.assert_close(said, data[0][:, LOOKBACK - 3].unsqueeze(1).expand(-1, HORIZON, -1))


@torch.no_grad()
def test_without_weights_it_is_persistence_or_the_windows_mean():
    for relative, normalize, expected in [
        ("last", "none", lambda x: x[:, -1]),
        ("none", "window", lambda x: x.mean(1)),
    ]:
        case = Case({"distribution": "point", "relative": relative, "normalize": normalize})
        for parameter in case.head.parameters():
            parameter.zero_()
        data = case.data()
        said = case.head.predict(case.encoded(data)).steps.values.view(3, HORIZON, 2)
        torch.testing.assert_close(said, expected(data[0][:, :LOOKBACK]).unsqueeze(1).expand(-1, HORIZON, -1))


@torch.no_grad()
def test_the_last_value_is_the_last_that_was_measured():
    case = Case({"distribution": "point"}, spec=Values(1))
    for parameter in case.head.parameters():
        parameter.zero_()
    data = case.data(1)
    data[0][0, LOOKBACK - 1] = NAN
    assert torch.equal(case.head.predict(case.encoded(data)).steps.values, data[0][0, LOOKBACK - 2].expand(HORIZON, 1))


@pytest.mark.parametrize("options", EVERY)
def test_gradients_are_those_of_finite_differences(options):
    case = Case(options, spec=Values(1), dtype=torch.float64)
    data = case.data(2, dtype=torch.float64)
    parameters = [one for one in case.head.parameters() if one.numel()][:2]
    inputs = tuple(one.detach().clone().requires_grad_() for one in parameters)

    def total(*values):
        named = dict(
            zip(
                [name for name, one in case.head.named_parameters() if any(one is other for other in parameters)],
                values,
            )
        )
        return torch.func.functional_call(
            _Loss(case.head),
            {f"head.{name}": one for name, one in named.items()},
            (case.encoded(data), case.targets(data)),
        )

    assert torch.autograd.gradcheck(total, inputs, fast_mode=True)


class _Loss(torch.nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, encoded, targets):
        return self.head.loss(encoded, targets).total


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_it_learns_a_wave(strategy):
    torch.manual_seed(0)
    case = Case({"strategy": strategy, "distribution": "quantile", "hidden_size": 16}, spec=Values(1), ahead=False)
    parameters = [*case.head.parameters(), *case.reader.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)

    def drawn():
        phase = torch.rand(64, 1) * 2 * math.pi
        wave = torch.sin(phase + torch.arange(LOOKBACK + HORIZON) * 0.7).unsqueeze(2)
        return wave, torch.zeros(64, LOOKBACK + HORIZON, 3), torch.zeros(64, 2)

    for _ in range(150):
        data = drawn()
        loss = case.head.loss(case.encoded(data), case.targets(data))
        optimizer.zero_grad()
        (loss.total / loss.count).backward()
        optimizer.step()
    data = drawn()
    said = case.head.predict(case.encoded(data)).steps.values.view(64, HORIZON)
    naive = data[0][:, LOOKBACK - 1 : LOOKBACK, 0]
    wrong = lambda one: float((one - data[0][:, LOOKBACK:, 0]).abs().mean().detach())  # noqa: E731
    assert wrong(said) < wrong(naive) / 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distribution": "quantile", "loss": "absolute"}, "loss: absolute is of a point"),
        ({"samples": 50}, "samples are drawn of a t, recursively"),
        ({"linear": 7}, "linear: 7 is more than the lookback, 6"),
        ({"linear": 2, "strategy": "recursive"}, "linear: is of direct forecasts"),
    ],
)
def test_settings_that_could_do_nothing_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Case(options)


def test_what_cannot_be_forecast_is_refused():
    with pytest.raises(
        ConfigError, match="forecast predicts numbers, and a step of this output is one of 3 labels; choose a head"
    ):
        Forecast(Labels(3), [Sizes(2, 2)], Span(3, 2, (False,)))
    with pytest.raises(ConfigError, match="input 2 that it reads gives no steps"):
        Forecast(Values(1), [Sizes(2, 2), Sizes(None, 2)], Span(3, 2, (False, True)))
    with pytest.raises(ConfigError, match="input 1 that it reads gives no steps"):
        Forecast(Values(1), [Sizes(None, 2)], Span(3, 2, (False,)), strategy="recursive")
