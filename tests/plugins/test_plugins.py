"""Proof by extension: members of another package keep their rooms' laws, and learn a small task to a known score in
seconds."""

import random
import tomllib
from pathlib import Path

import pytest

import ostinato
from ostinato import api, registry
from ostinato.recipe.read import load
from ostinato.testing import laws

HERE = Path(__file__).parent
POINTS = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
MEMBERS = [(group.partition(".")[2], name) for group, members in POINTS.items() for name in members]


@pytest.mark.parametrize(("room", "name"), MEMBERS)
def test_it_is_found_beside_the_others_and_keeps_the_laws_of_its_room(room, name):
    assert name in registry.names(room)
    assert registry.summaries(room)[name].endswith(".")
    laws.run(room, name, tried={"generated": [3]})


def backward(count, seed=0):
    """Two to four letters, and the same from the last to the first."""
    drawn = random.Random(seed)
    words = [drawn.choices("abcd", k=drawn.randint(2, 4)) for _ in range(count)]
    return [{"said": word, "backward": word[::-1]} for word in words]


def trained(*, cell="gru", metrics=None, search="greedy", epochs=10, **training):
    model = ostinato.Model(
        inputs={"said": {"type": "tokens", "encoder": {"cell": cell, "hidden_size": 32, "embedding_size": 16}}},
        outputs={
            "backward": {
                "type": "tokens",
                **({"metrics": metrics} if metrics else {}),
                "head": {"decoder": {"cell": cell, "hidden_size": 48}, "embedding_size": 24},
            }
        },
        search=search,
        training={
            "epochs": epochs,
            "batch_rows": 40,
            **({"optimizer": {"type": "adam", "learning_rate": 0.01}, "schedule": "constant"} | training),
        },
    )
    return model.fit(backward(1200), backward(100, seed=1), device="cpu")


def score(model, metric="exact_match"):
    return model.evaluate(backward(200, seed=2)).to_json()["outputs"]["backward"][metric]["value"]


def test_a_cell_without_a_product_of_h_reads_and_speaks():
    assert score(trained(cell="leaky", epochs=12)) >= 90


def test_an_optimizer_trains():
    assert score(trained(optimizer={"type": "lion", "learning_rate": 0.002})) >= 95


def test_a_search_answers():
    assert score(trained(search={"type": "best_of", "count": 8})) >= 95


def test_a_metric_with_options_is_evaluated_monitored_and_compared():
    model = trained(
        metrics=["exact_match", {"type": "same_length", "within": 1}],
        epochs=2,
        monitor="backward.same_length(within=1)",
    )
    assert score(model, "same_length(within=1)") >= 95
    other = trained(metrics=["exact_match", {"type": "same_length", "within": 1}], epochs=1)
    rows = backward(200, seed=2)
    compared = api.compare(other.run, model.run, data=rows, device="cpu").outputs["backward"]["same_length(within=1)"]
    first, second = (score(run, "same_length(within=1)") for run in (other, model))
    assert (compared.first, compared.second) == (first, second) and compared.better == "second"


def frames(count, seed=0):
    """Letters held for two or three steps each with a rest between, and the letters alone."""
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        letters = drawn.choices("abc", k=drawn.randint(1, 4))
        held = [step for letter in letters for step in [letter] * drawn.randint(2, 3) + ["-"] * drawn.randint(1, 2)]
        rows.append({"frames": held, "letters": letters})
    return rows


def test_a_head_with_targets_and_answers_of_its_own_is_right_on_every_row():
    model = ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": {"cell": "gru", "hidden_size": 16, "embedding_size": 8}}},
        outputs={"letters": {"type": "tokens", "align": "free", "head": "best_path"}},
        training={
            "epochs": 8,
            "batch_rows": 20,
            "optimizer": {"type": "adam", "learning_rate": 0.02},
            "schedule": "constant",
        },
    )
    model.fit(frames(300), frames(40, seed=1), device="cpu")
    report = model.evaluate(frames(60, seed=2)).to_json()["outputs"]["letters"]
    assert report["exact_match"]["value"] == 100
    assert model.predict([{"frames": ["a", "a", "-", "a", "b"]}])[0] == ["a", "a", "b"]


def test_a_head_names_what_its_targets_need():
    model = ostinato.Model(
        inputs={"frames": {"type": "tokens"}},
        outputs={"letters": {"type": "tokens", "align": "free", "head": "best_path"}},
        training={"epochs": 1},
    )
    with pytest.raises(ostinato.errors.DataError, match="best_path needs a step of the source for each symbol"):
        model.fit([{"frames": ["a", "a"], "letters": ["a", "a"]}] * 30, frames(10), device="cpu")


