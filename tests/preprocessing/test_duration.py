"""How long a run trains: chosen by size, taken from the recipe, or fitted into minutes."""

import pytest

from ostinato.preprocessing.duration import (
    EPOCHS,
    FEW_EPOCHS,
    GENERATED_UPDATES,
    TOTAL_UPDATES,
    WHOLE_EPOCHS,
    WINDOW_UPDATES,
    Pace,
    duration,
    smaller,
    within,
)
from ostinato.preprocessing.rates import LABELS_RATE, RATE, learning_rate
from ostinato.recipe.read import from_arguments

MANY = 1e6
"""Steps of a table that is not small."""


def recipe(**training):
    return from_arguments({"x": "tokens"}, {"y": "category"}, training=training)


def planned(updates, **training):
    one = recipe(**training)
    return one.with_chosen(duration(one, updates, MANY)), duration(one, updates, MANY)


def test_what_a_recipe_leaves_open_is_chosen_with_its_reason():
    made, chosen = planned(200)
    assert set(chosen) == {
        "training.epochs",
        "training.schedule.warmup",
        "training.patience",
        "training.least_gain",
    }
    assert all(why for _, why in chosen.values())
    training = made.settings.training
    assert 1 < training.patience < training.epochs and 0 < training.schedule.warmup < 200 * training.epochs / 10


def test_epochs_that_are_given_are_all_trained():
    assert "training.patience" not in planned(200, epochs=7)[1]
    assert "training.patience" not in planned(200, epochs=7, patience=3)[1]


def test_what_is_generated_symbol_by_symbol_gets_more_epochs():
    generated = from_arguments({"x": "tokens"}, {"y": "tokens"})
    more = duration(generated, 200, MANY)["training.epochs"][0]
    assert more == GENERATED_UPDATES / 200 > planned(200)[0].settings.training.epochs


@pytest.mark.parametrize(("steps", "total"), [(100_000, 5000), (190_000, 4000), (500_000, 3000), (700_000, 5000)])
def test_what_is_generated_of_a_small_table_sees_so_many_steps_at_most(steps, total):
    generated = from_arguments({"x": "tokens"}, {"y": "tokens"})
    assert duration(generated, 200, steps)["training.epochs"][0] == total / 200
    assert duration(recipe(), 200, steps)["training.epochs"][0] == TOTAL_UPDATES / 200


@pytest.mark.parametrize(
    ("stride", "updates", "total"), [(1, 300, 3000), (10, 200, 4000), (10, 300, 6000), (50, 300, 6000)]
)
def test_windows_are_seen_twice_each_where_that_does_not_take_too_long(stride, updates, total):
    ahead = {"of": "x", "align": "ahead", "horizon": 5, "lookback": 10, "stride": stride}
    windows = from_arguments({"x": "series"}, {"y": {**ahead, "column": "x", "type": "series"}})
    assert TOTAL_UPDATES == 3000 and WINDOW_UPDATES == 6000
    assert duration(windows, updates, MANY)["training.epochs"][0] == total / updates


def test_a_schedule_that_is_given_keeps_its_warm_up():
    assert "training.schedule.warmup" not in planned(200, schedule="cosine")[1]
    assert planned(200, schedule={"type": "linear", "warmup": 3})[0].settings.training.schedule.warmup == 3


@pytest.mark.parametrize("updates", [0.1, 1, 30, 200, 5_000, 10**6])
def test_epochs_stay_within_their_bounds(updates):
    assert EPOCHS[0] <= planned(updates)[0].settings.training.epochs <= EPOCHS[1]


def fitted(seconds, updates=100, update=0.1, validation=1.0, evaluation=5.0, **training):
    one, _ = planned(updates, **training)
    pace = Pace(updates, update, validation, evaluation)
    return one.with_chosen(within(one, seconds, pace)).settings.training, pace


