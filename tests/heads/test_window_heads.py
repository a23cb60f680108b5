"""The heads of windows: their laws, the naive and the linear forecast, and where they begin."""

import numpy as np
import pytest
import torch

from ostinato import registry
from ostinato.encoders.contract import Encoded, Source
from ostinato.errors import ConfigError
from ostinato.heads.contract import Outlook, Sizes, Span
from ostinato.modalities.contract import Labels, Values
from ostinato.registry import make, settings_class
from ostinato.steps import Layout, Steps
from ostinato.testing import laws

LOOKBACK, HORIZON = 12, 4
NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("naive_forecast", {}),
        ("naive_forecast", {"season": 3}),
        ("linear_forecast", {}),
        ("linear_forecast", {"relative": "season", "season": 3, "steps": 5}),
        ("forecast", {}),
        ("forecast", {"start": "fitted", "linear": 6, "normalize": "window"}),
        ("forecast", {"distribution": "point", "start": "fitted", "linear": 6, "relative": "season", "season": 4}),
        ("forecast", {"distribution": "student_t", "start": "fitted", "linear": 5}),
        ("forecast", {"strategy": "recursive", "normalize": "window"}),
    ],
    ids=str,
)
def test_every_head_of_windows_keeps_the_laws(name, options):
    laws.run("heads", name, options)


def test_the_laws_see_a_head_that_reads_what_follows(monkeypatch):
    head = registry.component("heads", "naive_forecast")
    honest = head.predict_distribution

    def forgetful(self, encoded, targets=None, training=False):
        values = encoded[0].source.values
        return honest(
            self, [encoded[0]._replace(source=Source(values.select(torch.tensor([0] * len(values.layout))), None))]
        )

    monkeypatch.setattr(head, "predict_distribution", forgetful)
    with pytest.raises(AssertionError, match="forecasts of rows"):
        laws.run("heads", "naive_forecast")


def head_of(name, options=None, spec=Values(1)):
    torch.manual_seed(0)
    return make("heads", name, (spec, [Sizes(2, 2)], Span(LOOKBACK, HORIZON, (False,))), options or {}).eval()


def steps(values):
    values = torch.as_tensor(values, dtype=torch.float32)
    return Steps(values.flatten(0, 1), Layout.equal(*values.shape[:2]))


def read(values):
    """What an encoder that is not looked at read of these windows (B, T, C)."""
    past = steps(values)
    return [Encoded(past, torch.zeros(len(values), 2), None, Source(past, None))]


