"""Labels of whole rows and of steps, from recipe to answers: learnt, judged, missing in places, beside baselines."""

import json
import random

import pytest

import ostinato
from ostinato import api
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.report_text import text_of
from ostinato.recipe.read import from_arguments

ENCODER = {"hidden_size": 16, "embedding_size": 8, "dropout": 0.0}


def rows(count, seed=0):
    """Letters; which of a and b comes more often; each letter's class, as a list; their number."""
    drawn = random.Random(seed)
    made = []
    for _ in range(count):
        letters = [drawn.choice("abcd") for _ in range(drawn.choice([3, 5, 7]))]
        winner = "first" if letters[0] in "ab" else "other"
        made.append(
            {
                "letters": letters,
                "winner": winner,
                "kinds": ["early" if one in "ab" else "late" for one in letters],
                "length": float(len(letters)),
                "site": drawn.choice(["north", "south"]),
            }
        )
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """One encoder, three outputs; a third of the rows lack one of them."""
    train = rows(240)
    for number, row in enumerate(train):
        if number % 3 == 0:
            row["winner"] = None
        elif number % 3 == 1:
            row["kinds"] = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = ostinato.Model(
            inputs={"letters": {"type": "tokens", "encoder": ENCODER}},
            outputs={
                "winner": {"type": "category", "head": {"dropout": 0.0}},
                "kinds": {"type": "tags", "head": {"type": "crf", "dropout": 0.0}},
                "length": {"type": "number", "head": {"dropout": 0.0}},
            },
            training={
                "epochs": 12,
                "batch_rows": 16,
                "optimizer": {"type": "adamw", "learning_rate": 0.01},
                "schedule": "constant",
                "seed": 2,
            },
        )
        made.fit(train, rows(40, seed=5), folder=tmp_path_factory.mktemp("runs") / "run")
        yield made


def test_three_outputs_are_learnt_though_each_lacks_rows(model):
    found = model.evaluate(rows(60, seed=9)).to_json()["outputs"]
    assert found["winner"]["accuracy"]["value"] >= 95
    assert found["kinds"]["accuracy(steps)"]["value"] >= 99
    assert found["length"]["rmse"]["value"] < 0.6
    notes = " ".join(model.run.bundle.data["notes"])
    assert "80 rows have no outputs.winner" in notes and "80 rows have no outputs.kinds" in notes


def test_answers_are_raw_values_in_the_order_of_the_rows(model):
    given = rows(12, seed=11)
    for row, said in zip(given, model.predict(given)):
        assert said["winner"] in ("first", "other")
        assert said["kinds"] == row["kinds"]
        assert isinstance(said["length"], float)