def test_a_join_adds_its_penalty_to_the_loss(tmp_path):
    rows = [{"one": one, "two": two, "both": one + two} for one in "abcd" for two in "abcd"] * 8
    model = ostinato.Model(
        inputs={"one": "category", "two": "category"},
        outputs={"both": {"type": "category", "join": {"type": "noisy", "size": 8, "beta": 0.01}}},
        training={
            "epochs": 20,
            "batch_rows": 16,
            "optimizer": {"type": "adam", "learning_rate": 0.02},
            "schedule": "constant",
        },
    )
    model.fit(rows, rows[:16], device="cpu", folder=tmp_path / "run")
    assert model.evaluate(rows[:16]).to_json()["outputs"]["both"]["accuracy"]["value"] >= 95
    assert "both.kl" in (tmp_path / "run" / "history.jsonl").read_text()


def lines_of_pixels(folder, count, seed=0):
    """A folder with a manifest: lines of pixels, each in a file, and whether more of them are black or white."""
    drawn = random.Random(seed)
    rows = ["line:file,most"]
    folder.mkdir()
    for number in range(count):
        runs = [(drawn.randint(1, 60), drawn.choice([0, 255])) for _ in range(drawn.randint(1, 6))]
        white = sum(length if brightness else -length for length, brightness in runs)
        (folder / f"{number}.run").write_bytes(bytes(part for run in runs for part in run))
        rows.append(f"{number}.run,{'white' if white > 0 else 'black'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


PIXELS = """
data:    {train: train, valid: valid}
inputs:  {line: {type: run_lengths, encoder: {hidden_size: 24, embedding_size: 12}}}
outputs: {most: category}
training: {epochs: 15, batch_rows: 20, optimizer: {type: adam, learning_rate: 0.01}, schedule: constant}
"""


def test_a_modality_reads_the_bytes_of_files_that_a_manifest_names(tmp_path):
    for name, count, seed in (("train", 500, 0), ("valid", 60, 1), ("test", 100, 2)):
        lines_of_pixels(tmp_path / name, count, seed)
    (tmp_path / "pixels.yaml").write_text(PIXELS)
    run = api.fit(load(tmp_path / "pixels.yaml"), tmp_path / "run", device="cpu")
    report = api.evaluate(run, data=str(tmp_path / "test"), device="cpu").to_json()
    assert report["outputs"]["most"]["accuracy"]["value"] >= 90
    (black, white) = api.predict(run, ["0a00", "30ff0a00"], device="cpu")
    assert (black.best["most"].value, white.best["most"].value) == ("black", "white")
    modality = run.modalities["inputs.line"]
    assert modality.decode(modality.encode(b"\x03\xff")) == b"\x03\xff"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("a.ran", "a.ran is of no kind that is read here: .*; for some modalities .*[.]run"),
        ("a.run.gz", "a.run.gz is of no kind"),
        ("a.run", "manifest.csv line 2, inputs.line: 3 bytes end within a pair"),
    ],
)
def test_a_file_that_no_modality_reads_is_refused(tmp_path, file, message):
    for name in ("train", "valid"):
        lines_of_pixels(tmp_path / name, 20)
    (tmp_path / "train" / file).write_bytes(b"abc")
    (tmp_path / "train/manifest.csv").write_text(f"line:file,most\n{file},black\n")
    (tmp_path / "pixels.yaml").write_text(PIXELS)
    with pytest.raises(ostinato.errors.DataError, match=message):
        api.fit(load(tmp_path / "pixels.yaml"), tmp_path / "run", device="cpu")


NAMES = [first + second + third for first in "BKLMRT" for second in "aeiou" for third in ("da", "lo", "mi", "ra", "su")]


def messages(count, seed=0):
    """Who is called and who calls, of 150 names, in one of two orders; and the name alone that is asked for."""
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        one, two = drawn.sample(NAMES, 2)
        rows.append(
            drawn.choice([(f"{one} calls {two} now", f"call {two}"), (f"{one} by {two} called", f"call {one}")])
        )
    return [{"message": message, "reply": reply} for message, reply in rows]


def test_words_that_cannot_be_generated_are_copied_from_the_source():
    model = ostinato.Model(
        inputs={
            "message": {
                "type": "text",
                "tokenizer": "word",
                "encoder": {"hidden_size": 24, "embedding_size": 16},
            }
        },
        outputs={
            "reply": {
                "type": "text",
                "tokenizer": {"same_as": "message"},
                "head": {
                    "type": "copying",
                    "embedding_size": 16,
                    "generated": 8,
                    "decoder": {"hidden_size": 32, "attention": "none"},
                },
            }
        },
        training={
            "epochs": 6,
            "batch_rows": 20,
            "optimizer": {"type": "adam", "learning_rate": 0.01},
            "schedule": "constant",
        },
    )
    model.fit(messages(600), messages(60, seed=1), device="cpu")
    tokenizer = model.run.modalities["outputs.reply"]
    assert all(number >= 8 for name in NAMES for number in tokenizer.encode(name))
    assert model.evaluate(messages(200, seed=2)).to_json()["outputs"]["reply"]["exact_match"]["value"] >= 95
