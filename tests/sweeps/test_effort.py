"""`train --effort`: candidates within a time, half of them stopped early, the best kept as one run."""

import json
import random
import shutil
import time
from functools import partial

import pytest
import torch

import ostinato
from ostinato import api, registry
from ostinato.errors import BundleError, ConfigError
from ostinato.model.columns import input_settings, output_settings
from ostinato.recipe.read import from_arguments
from ostinato.run import bundle as bundles
from ostinato.run import train as run_train
from ostinato.run.run import Run
from ostinato.sweeps import effort, portfolio
from ostinato.training.loop import Training
from ostinato.training.task import Interrupted, Listeners, Outcome
from tests.advice import follow

WORDS = {"good": "up", "fine": "up", "nice": "up", "bad": "down", "poor": "down", "sad": "down"}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(effort.SIZES, 2, FEW)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rows(number, seed=0):
    draw = random.Random(seed)
    drawn = ([draw.choice([*WORDS]) for _ in range(3)] for _ in range(number))
    return [{"text": " ".join(words), "mood": WORDS[draw.choice(words)]} for words in drawn]


def recipe(given=(), training=()):
    return from_arguments(
        {"text": {"type": "text", **dict(given)}},
        {"mood": "category"},
        training={"epochs": 4, "batch_rows": 16, **dict(training)},
    )


FEW = effort.SIZES[2]._replace(seeds=1)
DATA = {"train": rows(48), "valid": rows(24, 1)}


def fit(folder, size=2, given=(), training=(), data=DATA, **options):
    notes = []
    run = api.fit(
        recipe(given, training),
        folder,
        data=data,
        effort=size,
        device="cpu",
        say=notes.append,
        **{"minutes": 9} | options,
    )
    return run, api.portfolio(run), notes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of effort 2, and what is kept of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(effort.SIZES, 2, FEW)
        folder = tmp_path_factory.mktemp("effort") / "run"
        return folder, *fit(folder)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "run")


def settled(kept):
    """What must not depend on the clock."""
    return [(trial.candidate, trial.changes, trial.epochs, trial.stopped, trial.weight) for trial in kept.trials]


def test_the_best_candidates_are_kept_as_one_run_that_is_no_worse_than_the_default(whole):
    folder, run, kept, notes = whole
    names = [trial.candidate for trial in kept.trials if not trial.of]
    assert names[0] == "default" and "counted" in names and len(names) == 1 + effort.SIZES[2].candidates
    assert sum(trial.weight for trial in kept.trials) == pytest.approx(1)
    assert kept.chosen["loss"] <= kept.default["loss"] and kept.chosen["mood.accuracy"] >= kept.default["mood.accuracy"]
    assert {path.name for path in (folder / "members").iterdir()} == {
        trial.candidate for trial in kept.trials if trial.weight
    }
    assert any("9 minutes" in note for note in notes)
    # What was selected on cached distributions is what the run answers.
    again = Run.load(folder)
    report = api.evaluate(again, data=DATA["valid"], device="cpu")
    assert report.outputs["mood"]["log_loss"].value == pytest.approx(kept.chosen["loss"], rel=1e-4)
    assert report.outputs["mood"]["accuracy"].value == pytest.approx(kept.chosen["mood.accuracy"])
    assert len(list(api.predict(run, rows=DATA["valid"], device="cpu"))) == 24


def test_the_default_run_is_trained_as_without_effort(tmp_path):
    fit(tmp_path / "one", 1, minutes=None)
    _, kept, _ = fit(tmp_path / "two", 2, minutes=None)
    assert kept.trials[0].candidate == "default"
    events = [
        [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "one", tmp_path / "two/members/default")
        if folder.exists()
    ]
    losses = [[event["valid.loss"] for event in history if event["event"] == "epoch"] for history in events]
    assert all(own == losses[0] for own in losses)
    assert kept.trials[0].validation == pytest.approx(min(losses[0]))