@pytest.mark.parametrize("seconds", [7, 12, 30, 47, 100, 200, 400])
def test_training_and_all_that_follows_fit_into_the_seconds(seconds):
    training, pace = fitted(seconds)
    updates = min(training.epochs * pace.updates, training.max_updates or 10**9)
    validations = -(-updates / pace.updates // training.validate_every)
    assert updates * pace.update_seconds + validations * pace.validation_seconds + 5 <= seconds
    if training.epochs < planned(100)[0].settings.training.epochs:
        assert (updates + 2 * pace.updates) * pace.update_seconds + (validations + 2) + 5 > seconds, "time is left"


def test_a_budget_below_one_epoch_trains_a_part_of_it():
    training, _ = fitted(11)
    assert (training.epochs, training.max_updates) == (1, 41)
    assert training.schedule.warmup <= 3
    assert fitted(0)[0].max_updates == 1


def test_few_epochs_may_end_within_one_and_many_are_whole():
    few, many = fitted(33)[0], fitted(150)[0]
    assert few.epochs <= WHOLE_EPOCHS and (few.epochs - 1) * 100 < few.max_updates < few.epochs * 100
    assert many.epochs > WHOLE_EPOCHS and many.max_updates is None


def test_where_few_epochs_fit_validation_is_within_them_too_unless_it_costs_much_or_is_given():
    assert [fitted(seconds)[0].validate_every for seconds in (9, 12, 30, 100)] == [0.5, 0.5, 0.5, 1]
    assert [fitted(seconds, validation=0.1)[0].validate_every for seconds in (7, 12, 30, 100)] == [
        0.0625,
        0.125,
        0.5,
        1,
    ]
    assert fitted(30, validation=3.0)[0].validate_every == 1
    assert fitted(30, validate_every=1)[0].validate_every == 1
    assert fitted(30, average_last=2)[0].validate_every == 1, "a mean of weights is kept after whole epochs"
    assert fitted(10**6, epochs=2)[0].validate_every == 1


def test_enough_time_changes_no_epoch():
    usual = planned(100)[0].settings.training
    assert fitted(10**6)[0].epochs == usual.epochs and fitted(10**6)[0].max_updates is None
    assert fitted(10**6, epochs=3)[0].epochs == 3 and fitted(10**6, epochs=3)[0].max_updates is None


def test_epochs_that_the_recipe_gives_stay_and_their_updates_are_limited():
    training = fitted(150, epochs=40)[0]
    assert training.epochs == 40 and training.max_updates == 100 * fitted(150)[0].epochs


def test_validations_that_cost_much_are_made_more_rarely_unless_the_recipe_says_how_often():
    assert fitted(300, validation=0.1)[0].validate_every == 1
    rare = fitted(300, validation=20.0)[0]
    assert 1 < rare.validate_every <= rare.epochs // FEW_EPOCHS
    assert fitted(300, validation=20.0, validate_every=1)[0].validate_every == 1


def test_what_the_recipe_gives_of_patience_and_schedule_stays():
    training, _ = fitted(60, patience=9, schedule={"type": "cosine", "warmup": 77})
    assert (training.patience, training.schedule.warmup) == (9, 77)


@pytest.mark.parametrize(
    ("outputs", "training", "rate"),
    [
        ({"y": "category"}, {}, RATE),
        ({"y": "category"}, {"schedule": "cosine"}, 0.001),
        ({"y": "category"}, {"optimizer": "adamw"}, 0.001),
        ({"y": "tags"}, {"schedule": "cosine"}, LABELS_RATE),
    ],
)
def test_the_rate_is_chosen_where_the_recipe_leaves_it_open(outputs, training, rate):
    one = from_arguments({"x": "tokens"}, outputs, training=training)
    one = one.with_chosen(duration(one, 200, MANY))
    assert one.with_chosen(learning_rate(one)).settings.training.optimizer.learning_rate == rate


CHOSEN = {
    "inputs.x.encoder.hidden_size": (256, ""),
    "inputs.x.encoder.embedding_size": (256, ""),
    "training.batch_steps": (4000, ""),
}


def shrunk(fit, chosen=CHOSEN, **encoder):
    made = from_arguments({"x": {"type": "tokens", "encoder": encoder} if encoder else "tokens"}, {"y": "category"})
    chosen = {path: value for path, value in chosen.items() if not made.gives(path)}
    return {
        path: value
        for path, (value, _) in smaller(made.with_chosen(chosen), 10 * fit, Pace(100, 10.0, 0.0, 0.0), 100_000).items()
    }


def test_few_updates_get_smaller_batches_and_few_epochs_narrower_layers():
    assert shrunk(TOTAL_UPDATES) == {} and shrunk(0) == {}
    assert shrunk(0.4 * TOTAL_UPDATES) == {"training.batch_steps": 1600}
    halves = {"inputs.x.encoder.hidden_size": 128, "inputs.x.encoder.embedding_size": 128}
    assert shrunk(200) == {"training.batch_steps": 1000, **halves}
    narrow = {path: (64 if "size" in path else value, "") for path, (value, _) in CHOSEN.items()}
    assert shrunk(200, narrow) == {"training.batch_steps": 1000}


def test_what_the_user_gave_is_no_smaller_and_neither_is_what_must_fit_to_it():
    assert shrunk(200, hidden_size=200) == {"training.batch_steps": 1000}
    without = {path: value for path, value in CHOSEN.items() if "batch" not in path}
    assert "training.batch_steps" not in shrunk(200, without)