def pairs(series, count=64):
    """Windows of one series, four fifths of them before the rest."""
    series = np.asarray(series, dtype=np.float32).reshape(len(series), -1)
    last = len(series) - LOOKBACK - HORIZON + 1
    cut = int(last * 0.8)

    def batch(numbers):
        both = np.stack([series[n : n + LOOKBACK + HORIZON] for n in numbers])
        return steps(both[:, :LOOKBACK]), steps(both[:, LOOKBACK:])

    parts = range(cut - HORIZON), range(cut, last)
    return tuple([batch(numbers) for numbers in np.array_split(part, -(-len(part) // count))] for part in parts)


def walk(length=600, seed=0, channels=1):
    return np.random.default_rng(seed).standard_normal((length, channels)).cumsum(0)


def wave(length=600, period=7, seed=0):
    noise = np.random.default_rng(seed).standard_normal(length) / 10
    return np.sin(np.arange(length) * 2 * np.pi / period) + 0.3 * np.arange(length) / length + noise


@torch.no_grad()
def test_the_naive_forecast_repeats_the_last_value_or_the_last_season():
    values = torch.arange(2 * LOOKBACK, dtype=torch.float32).reshape(2, LOOKBACK, 1) ** 2
    last = head_of("naive_forecast").predict(read(values)).steps.values.view(2, HORIZON)
    torch.testing.assert_close(last, values[:, -1].expand(-1, HORIZON))
    season = head_of("naive_forecast", {"season": 3}).predict(read(values)).steps.values.view(2, HORIZON)
    torch.testing.assert_close(season, values[:, [-3, -2, -1, -3], 0])


@torch.no_grad()
def test_a_gap_is_filled_from_a_season_before_and_else_by_the_last_value():
    values = torch.arange(LOOKBACK, dtype=torch.float32).reshape(1, LOOKBACK, 1)
    values[0, -2] = NAN
    head = head_of("naive_forecast", {"season": 3})
    assert head.predict(read(values)).steps.values.flatten().tolist() == pytest.approx([9, 7, 11, 9], abs=1e-4)
    values[0, [1, 4, 7, 10]] = NAN
    assert head.predict(read(values)).steps.values.flatten().tolist() == pytest.approx([9, 11, 11, 9], abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", ["naive_forecast", "linear_forecast", "forecast"])
def test_after_a_warm_start_intervals_cover_what_they_promise(name):
    options = {"start": "fitted", "normalize": "window"} if name == "forecast" else {}
    head = head_of(name, options, Values(2))
    assert head.warm_start(lambda: pairs(walk(channels=2)))
    inside = total = 0
    for past, truth in pairs(walk(seed=1, channels=2))[0]:
        quantiles = head.predict(read(past.values.unflatten(0, (len(past.layout), -1)))).quantiles
        inside += ((truth.values >= quantiles[0.05]) & (truth.values <= quantiles[0.95])).sum().item()
        total += truth.values.numel()
    assert 0.86 < inside / total < 0.94


@torch.no_grad()
@pytest.mark.parametrize("name", ["linear_forecast", "forecast"])
def test_of_a_random_walk_it_begins_as_the_last_value_and_of_a_wave_as_a_linear_map(name):
    fitted = {"start": "fitted", "linear": LOOKBACK, "normalize": "window"}
    options = fitted if name == "forecast" else {}
    head, values = head_of(name, options), torch.as_tensor(walk(seed=3)[:LOOKBACK], dtype=torch.float32)[None]
    assert "begins as the naive forecast" in head.warm_start(lambda: pairs(walk()))
    answer = head.predict(read(values)).steps.values.flatten()
    torch.testing.assert_close(answer, values[0, -1].expand(HORIZON), rtol=1e-4, atol=1e-4)
    head, series = head_of(name, options), torch.as_tensor(wave(seed=4), dtype=torch.float32)
    assert "% better than the naive forecast (ridge" in head.warm_start(lambda: pairs(wave()))
    answer = head.predict(read(series[None, :LOOKBACK, None])).steps.values.flatten()
    truth = series[LOOKBACK : LOOKBACK + HORIZON]
    assert (answer - truth).abs().mean() < 0.25 < (series[LOOKBACK - 1] - truth).abs().mean()


@torch.no_grad()
@pytest.mark.parametrize(
    "options", [{}, {"distribution": "point", "loss": "absolute"}, {"distribution": "student_t"}, {"season": 3}]
)
def test_what_grows_begins_with_its_drift_and_quantiles_on_both_sides_of_it(options):
    draw = np.random.default_rng(5)
    series = 0.5 * np.arange(300) + draw.normal(0, 0.4, 300)
    season = {"relative": "season"} if "season" in options else {}
    head = head_of("forecast", {"start": "fitted", "normalize": "none", **options, **season})
    assert "with a drift, which is" in head.warm_start(lambda: pairs(series[:, None]))
    past = torch.tensor(series[-LOOKBACK:], dtype=torch.float32)
    answer = head.predict(read(past[None, :, None]))
    truth = 0.5 * (300 + np.arange(HORIZON))
    np.testing.assert_allclose(answer.steps.values.flatten(), truth, atol=1.2)
    if "distribution" not in options:
        levels = [answer.quantiles[level].flatten() for level in (0.05, 0.25, 0.5, 0.75, 0.95)]
        assert all((after - before).min() > 0.1 for before, after in zip(levels, levels[1:]))
    still = head_of("forecast", {"start": "fitted", "normalize": "none", **options, **season})
    assert "drift" not in still.warm_start(lambda: pairs(draw.normal(0, 1, (300, 1))))


@torch.no_grad()
def test_a_linear_recurrence_is_found():
    series = [1.0, 0.5]
    for _ in range(400):
        series.append(1.8 * series[-1] - 0.99 * series[-2] + 0.05 * np.sin(len(series)))
    head = head_of("linear_forecast", {"normalize": "none"})
    head.warm_start(lambda: pairs(series))
    values = torch.tensor(series[-LOOKBACK - HORIZON :])
    answer = head.predict(read(values[None, :LOOKBACK, None])).steps.values.flatten()
    assert (answer - values[LOOKBACK:]).abs().max() < 0.02 * values.abs().max()


@torch.no_grad()
def test_missing_targets_and_too_few_windows_begin_as_the_naive_forecast():
    head = head_of("linear_forecast")
    (first, *_), late = pairs(wave())
    gone = first[1].with_values(torch.full_like(first[1].values, NAN))
    assert "no training window has a whole target" in head.warm_start(lambda: ([(first[0], gone)], []))
    assert "too few windows" in head.warm_start(lambda: ([], late[:1]))
    assert not head.map.weight.any() and all(parameter.isfinite().all() for parameter in head.parameters())


def chosen(name, series, season, options=None, num_series=1):
    settings = settings_class("heads", name).model_validate({"type": name, **(options or {})})
    outlook = Outlook(Values(1), Span(LOOKBACK, HORIZON, (False,)), season, num_series, lambda: pairs(series))
    found = registry.component("heads", name).choose(settings, outlook)
    return {word: value for word, (value, _) in found.items() if word not in settings.model_fields_set}


def test_a_head_chooses_what_the_windows_show_and_leaves_what_is_given():
    assert "season" not in chosen("naive_forecast", walk(), 7)
    assert chosen("naive_forecast", wave(), 7) == {"season": 7}
    found = chosen("forecast", walk(), 7, num_series=3)
    assert found == {"start": "fitted", "linear": LOOKBACK, "normalize": "window", "calibrate": True}
    found = chosen("forecast", wave(), 7, {"normalize": "none", "linear": None})
    assert found == {"start": "fitted", "relative": "season", "season": 7, "calibrate": True}
    assert chosen("forecast", walk(), 1, {"strategy": "recursive"}) == {"normalize": "window"}
    assert chosen("forecast", wave(), 7, {"relative": "none", "distribution": "point"}).keys() == {
        "start", "linear", "normalize"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("naive_forecast", {"season": 13}, "naive_forecast: season: 13 is more than the lookback, 12"),
        ("linear_forecast", {"steps": 13}, "linear_forecast: steps: 13 is more than the lookback, 12"),
        ("linear_forecast", {"relative": "season"}, "relative: season needs a season"),
        ("forecast", {"season": 3}, "relative: last has no season"),
        ("forecast", {"strategy": "recursive", "start": "fitted"}, "start: fitted is of direct forecasts"),
        ("forecast", {"strategy": "recursive", "relative": "season", "season": 2}, "relative: season is of direct"),
    ],
)
def test_settings_that_could_do_nothing_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        head_of(name, options)


@pytest.mark.parametrize("name", ["naive_forecast", "linear_forecast"])
def test_what_it_cannot_read_is_refused(name):
    with pytest.raises(
        ConfigError, match="a step of this output is one of 3 labels; choose a head that predicts those"
    ):
        head_of(name, spec=Labels(3))
    with pytest.raises(ConfigError, match="reads the series that it continues and no other of its 2 inputs"):
        make("heads", name, (Values(1), [Sizes(2, 2)] * 2, Span(LOOKBACK, HORIZON, (False, False))))


@torch.no_grad()
@pytest.mark.parametrize("name", ["naive_forecast", "linear_forecast", "forecast"])
def test_calibrated_intervals_cover_what_they_promise_and_leave_the_median(name):
    options = {"calibrate": True, "start": "fitted"} if name == "forecast" else {}
    head = head_of(name, options, Values(3, signs=1))
    if name == "forecast":
        head.straight.weight.normal_(0, 0.1)
    values = torch.as_tensor(walk(900, channels=3), dtype=torch.float32)
    values[:, 2] = 0
    early, late = pairs(values.numpy())

    def known(parts):
        return [(read(past.values.unflatten(0, (len(past.layout), -1))), truth) for past, truth in parts]

    def coverage(parts):
        inside = []
        for encoded, truth in known(parts):
            quantiles = head.predict(encoded).quantiles
            inside.append((truth.values >= quantiles[0.05]) & (truth.values <= quantiles[0.95]))
        return torch.cat(inside)[:, :2].double().mean().item()

    before, medians = coverage(early), [head.predict(encoded).steps.values for encoded, _ in known(late)]
    assert "times as wide" in head.calibrate(lambda: known(early))
    assert before < 0.86 < coverage(early) < 0.94
    for median, (encoded, _) in zip(medians, known(late)):
        torch.testing.assert_close(head.predict(encoded).steps.values, median, rtol=1e-4, atol=1e-4)
    assert head.calibrate(lambda: iter([])) is None