@pytest.mark.parametrize("calls", [1, 3, 9])
def test_a_run_that_was_stopped_is_continued_and_ends_with_the_same_members(whole, tmp_path, monkeypatch, calls):
    _, uninterrupted, kept, _ = whole
    trained, left = run_train.trained, calls

    def interrupted(session, until=None):
        nonlocal left
        left -= 1
        if not left:
            outcome = trained(session, 1)
            assert outcome.epochs == 1 or outcome.ended
            raise Interrupted("stopped")
        return trained(session, until)

    with monkeypatch.context() as patch:
        patch.setattr(run_train, "trained", interrupted)
        with pytest.raises(Interrupted):
            fit(tmp_path / "run")
    run, continued, _ = fit(tmp_path / "run", resume=True)
    assert settled(continued) == settled(kept)
    assert (run.bundle.members, continued.chosen) == (uninterrupted.bundle.members, kept.chosen)
    _, finished, notes = fit(tmp_path / "run", resume=True)
    assert finished == continued and any("this run is finished" in note for note in notes)


def test_minutes_that_are_too_few_train_the_default_alone_and_the_advice_is_more(whole, tmp_path, monkeypatch):
    """The effort of the other tests has 9 minutes, and candidates."""
    measured = Training.seconds_of_update
    monkeypatch.setattr(Training, "seconds_of_update", lambda *given: measured(*given) * 0 + 30.0)
    run, kept, notes = fit(tmp_path / "run", minutes=0.05, given={"encoder": {"cell": "rnn"}})
    assert run.bundle.members == {"default": 1}
    assert {trial.stopped for trial in kept.trials[1:]} == {"no time for an epoch"}
    assert any(
        "the default run alone is trained" in note and "; more --minutes give more candidates" in note for note in notes
    )
    told = [note for note in notes if "candidates beside the default run, " in note]
    assert len(told) == 1 and told[0].endswith("0.05 minutes; --minutes N changes it")
    assert any("9 minutes; --minutes N changes it" in note for note in whole[3])
    assert len(whole[1].bundle.members) > 1 or any(trial.stopped == "trained" for trial in whole[2].trials[1:])
    assert any("the minutes are too few for an epoch" in note for note in notes)


def test_a_recipe_that_gives_all_has_no_candidate(tmp_path):
    notes = []
    fixed = from_arguments(
        {"x": {"type": "number", "encoder": "identity"}},
        {"y": {"type": "number", "head": "regressor"}},
        training={"epochs": 2, "batch_rows": 8, "optimizer": {"learning_rate": 0.01, "weight_decay": 0.0}, "seed": 1},
    )
    data = {"train": [{"x": float(x), "y": 2.0 * x} for x in range(24)], "valid": [{"x": 0.5, "y": 1.0}] * 4}
    run = api.fit(fixed, tmp_path / "run", data=data, effort=2, minutes=1, device="cpu", say=notes.append)
    assert run.bundle.members == {"default": 1} and len(api.portfolio(run).trials) == 1
    assert any("the recipe gives all that its members could vary" in note for note in notes)


@pytest.mark.parametrize("size", [0, 6, -1])
def test_the_advice_on_an_effort_that_there_is_not(tmp_path, size):
    """1 and 2, which are among those it names, are what the other tests take."""
    advice = "there are 1, the default run alone, and 2, 3, 4, 5; give one of them"
    with pytest.raises(ConfigError, match=f"effort {size}: {advice}"):
        fit(tmp_path / "run", size)
    assert not (tmp_path / "run").exists()


def test_the_advice_for_runs_with_and_without_effort(copy, tmp_path):
    plain = tmp_path / "plain"
    fit(plain, 1)
    for folder, size, options, advice, ways in (
        (plain, 2, {"resume": True}, "holds a run without --effort; leave it out to continue it, or choose", [1]),
        (copy, 3, {"resume": True}, "holds a run of --effort 2; continue it with --effort 2, or choose", [2]),
        (copy, 1, {"resume": True}, "holds a run of --effort; continue it with the same --effort, or choose", [2]),
        (copy, 2, {}, "holds a run already; continue it with --resume, start anew with --overwrite, or choose", [2]),
    ):
        again = [partial(fit, folder, way, resume=True) for way in ways]
        follow(partial(fit, folder, size, **options), f"{folder}: {advice}", *again)
    run, _, _ = fit(copy, 1, overwrite=True)
    assert not run.bundle.members and not (copy / "members").exists() and api.portfolio(run) is None