def test_a_label_has_a_second_best_and_probabilities(model):
    (found,) = model.predict([{"letters": ["a", "c", "d"]}], n_best=2)
    best, second = found["winner"]
    assert best.value == "first" and second.value == "other"
    assert sum(best.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert list(best.probabilities) == ["first", "other"] and best.log_probability > second.log_probability
    assert len(found["kinds"]) == len(found["length"]) == 1


def test_company_changes_no_answer(model):
    given = rows(9, seed=3)
    together = model.predict(given)
    for row, expected in zip(given, together):
        (alone,) = model.predict([row])
        assert alone["winner"] == expected["winner"] and alone["kinds"] == expected["kinds"]
        assert alone["length"] == pytest.approx(expected["length"], rel=1e-5, abs=1e-5)


def test_rows_that_lack_an_output_are_judged_on_the_others(model):
    given = rows(20, seed=4)
    for row in given[:15]:
        row["winner"] = None
    found = model.evaluate(given).to_json()
    assert found["examples"] == 20
    assert found["outputs"]["winner"]["accuracy"]["method"] == "wilson over 5 examples"
    with pytest.raises(DataError, match="no row holds winner"):
        model.evaluate([row | {"winner": None} for row in given])


def test_baselines_stand_beside_the_result(model, tmp_path):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows(150)))
    test.write_text("".join(json.dumps(row) + "\n" for row in rows(40, seed=8)))
    recipe = from_arguments(
        {"letters": {"type": "tokens", "encoder": ENCODER}},
        {"winner": "category", "kinds": "tags", "length": "number"},
        data={"train": str(train), "test": str(test)},
        training={"epochs": 1},
    )
    report = api.train(recipe, tmp_path / "run")
    found, baselines = report.to_json(), report.to_json()["baselines"]
    assert set(baselines["winner"]) == {"majority class", "n-gram logistic regression"}
    assert baselines["kinds"]["majority class of the symbol"]["accuracy(steps)"]["value"] == 100
    assert baselines["length"]["mean"]["rmse"]["value"] == pytest.approx(1.6, abs=0.3)
    winners = [row["winner"] for row in rows(40, seed=8)]
    commonest = max(("first", "other"), key=[row["winner"] for row in rows(150)].count)
    assert baselines["winner"]["majority class"]["accuracy"]["value"] == pytest.approx(
        100 * winners.count(commonest) / 40
    )
    assert "baseline: majority class" in text_of(report)
    assert api.train(recipe, tmp_path / "run", resume=True).to_json()["outputs"] == found["outputs"], (
        "a finished run says what it found"
    )

    grouped = api.evaluate(tmp_path / "run", by="site").to_json()["by"]
    assert set(grouped["groups"]) == {"north", "south"}
    assert sum(one["examples"] for one in grouped["groups"].values()) == 40
    values = {name: one["outputs"]["winner"]["accuracy"]["value"] for name, one in grouped["groups"].items()}
    assert grouped["worst"]["winner"]["accuracy"] == min(values, key=values.get)
    counts = found["confusion"]["winner"]["counts"]
    assert sum(map(sum, counts)) == 40 and sum(counts[k][k] for k in range(len(counts))) == pytest.approx(
        0.4 * found["outputs"]["winner"]["accuracy"]["value"]
    )


def test_as_many_labels_as_steps_are_demanded_with_the_place():
    given = rows(20)
    given[7]["kinds"] = given[7]["kinds"][:-1]
    model = ostinato.Model(inputs={"letters": "tokens"}, outputs={"kinds": "tags"}, training={"epochs": 1})
    with pytest.raises(
        DataError,
        match=r"row 8.*outputs.kinds has \d labels and inputs.letters \d steps \(one row like this\).*one label per "
        r"step: mend or leave out",
    ):
        model.fit(given, rows(5))


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ({"a": "tokens", "b": "tokens"}, {"y": "tags"}, "labels the steps of one input"),
        ({"a": "category"}, {"y": {"type": "category", "align": "each"}}, "'each' is not possible for category"),
        ({"a": "tokens"}, {"y": {"type": "category", "head": "autoregressive"}}, "does not serve align 'summary'"),
        ({"a": "tokens"}, {"y": {"type": "category"}, "z": {"type": "category", "reads": []}}, "must read an input"),
    ],
)
def test_what_cannot_be_is_told(inputs, outputs, said):
    with pytest.raises(ConfigError) as why:
        ostinato.Model(inputs=inputs, outputs=outputs)
    assert said in str(why.value)


def test_one_to_one_on_a_plain_table(tmp_path):
    """Two columns that are no sequences: exclusive or, which no linear model can tell."""
    table = [
        {"left": left, "right": right, "same": str(left == right)} for left in ("x", "y") for right in ("x", "y")
    ] * 20
    model = ostinato.Model(
        inputs={"left": "category", "right": "category"},
        outputs={"same": {"type": "category", "join": {"type": "compare"}, "head": {"dropout": 0.0}}},
        training={
            "epochs": 30,
            "batch_rows": 8,
            "optimizer": {"type": "adamw", "learning_rate": 0.01},
            "schedule": "constant",
        },
    )
    model.fit(table, table[:4], folder=tmp_path / "run")
    assert model.predict([{"left": "x", "right": "y"}, {"left": "y", "right": "y"}]) == ["False", "True"]
