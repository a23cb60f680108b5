"""Proof by extension: members of another package keep their rooms' laws, and learn a small task to a known score in seconds."""

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
NO_SUITE = {"searches"}


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
    return model.evaluate(backward(200, seed=2))["outputs"]["backward"][metric]["value"]


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
