"""Proof by extension: members of another package keep their rooms' laws, and learn a small task to a known score in
seconds."""

import random
import tomllib
from pathlib import Path

import pytest

import ostinato
from ostinato import registry
from ostinato.testing import laws

HERE = Path(__file__).parent
POINTS = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
MEMBERS = [(group.partition(".")[2], name) for group, members in POINTS.items() for name in members]
NO_SUITE = {"heads"}


@pytest.mark.parametrize(("room", "name"), [one for one in MEMBERS if one[0] not in NO_SUITE])
def test_it_is_found_beside_the_others_and_keeps_the_laws_of_its_room(room, name):
    assert name in registry.names(room)
    assert registry.summaries(room)[name].endswith(".")
    laws.run(room, name)


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
            **({"optimizer": {"type": "adam", "learning_rate": 0.01}} | training),
        },
    )
    return model.fit(backward(1200), backward(100, seed=1), device="cpu")


def score(model, metric="exact_match"):
    return model.evaluate(backward(200, seed=2)).to_json()["outputs"]["backward"][metric]["value"]


def test_a_cell_without_a_product_of_h_reads_and_speaks():
    assert score(trained(cell="mingru", epochs=12)) >= 90  # an LSTM comes to 99; each layer is linear in its state


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


def frames(count, seed=0):
    """Letters held for two or three steps each with a rest between, and the letters alone."""
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        letters = drawn.choices("abc", k=drawn.randint(1, 4))
        held = [step for letter in letters for step in [letter] * drawn.randint(2, 3) + ["-"] * drawn.randint(1, 2)]
        rows.append({"frames": held, "letters": letters})
    return rows


@pytest.mark.parametrize("width", [1, 4])
def test_a_head_with_targets_and_answers_of_its_own_is_right_on_every_row(width):
    model = ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": {"cell": "gru", "hidden_size": 16, "embedding_size": 8}}},
        outputs={"letters": {"type": "tokens", "align": "free", "head": {"type": "ctc", "width": width}}},
        training={"epochs": 8, "batch_rows": 20, "optimizer": {"type": "adam", "learning_rate": 0.02}},
    )
    model.fit(frames(300), frames(40, seed=1), device="cpu")
    report = model.evaluate(frames(60, seed=2)).to_json()["outputs"]["letters"]
    assert report["exact_match"]["value"] == 100
    assert model.predict([{"frames": ["a", "a", "-", "a", "b"]}])[0] == ["a", "a", "b"]


def test_a_head_names_what_its_targets_need():
    model = ostinato.Model(
        inputs={"frames": {"type": "tokens"}},
        outputs={"letters": {"type": "tokens", "align": "free", "head": "ctc"}},
        training={"epochs": 1},
    )
    with pytest.raises(ostinato.errors.DataError, match="ctc needs a step of the source for each symbol"):
        model.fit([{"frames": ["a", "a"], "letters": ["a", "a"]}] * 30, frames(10), device="cpu")


def test_a_join_adds_its_penalty_to_the_loss(tmp_path):
    rows = [{"one": one, "two": two, "both": one + two} for one in "abcd" for two in "abcd"] * 8
    model = ostinato.Model(
        inputs={"one": "category", "two": "category"},
        outputs={"both": {"type": "category", "join": {"type": "latent", "size": 8, "beta": 0.01}}},
        training={"epochs": 20, "batch_rows": 16, "optimizer": {"type": "adam", "learning_rate": 0.02}},
    )
    model.fit(rows, rows[:16], device="cpu", folder=tmp_path / "run")
    assert model.evaluate(rows[:16]).to_json()["outputs"]["both"]["accuracy"]["value"] >= 95
    assert "both.kl" in (tmp_path / "run" / "history.jsonl").read_text()