def test_python_takes_effort_too_and_saves_the_whole(tmp_path):
    model = ostinato.Model({"text": "text"}, {"mood": "category"}, training={"epochs": 2, "batch_rows": 16})
    model.fit(DATA["train"], DATA["valid"], effort=2, minutes=9, device="cpu")
    answers = model.predict(["good fine", "bad poor"])
    assert answers == ostinato.load(shutil.copytree(model.run.folder, tmp_path / "copy")).predict(
        ["good fine", "bad poor"]
    )
    saved = model.save(tmp_path / "saved")
    assert Run.load(saved).bundle.members and not list(saved.rglob("checkpoints"))


def test_generated_answers_are_selected_by_their_loss(tmp_path):
    pairs = [{"x": row["text"], "y": row["text"].upper()} for row in rows(32)]
    small = from_arguments(
        {"x": {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 4}}},
        {"y": {"type": "text", "tokenizer": "word", "head": {"decoder": {"hidden_size": 4}}}},
        training={"epochs": 1, "batch_rows": 16},
    )
    data = {"train": pairs, "valid": pairs[:8]}
    run = api.fit(small, tmp_path / "run", data=data, effort=2, minutes=9, device="cpu")
    kept = api.portfolio(run)
    assert kept.chosen.keys() == {"loss", "y.loss"} and kept.chosen["loss"] <= kept.default["loss"]
    loss = api.evaluate(run, data=pairs[:8], device="cpu").outputs["y"]["perplexity"].value
    assert torch.tensor(loss).log() == pytest.approx(kept.chosen["loss"], rel=1e-3)


def test_tags_of_a_conditional_random_field_are_selected_too(tmp_path):
    draw = random.Random(0)
    steps = [[draw.choice([-1.0, 1.0]) for _ in range(5)] for _ in range(40)]
    tagged = [{"x": values, "y": ["up" if value > 0 else "down" for value in values]} for values in steps]
    small = from_arguments(
        {"x": {"type": "series", "encoder": {"hidden_size": 4}}},
        {"y": {"type": "tags", "head": "crf"}},
        training={"epochs": 2, "batch_rows": 16},
    )
    data = {"train": tagged, "valid": tagged[:8]}
    kept = api.portfolio(api.fit(small, tmp_path / "run", data=data, effort=2, minutes=9, device="cpu"))
    assert len([trial for trial in kept.trials if trial.stopped == "trained"]) > 1
    assert kept.chosen["loss"] <= kept.default["loss"]


def test_series_are_forecast_by_a_portfolio_too(tmp_path):
    lines = [{"t": f"2013-01-{1 + at // 24:02} {at % 24:02}:00", "load": float(at % 24)} for at in range(24 * 20)]
    series = from_arguments(
        {"load": "series", "when": "calendar"},
        {"ahead": {"of": "load", "horizon": 3, "lookback": 24}},
        data={"time": "t", "split": {"valid": 72}},
        training={"epochs": 1, "batch_rows": 64},
    )
    run = api.fit(series, tmp_path / "run", data={"train": lines}, effort=2, minutes=9, device="cpu")
    kept = api.portfolio(run)
    assert "head-linear-forecast" in [trial.candidate for trial in kept.trials if trial.stopped == "trained"]
    assert kept.chosen["ahead.mae"] <= kept.default["ahead.mae"]
    assert len(list(api.predict(run, rows=lines, device="cpu"))) == 1


def candidates(user, most=99):
    run_recipe = recipe(user)
    return portfolio.candidates(run_recipe, run_recipe, most)


def test_recordings_are_also_read_as_pictures_of_their_spectra():
    heard = from_arguments({"clip": "audio"}, {"word": "category"})
    encoders = [candidate.recipe.settings.inputs["clip"].encoder for candidate in portfolio.candidates(heard, heard, 3)]
    assert "cnn" in [encoder.type for encoder in encoders]


