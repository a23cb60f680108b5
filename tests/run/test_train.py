"""What a run is made from: rows set aside, sizes chosen, data that changed, an epoch's validation."""

import json
import random
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ostinato
from ostinato import api
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.compare import compared
from ostinato.evaluation.predictions import predict_all
from ostinato.preprocessing import prepare as preprocessing_prepare
from ostinato.recipe.read import from_arguments
from ostinato.run.rows import of_split
from ostinato.sweeps.sweep import Planned, is_finished
from tests.advice import follow

SMALL = {"type": "text", "tokenizer": "char"}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rows(number, seed=0):
    draw = random.Random(seed)
    texts = ["".join(draw.choices("abc", k=draw.randint(1, 6))) for _ in range(number)]
    return [{"x": text, "y": text} for text in texts]


def recipe(**training):
    return from_arguments(
        {"x": SMALL | {"encoder": {"hidden_size": 4}}},
        {"y": SMALL | {"head": {"decoder": {"hidden_size": 4}}}},
        training={"epochs": 1} | training,
    )


def test_nothing_of_validation_is_fitted_or_trained_on():
    data = {"train": rows(20), "valid": [{"x": "zz", "y": "qq"}]}
    made = preprocessing_prepare.prepare(recipe(), data=data)
    for place in ("inputs.x", "outputs.y"):
        assert set(made.modalities[place].facts()["tokenizer"]["pieces"]) <= set("abc")
    aside = preprocessing_prepare.prepare(recipe(), data={"train": rows(40)})
    train, valid = set(aside.splits["train"].rows.tolist()), set(aside.splits["valid"].rows.tolist())
    assert len(valid) == 4 and not train & valid and len(train | valid) == 40
    assert "4 of 40 rows set aside by seed" in aside.notes[0]


