"""Each schedule gives the factors of its docstring."""

import json
import math

import pytest
import torch

from ostinato.registry import make, names, settings_class


def factors(name, total=100, **options):
    schedule = make("schedules", name, options=options)
    return [schedule.factor(update, total) for update in range(total)]


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "plateau", "step", "inverse_square_root"])
def test_the_warm_up_climbs_in_a_line_to_the_peak(name):
    options = {"every": 1000} if name == "step" else {}
    assert factors(name, warmup=10, **options)[:10] == pytest.approx([(update + 1) / 10 for update in range(10)])
    assert max(factors(name, warmup=10, **options)) == 1


def test_constant_stays():
    assert set(factors("constant")) == {1.0}


def test_linear_falls_in_a_line_to_its_end():
    assert factors("linear", warmup=20, end=0.1)[20:] == pytest.approx([1 - 0.9 * step / 80 for step in range(80)])
    assert make("schedules", "linear").factor(150, 100) == 0


def test_cosine_falls_along_half_a_wave():
    wave = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 80)) / 2 for step in range(80)]
    assert factors("cosine", warmup=20, end=0.1)[20:] == pytest.approx(wave)
    assert factors("cosine")[50] == pytest.approx(0.5)


def test_inverse_square_root_is_that_of_the_transformer():
    expected = [min(step**-0.5, step * 25**-1.5) * 25**0.5 for step in range(1, 101)]
    assert factors("inverse_square_root", warmup=25) == pytest.approx(expected)


def test_step_is_a_staircase():
    assert factors("step", every=40, by=0.1) == pytest.approx([1.0] * 40 + [0.1] * 40 + [0.01] * 20)


def test_plateau_falls_after_patience_validations_that_were_not_better():
    schedule = make("schedules", "plateau", options={"patience": 2, "by": 0.5, "threshold": 0.1, "lowest": 0.2})
    levels = []
    for value in [10, 8, 7.5, 7.9, 7.0, math.nan, 6.9, 6.8, 6.7, 6.6]:
        schedule.observe(value, higher_is_better=False)
        levels.append(schedule.factor(0, 1))
    assert levels == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]


def test_plateau_knows_which_way_is_better():
    schedule = make("schedules", "plateau", options={"patience": 1})
    for value in [1.0, 2.0, 3.0]:
        schedule.observe(value, higher_is_better=True)
    assert schedule.factor(0, 1) == 1
    schedule.observe(2.5, higher_is_better=True)
    assert schedule.factor(0, 1) == 0.5


@pytest.mark.parametrize("name", names("schedules"))
def test_what_was_heard_goes_through_a_checkpoint(name):
    heard, restored = make("schedules", name), make("schedules", name)
    for value in [1.0, 2.0, 3.0, 4.0]:
        heard.observe(value, higher_is_better=False)
    restored.restore(json.loads(json.dumps(heard.facts())))
    assert restored.facts() == heard.facts()
    assert [restored.factor(update, 9) for update in range(9)] == [heard.factor(update, 9) for update in range(9)]


OTHER = {"warmup": 7, "end": 0.3, "every": 30, "by": 0.9, "patience": 1, "threshold": 0.9, "lowest": 0.6}
OTHER |= {"climb": 0.4, "ratio": 8.0, "start": 0.2}


@pytest.mark.parametrize("name", names("schedules"))
def test_every_option_changes_a_factor(name):
    def course(**options):
        schedule = make("schedules", name, options=options)
        found = []
        for update in range(2000):
            if update % 200 == 0:
                schedule.observe(1 / (update + 1) ** 0.1 if update < 1200 else 1.0, higher_is_better=False)
            found.append(schedule.factor(update, 2000))
        return found

    for option in settings_class("schedules", name).model_fields.keys() - {"type"}:
        assert course(**{option: OTHER[option]}) != course(), option


@pytest.mark.parametrize("total, climb, ratio", [(100, 0.1, 32.0), (57, 0.25, 10.0)])
def test_the_slanted_triangle_is_that_of_ulmfit(total, climb, ratio):
    """Howard and Ruder 2018, equation 3, written out as there."""
    cut = math.floor(total * climb)

    def equation(update):
        falling = 1 - (update - cut) / (cut * (total / cut - 1))
        return (1 + (update / cut if update < cut else falling) * (ratio - 1)) / ratio

    assert factors("slanted_triangular", total, climb=climb, ratio=ratio) == pytest.approx(
        [equation(update) for update in range(total)]
    )
    assert make("schedules", "slanted_triangular").factor(3, 5) > 0


@pytest.mark.parametrize("total, climb", [(100, 0.3), (37, 0.5)])
def test_one_cycle_is_torchs(total, climb):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=total, pct_start=climb, cycle_momentum=False
    )
    expected = [optimizer.param_groups[0]["lr"]]
    for _ in range(total - 1):
        optimizer.step()
        torchs.step()
        expected.append(optimizer.param_groups[0]["lr"])
    assert factors("one_cycle", total, climb=climb) == pytest.approx(expected)
    assert all(0 <= factor <= 1 for short in range(1, 6) for factor in factors("one_cycle", short, climb=0.1))