def test_what_the_recipe_gives_is_not_varied():
    changed = [path for candidate in candidates({}) for path in candidate.changes]
    assert {"inputs.text.tokenizer", "inputs.text.encoder", "inputs.text.encoder.cell"} <= {*changed}
    changed = [path for candidate in candidates({"tokenizer": "word"}) for path in candidate.changes]
    assert "inputs.text.tokenizer" not in changed and "inputs.text.encoder.cell" in changed
    changed = [path for candidate in candidates({"encoder": {"cell": "rnn"}}) for path in candidate.changes]
    assert {"inputs.text.encoder.cell", "inputs.text.encoder"}.isdisjoint(changed)


def test_a_default_run_that_was_still_learning_is_trained_for_longer():
    user = from_arguments({"text": "text"}, {"mood": "category"})
    default = user.with_chosen({"training.epochs": (8, "from the data")})
    longer = portfolio.candidates(user, default, 3, learning=True)[1]
    assert longer.name == "longer" and longer.shares == 3
    assert longer.changes == {"training.epochs": 24, "training.patience": 6}
    assert longer.recipe.settings.training.epochs == 24 and longer.recipe.settings.training.patience == 6
    assert "longer" not in [candidate.name for candidate in portfolio.candidates(user, default, 99)]
    for given in ({"epochs": 8}, {"max_updates": 100}, {"patience": 2}):
        asked = from_arguments({"text": "text"}, {"mood": "category"}, training=given)
        assert "longer" not in [candidate.name for candidate in portfolio.candidates(asked, asked, 99, learning=True)]


@pytest.mark.parametrize(
    ("ended", "best", "learning"),
    [("epochs", 8, True), ("epochs", 6, True), ("epochs", 5, False), ("patience", 8, False), ("epochs", None, False)],
)
def test_what_was_best_near_its_end_was_still_learning(tmp_path, ended, best, learning):
    kept = effort.Portfolio(3, minutes=10.0, trials=[effort.Trial("default", {}, 8)])
    work = effort._Work(recipe(), tmp_path, kept, "cpu", (), {}, Listeners(), time.monotonic())
    work.outcomes["default"] = Outcome(ended, False, 8, 80, 60.0, best, {"loss": 1.0})
    assert work.learning() is learning
    kept.trials.append(effort.Trial("longer", {}, 24))
    assert work.learning()  # What was begun goes on.


def test_the_longer_run_gets_the_time_of_several_and_is_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(effort._Work, "learning", lambda work: True)
    user = from_arguments({"text": "text"}, {"mood": "category"}, training={"batch_rows": 16})
    options = {"data": DATA, "effort": 2, "minutes": 9, "device": "cpu"}
    kept = api.portfolio(api.fit(user, tmp_path / "run", **options))
    default, longer = ([trial for trial in kept.trials if trial.candidate == name] for name in ("default", "longer"))
    assert longer[0].epochs == 3 * default[0].epochs and longer[0].stopped == "trained"
    assert len([trial for trial in kept.trials if not trial.of and trial.epochs]) == 1 + FEW.candidates


def test_each_candidate_differs_and_its_folder_too():
    listed = candidates({})
    assert len({candidate.name for candidate in listed}) == len(listed) > 20
    plain = [json.dumps(candidate.recipe.plain(), sort_keys=True) for candidate in listed]
    assert len({*plain, json.dumps(recipe().plain(), sort_keys=True)}) == len(plain) + 1


def test_time_that_is_left_is_spent_on_what_was_stopped_then_on_other_seeds(whole):
    _, run, kept, _ = whole
    stopped = [name for names in kept.stopped for name in names]
    seeds = [trial for trial in kept.trials if trial.of]
    assert kept.spent and stopped and kept.further == [*stopped, *(trial.candidate for trial in seeds)]
    assert {trial.stopped for trial in kept.trials} == {"trained"}
    assert len({(trial.of, trial.changes["training.seed"]) for trial in seeds}) == FEW.seeds
    assert all(trial.changes["data.seed"] == 1 and trial.of != "counted" for trial in seeds)
    assert all(member.recipe.settings.data.seed in (None, 1) for member in run.members)