def test_rows_set_aside_depend_on_the_seed_alone():
    one, same, other = (
        preprocessing_prepare.prepare(recipe(seed=seed), data={"train": rows(40)}).splits["valid"].rows
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_what_the_user_set_is_not_chosen_and_what_is_chosen_has_a_reason():
    made = preprocessing_prepare.prepare(recipe(batch_rows=5), data={"train": rows(40)}).recipe
    assert made.settings.training.batch_rows == 5 and made.settings.training.batch_steps is None
    assert made.settings.training.epochs == 1 and "training.epochs" not in made.reasons
    assert all(made.reasons.values()) and "outputs.y.reads" in made.reasons


def test_the_longest_training_target_is_known():
    made = preprocessing_prepare.prepare(recipe(max_steps=5), data={"train": rows(40), "valid": rows(4)})
    assert made.lengths == {"y": 5}


def test_a_split_that_is_not_named_is_told():
    with pytest.raises(ConfigError, match="data.train is not given"):
        preprocessing_prepare.prepare(recipe())


def test_a_watched_metric_of_answers_is_measured_each_epoch(tmp_path):
    model = ostinato.Model(
        {"x": SMALL | {"encoder": {"hidden_size": 4}}},
        {"y": SMALL | {"head": {"decoder": {"hidden_size": 4}}}},
        training={"epochs": 2, "batch_rows": 8, "monitor": "y.exact_match"},
    )
    model.fit(rows(24), rows(8, seed=1), folder=tmp_path / "run", device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "run/history.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert len(epochs) == 2 and all(0 <= line["valid.y.exact_match"] <= 100 for line in epochs)
    # The same numbers as a report on the same rows with the weights that were kept.
    report = model.evaluate(rows(8, seed=1)).to_json()["outputs"]["y"]
    best = next(line for line in epochs if line["best"])
    assert report["perplexity"]["value"] == pytest.approx(best["valid.y.perplexity"], rel=1e-4)


def test_alternatives_count_as_right_and_rows_without_an_output_are_left_out(tmp_path):
    model = ostinato.Model(
        {"x": SMALL | {"encoder": {"hidden_size": 4}}},
        {"y": SMALL | {"head": {"decoder": {"hidden_size": 4}}, "alternatives": "more"}},
        search={"type": "greedy"},
        training={"epochs": 4, "batch_rows": 8, "optimizer": {"learning_rate": 0.03}, "patience": None},
    )
    train, valid = ([row | {"more": ""} for row in rows(number, seed=number)] for number in (24, 8))
    model.fit(train, valid, device="cpu")
    (said,) = model.predict(["abc"])
    assert said, "an empty answer is no alternative"
    data = [
        {"x": "abc", "y": "never", "more": f"no | {said}"},
        {"x": "abc", "y": "never", "more": ""},
        {"x": "abc", "y": None, "more": ""},
    ]
    found = model.evaluate(data).to_json()
    assert found["examples"] == 2
    with pytest.raises(DataError, match="no row holds y"):
        model.evaluate(data[2:])
    judged = predict_all([model.run], of_split(model.run, "test", data, ())).outputs["y"]
    assert [list(one) for one in judged.alternatives] == [["no", said], []]
    # Validation while training counts them too: the seed is the same, so the answer of the last epoch is.
    model.fit(train, data[:1], folder=tmp_path / "run", device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "run/history.jsonl").read_text().splitlines()]
    assert [line["valid.y.exact_match"] for line in lines if line["event"] == "epoch"][-1] == 100
    with pytest.raises(DataError, match="more"):
        model.fit(train, rows(8, seed=1), device="cpu")


def test_compare_needs_an_output_in_common(tmp_path):
    runs = []
    for name in ("y", "z"):
        model = ostinato.Model(
            {"x": SMALL | {"encoder": {"hidden_size": 4}}},
            {name: SMALL | {"column": "y", "head": {"decoder": {"hidden_size": 4}}}},
            training={"epochs": 1, "batch_rows": 8},
        )
        runs.append(model.fit(rows(24), rows(8), folder=tmp_path / name, device="cpu").run)
    with pytest.raises(DataError, match="gives y, .* gives z: none in common"):
        compared(*runs, (None, None), "test")


def test_a_run_of_a_version_that_lacked_a_setting_goes_on(tmp_path):
    """A setting that has been added since stands at its default."""
    rows = [{"x": list("abc"), "y": list("cba")}] * 8
    model = ostinato.Model(inputs={"x": "tokens"}, outputs={"y": "tokens"}, training={"epochs": 1, "batch_rows": 4})
    model.fit(rows, rows[:2], folder=tmp_path / "run")
    kept = tmp_path / "run" / "bundle.json"
    plain = json.loads(kept.read_text())
    del plain["recipe"]["inputs"]["x"]["encoder"]["word_dropout"], plain["recipe"]["training"]["tbptt"]
    del plain["checksum"]
    kept.write_text(json.dumps(plain))
    model.fit(rows, rows[:2], folder=tmp_path / "run", resume=True)
    model.recipe = from_arguments(
        {"x": {"type": "tokens", "encoder": {"word_dropout": 0.5}}},
        {"y": "tokens"},
        training={"epochs": 1, "batch_rows": 4},
    )
    with pytest.raises(ConfigError, match="word_dropout was 0.0, is 0.5"):
        model.fit(rows, rows[:2], folder=tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"split": {"valid": 12, "test": 6}}, r"data\.split\.test was 12, is 6"),
        ({"season": 5}, r"data\.season was 6, is 5"),
        ({"time": None, "split": {"valid": 12, "test": 12}}, r"data\.time was 'hour', is None"),
    ],
    ids=str,
)
def test_a_run_that_divides_its_series_otherwise_is_another_run(changed, says, tmp_path):
    (tmp_path / "load.csv").write_text("\n".join(["hour,load", *(f"{hour},{hour % 6}" for hour in range(60))]) + "\n")
    data = {"file": str(tmp_path / "load.csv"), "time": "hour", "split": {"valid": 12, "test": 12}}

    def planned(**changed):
        encoder = {"hidden_size": 4, "embedding_size": 4}
        made = from_arguments(
            {"load": {"type": "series", "encoder": encoder}},
            {"ahead": {"of": "load", "horizon": 3, "lookback": 6}},
            data={**data, **changed},
            training={"epochs": 1},
        )
        return Planned("run", {}, 1, made, (), tmp_path / "run")

    api.train(planned().recipe, tmp_path / "run", device="cpu")
    assert is_finished(planned())
    with pytest.raises(ConfigError, match=says):
        is_finished(planned(**changed))
    with pytest.raises(ConfigError, match=says):
        api.train(planned(**changed).recipe, tmp_path / "run", resume=True, device="cpu")


def test_the_advice_on_a_run_whose_checkpoints_were_deleted_and_it_trains_no_longer(tmp_path):
    folder, said = tmp_path / "run", []
    first = recipe(epochs=2)
    options = {"data": {"train": rows(20), "valid": rows(4, 1)}, "device": "cpu"}
    api.fit(first, folder, **options)
    shutil.rmtree(folder / "checkpoints")
    weights = (folder / "weights.safetensors").read_bytes()
    api.fit(first, folder, resume=True, say=said.append, **options)
    assert any("this run is finished (2 epochs)" in line for line in said)
    assert not any(line.startswith("epoch 1") for line in said)
    assert (folder / "weights.safetensors").read_bytes() == weights
    longer = partial(api.fit, recipe(epochs=3), **options)
    follow(
        partial(longer, folder, resume=True),
        "training.epochs was 2, is 3, and the checkpoints that training would continue from are deleted; start anew"
        " with --overwrite, or choose another folder: --run DIR",
        partial(longer, folder, overwrite=True),
        partial(longer, tmp_path / "other"),
    )


