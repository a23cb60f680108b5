"""What a sweep plans: values split at commas outside brackets, names that tell runs apart, every recipe checked before
training."""

import dataclasses
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from ostinato.errors import ConfigError
from ostinato.sweeps import sweep as sweeping
from ostinato.sweeps.sweep import Ended, axes, plan, train_all
from ostinato.training.task import Interrupted
from tests.advice import follow

RECIPE = "inputs: {x: {type: tokens}}\noutputs: {y: {type: tokens}}\ntraining: {seed: 4}\n"


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "a.yaml").write_text(RECIPE)
    return tmp_path / "a.yaml"


def test_values_are_split_at_commas_outside_brackets_and_quotes():
    (axis,) = axes(["a.cell={type: lstm, peepholes: true}, gru,[1, 2],'x, y'"])
    assert axis.values == ("{type: lstm, peepholes: true}", "gru", "[1, 2]", "'x, y'")
    assert axis.label == "cell"


def test_labels_are_the_shortest_ends_that_tell_paths_apart():
    told = axes(["inputs.a.encoder.cell=rnn,gru", "inputs.b.encoder.cell=rnn,gru", "data.fraction=0.1,1"])
    assert [axis.label for axis in told] == ["a.encoder.cell", "b.encoder.cell", "fraction"]


@pytest.mark.parametrize(
    ("overs", "advice", "way"),
    [
        (
            ["cell"],
            "cell: write PATH=VALUE,VALUE such as inputs.text.encoder.cell=rnn,lstm",
            ["inputs.text.encoder.cell=rnn,lstm"],
        ),
        (["a..b=1"], "write PATH=VALUE,VALUE", ["a.b=1"]),
        (["a=1,,2"], "; no value may be empty", ["a=1,2"]),
        (["a=[1,2"], "; no value may be empty, and brackets and quotes are closed", ["a=[1,2]"]),
        (["a=1,1.5,1"], "the value 1 is there twice; leave it out once", ["a=1,1.5"]),
        (["a={x: 1, y: 2},{y: 2, x: 1}"], "is there twice; leave it out once", ["a={x: 1, y: 2}"]),
        (["a=1,2", "a=3"], "'a' is in another --over; name all its values in one", ["a=1,2,3"]),
        (
            ["training.seed=1,2"],
            "runs of several seeds are averaged; give --seeds N (and --seed for the first)",
            ["a=1"],
        ),
    ],
)
def test_the_advice_on_what_is_no_axis(overs, advice, way):
    """Seeds are given beside the axes: see the plans below."""
    follow(partial(axes, overs), advice, partial(axes, way))


def test_the_advice_on_a_sweep_of_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text("inputs: {text: {type: tokens}}\noutputs: {y: {type: tokens}}\n")
    planned = partial(plan, tmp_path / "a.yaml", seeds=1, folder=tmp_path / "s")
    advice = "inputs.text.encoder.cell=rnn,lstm,gru"
    follow(partial(planned, []), f"--over: name what to vary, such as --over {advice}", partial(planned, [advice]))


def test_all_combinations_are_planned_seed_by_seed_with_the_recipes_own_seed_first(recipe, tmp_path):
    overs = ["inputs.x.encoder.cell=rnn,gru", "data.fraction=0.1,1"]
    _, planned = plan(
        recipe, overs, seeds=2, folder=tmp_path / "s", sets=["training.epochs=3"], options=["--device", "cpu"]
    )
    assert [one.name for one in planned[:4]] == [
        f"cell-{c}_fraction-{f}_seed-4" for c in ("rnn", "gru") for f in ("0.1", "1")
    ]
    assert [one.seed for one in planned] == [4] * 4 + [5] * 4
    last = planned[-1].recipe.settings
    assert (last.inputs["x"].encoder.cell.type, last.data.fraction, last.training.seed, last.training.epochs) == (
        "gru",
        1.0,
        5,
        3,
    )
    assert planned[-1].command.endswith(
        "--set training.seed=5 --out " + str(tmp_path / "s/cell-gru_fraction-1_seed-5") + " --device cpu --resume"
    )
    # More values, another order: what was there keeps its name.
    _, more = plan(
        recipe, ["inputs.x.encoder.cell=lstm,gru,rnn", "data.fraction=1,0.5,0.1"], seeds=3, folder=tmp_path / "s"
    )
    assert {one.name for one in planned} < {one.name for one in more}


def test_names_of_odd_values_are_plain_and_stay_apart(recipe, tmp_path):
    _, planned = plan(
        recipe, ["inputs.x.encoder.cell={type: gru, reset: before},{type: gru, reset: after}"], seeds=1, folder=tmp_path
    )
    _, others = plan(recipe, ["inputs.x.separator=' ','|',','"], seeds=1, folder=tmp_path)
    names = [one.name for one in [*planned, *others]]
    assert len(set(names)) == 5 and all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.+-_~") for name in names)


def test_every_recipe_is_checked_before_anything_is_trained(recipe, tmp_path):
    with pytest.raises(ConfigError, match="cell=grru.*did you mean 'gru'"):
        plan(recipe, ["inputs.x.encoder.cell=rnn,grru"], seeds=1, folder=tmp_path)


def test_a_run_that_fails_stops_no_other_and_its_words_are_kept(recipe, tmp_path):
    _, planned = plan(recipe, ["inputs.x.encoder.cell=rnn,gru,lstm"], seeds=1, folder=tmp_path)
    began = []

    def start(one, say):
        began.append(one.name)
        one.folder.mkdir()
        return Ended(2, "DataError: no rows", 10) if "gru" in one.name else Ended(0, "", 7)

    failed = train_all(planned, tmp_path, jobs=1, start=start, say=lambda _: None)
    assert began == [one.name for one in planned]
    assert failed == {"cell-gru_seed-4": "DataError: no rows"}
    assert [sweeping.peak_memory(tmp_path, one.name) for one in planned] == [7, 10, 7]
    assert sweeping.peak_memory(tmp_path, "another") is None


def test_after_ctrl_c_no_further_run_begins(recipe, tmp_path):
    _, planned = plan(recipe, ["inputs.x.encoder.cell=rnn,gru,lstm"], seeds=2, folder=tmp_path)
    began = []

    def start(one, say):
        began.append(one.name)
        return Ended(130, "", None)

    with pytest.raises(Interrupted, match="the same command resumes"):
        train_all(planned, tmp_path, jobs=1, start=start, say=lambda _: None)
    assert began == [planned[0].name]


def test_jobs_train_at_once(recipe, tmp_path):
    _, planned = plan(recipe, ["inputs.x.encoder.cell=rnn,gru"], seeds=1, folder=tmp_path)
    both = threading.Barrier(2, timeout=20)

    def start(one, say):
        both.wait()
        return Ended(0, "", None)

    assert train_all(planned, tmp_path, jobs=2, start=start, say=lambda _: None) == {}


def test_a_process_tells_its_status_its_last_words_and_its_memory(recipe, tmp_path):
    _, (one,) = plan(recipe, ["inputs.x.encoder.cell=rnn"], seeds=1, folder=tmp_path)
    wrong = dataclasses.replace(one, words=("train", "nowhere.yaml"))
    ended = sweeping.process(1)(wrong, lambda _: None)
    assert ended.code == 2 and "ConfigError: there is no recipe nowhere.yaml" in ended.notes
    assert ended.peak_memory > 1 << 20


def test_a_run_ends_when_the_sweep_is_killed():
    waits = "from ostinato.sweeps.child import follow_parent; import time; follow_parent(); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE)
    child.stdin.close()  # As the end of its parent does.
    assert child.wait(30) == -signal.SIGTERM