def test_candidates_that_there_is_no_time_for_stay_stopped_and_are_tried_as_members(tmp_path, monkeypatch):
    monkeypatch.setattr(effort._Work, "left", lambda work: 0.0 if work.portfolio.stopped else 600.0)
    _, kept, _ = fit(tmp_path / "run")
    stopped = [trial for trial in kept.trials if trial.stopped == "stopped after epoch 2 of 4"]
    assert stopped and kept.spent and not kept.further and all(trial.metrics for trial in stopped)


def test_half_of_the_candidates_are_stopped_and_fewer_are_trained_on_where_the_time_is_short(tmp_path):
    trials = [effort.Trial(name, {}, 8, minutes=1.0) for name in ("a", "b", "c", "done")]
    kept = effort.Portfolio(3, minutes=10.0, trials=trials)
    work = effort._Work(recipe(), tmp_path, kept, "cpu", (), {}, Listeners(), time.monotonic())
    for loss, (name, ended) in enumerate({"a": None, "b": None, "c": None, "done": "epochs"}.items()):
        work.outcomes[name] = Outcome(ended, False, 2, 20, 60.0, 1, {"loss": float(loss)})
    assert work.seconds_to_end("a") == 180.0
    assert work.worse_half([*"abc", "done"]) == ["b", "c"]  # 296 s are left, a takes 180 of them
    kept.minutes = 20.0
    assert work.worse_half([*"abc", "done"]) == ["c"]
    work.ran = 0.5
    assert work.seconds_to_end("a") == 60.0  # the default run ended after half of its epochs
    kept.minutes = 4.0
    assert work.worse_half([*"abc", "done"]) == ["a", "b", "c"]


def test_another_seed_sets_the_same_rows_aside():
    def changes(**data):
        return portfolio.reseeded(from_arguments({"x": "text"}, {"y": "category"}, data=data).settings, 7)

    assert changes() == {"training.seed": 7, "data.seed": 1}
    assert changes(seed=3)["data.seed"] == 3
    assert changes(train="a.tsv", valid="b.tsv") == {"training.seed": 7}
    assert changes(train="a.tsv", valid="b.tsv", fraction=0.5) == {"training.seed": 7, "data.seed": 1}
    assert not [candidate for candidate in candidates({}) if "training.seed" in candidate.changes]


def test_symbols_of_answers_are_not_varied():
    for outputs in ({"en": "text"}, {"on": {"of": "de", "align": "next"}}):
        translator = from_arguments({"de": "text"}, outputs)
        listed = portfolio.candidates(translator, translator, 99)
        changed = {path for candidate in listed for path in candidate.changes}
        assert "outputs.en.tokenizer" not in changed and "inputs.de.encoder.cell" in changed
        assert "counted" not in {candidate.name for candidate in listed}
        assert ("inputs.de.tokenizer" in changed) == ("en" in outputs)


@pytest.mark.parametrize("room", ["encoders", "heads", "optimizers", "modalities"])
def test_what_members_propose_are_settings_of_theirs(room):
    for name in registry.names(room):
        classes = [registry.settings_class(room, name)] if room != "modalities" else []
        if room == "modalities":
            classes = [input_settings(name), output_settings(name)]
        for proposal in registry.component(room, name).variants:
            taken = [cls for cls in classes if proposal.keys() <= cls.model_fields.keys()]
            assert taken, f"{name}: {proposal}"
            taken[0].model_validate({"type": name, **proposal})


def test_the_advice_on_a_damaged_table(copy):
    run, table = Run.load(copy), (copy / bundles.EFFORT).read_text()
    (copy / bundles.EFFORT).write_text("{")
    with pytest.raises(BundleError, match=r"effort\.json: damaged .*; restore it, or start anew with --overwrite"):
        api.portfolio(run)
    (copy / bundles.EFFORT).write_text(table)
    assert api.portfolio(run).trials
    (copy / bundles.EFFORT).write_text("{")
    assert api.portfolio(fit(copy, 1, overwrite=True)[0]) is None