def test_the_advice_on_a_run_that_is_finished_and_on_minutes_that_come_too_late(tmp_path):
    said, data = [], {"train": rows(20), "valid": rows(4, 1)}
    fit = partial(api.fit, folder=tmp_path / "run", data=data, device="cpu", say=said.append)
    fit(recipe(epochs=1))
    fit(recipe(epochs=1), resume=True, minutes=9)
    assert any(line.endswith("this run is finished (1 epochs); raise training.epochs to train on") for line in said)
    assert "note: --resume keeps what was decided when the run began, whatever --minutes is" in said
    assert fit(recipe(epochs=2), resume=True).bundle.recipe["training"]["epochs"] == 2
    assert any(line.startswith("epoch 2") or "trained 2 epochs" in line for line in said)


def test_the_advice_on_data_that_changed_since(tmp_path):
    table = tmp_path / "rows.jsonl"
    made = from_arguments(
        {"x": {"type": "text", "encoder": {"hidden_size": 4}}},
        {"y": "category"},
        data={"train": str(table), "valid": str(table)},
        training={"epochs": 1, "max_updates": 1},
    )
    old, new = (f'{{"x": "{x}", "y": "p"}}\n{{"x": "b", "y": "q"}}\n' * 4 for x in ("a b", "b b"))
    table.write_text(old)
    train = partial(api.train, made, tmp_path / "run", device="cpu")
    train()
    table.write_text(new)
    advice = "was trained on (its content changed since); bring the old file back, or start anew with --overwrite"
    follow(partial(train, resume=True), advice, lambda: table.write_text(old), partial(train, resume=True))
    table.write_text(new)
    train(overwrite=True)


def test_empty_references_are_left_out_with_a_count_as_in_training(tmp_path):
    data = rows(12)
    api.fit(recipe(epochs=1), tmp_path / "run", data={"train": data, "valid": data[:2]}, device="cpu")
    said = []
    measured = [*data[:3], {"x": "ab", "y": ""}]
    report = api.evaluate([tmp_path / "run"], data=measured, device="cpu", say=said.append)
    assert report.examples == 3
    assert any(line.startswith("1 row left out, every output, or its text, is missing (the first: ") for line in said)


@pytest.mark.parametrize("transposition, least, most", [(0, 10, 30), (3, 0, 5)])
def test_a_piece_in_another_key_is_expected_where_training_moved_pieces(transposition, least, most):
    roll = {"type": "piano_roll", "lowest": 55, "keys": 12, "transposition": transposition}
    encoder = {"hidden_size": 16, "bidirectional": False}
    training = {"epochs": 15, "batch_rows": 4, "optimizer": {"type": "adamw", "learning_rate": 0.02}}
    model = ostinato.Model(
        {"roll": {**roll, "encoder": encoder}}, {"next": {"of": "roll", "column": "roll"}}, training=training
    )
    rows = [{"roll": [[60]] * 8}] * 32
    model.fit(rows, rows[:4], verbose=0)
    assert least < model.evaluate([{"roll": [[62]] * 8}]).outputs["next"]["log_loss"].value < most


def test_masks_of_micro_batches_are_those_of_one_batch(tmp_path):
    """Law l, on what training changes of its examples."""
    random = np.random.default_rng(0)
    rows = [
        {"x": random.normal(place % 2, 1, (random.integers(4, 12), 5)), "y": "ab"[place % 2]} for place in range(16)
    ]
    weights, masks = [], {"step_masks": 1, "step_width": 3, "band_masks": 1, "band_width": 2}
    for batch_rows in (16, 4):
        model = ostinato.Model(
            {"x": {"type": "series", "encoder": {"hidden_size": 6, "dropout": 0.0}, **masks}},
            {"y": {"type": "category", "head": {"dropout": 0.0}}},
            training={
                "epochs": 3,
                "batch_rows": batch_rows,
                "accumulate": 16 // batch_rows,
                "optimizer": {"type": "sgd", "learning_rate": 0.5},
                "schedule": "constant",
                "keep_best": False,
            },
        )
        model.fit(rows, rows[:4], device="cpu", folder=tmp_path / str(batch_rows))
        weights.append(load_file(tmp_path / str(batch_rows) / "weights.safetensors"))
    one, parts = weights
    assert all((one[name] - parts[name]).abs().max() <= 1e-6 * one[name].abs().max() for name in one)
