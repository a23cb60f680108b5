"""The pointer-generator: against its equations by hand, and a model that says what only the source has."""

import random

import pytest
import torch

import ostinato
from ostinato.errors import ConfigError
from ostinato.heads._pointer import Pointer, Source
from ostinato.steps import Layout, Steps


def by_hand(pointer, features, vectors, symbols):
    """One sequence and its source, step by step: log c, log g and the penalty."""
    covered, penalty, rows = torch.zeros(len(symbols)), 0.0, []
    for feature in features:
        scores = vectors @ (pointer.query.weight @ feature)
        if pointer.covering is not None:
            scores = scores - pointer.covering.abs() * covered
        share = scores.softmax(0)
        penalty += float(torch.minimum(share, covered).sum().detach()) if pointer.covering is not None else 0.0
        covered = covered + share
        rows.append(share.log())
    return rows, torch.nn.functional.logsigmoid(features @ pointer.gate.weight[0] + pointer.gate.bias), penalty


@pytest.mark.parametrize("coverage", [False, True])
def test_each_step_is_its_equation(coverage):
    torch.manual_seed(0)
    pointer, layout, read = Pointer(4, 3, coverage=coverage), Layout([3, 0, 2]), Layout([2, 1, 4])
    features = Steps(torch.randn(5, 4), layout)
    vectors, symbols = Steps(torch.randn(7, 3), read), Steps(torch.arange(7) + 1, read)
    copied = pointer(features, Source(vectors.padded(), symbols.padded() - 1))
    total = 0.0
    for row, (own, theirs) in enumerate(zip(features.split(), vectors.split())):
        logs, gates, penalty = by_hand(pointer, own, theirs, theirs)
        total += penalty
        here = layout.rows == row
        for log, expected in zip(copied.logs[here], logs):
            torch.testing.assert_close(log[: len(expected)], expected)
            assert bool((log[len(expected) :] == -torch.inf).all())
        torch.testing.assert_close(copied.generated[here], gates)
    assert float(copied.penalty.detach()) == pytest.approx(total, abs=1e-5)
    nothing = pointer(features, Source(torch.zeros(3, 2, 3), torch.full((3, 2), -1)))
    assert not nothing.generated.any() and bool((nothing.copied == -torch.inf).all())


NAMES = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("ak", "el", "im", "ot", "ur")]


def messages(count, seed, names):
    drawn = random.Random(seed)
    chosen = [(drawn.choice(names), drawn.choice(names)) for _ in range(count)]
    return [{"message": f"{one} met {two}", "reply": f"so {two} knows {one}"} for one, two in chosen]


def model(**head):
    return ostinato.Model(
        {"message": {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 16, "embedding_size": 16}}},
        {
            "reply": {
                "type": "text",
                "tokenizer": {"same_as": "message"},
                "head": {"embedding_size": 16, "decoder": {"hidden_size": 32}, **head},
            }
        },
        training={"epochs": 6, "batch_rows": 20, "optimizer": {"type": "adam", "learning_rate": 0.01}},
    )


@pytest.mark.slow
def test_names_are_copied_in_another_order():
    trained = model(copy=True, coverage=True).fit(messages(300, 0, NAMES), messages(20, 1, NAMES), device="cpu")
    asked = messages(40, 2, NAMES)
    answers = trained.predict([{"message": row["message"]} for row in asked])
    assert sum(answer == row["reply"] for answer, row in zip(answers, asked)) >= 36


BAD = {
    "coverage alone": ({"coverage": True}, "coverage: belongs to copy: true"),
    "smoothing": ({"copy": True, "label_smoothing": 0.1}, "label_smoothing: would share out"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    head, message = BAD[name]
    with pytest.raises(ConfigError, match=f"outputs.reply.head: {message}"):
        model(**head).fit(messages(20, 0, NAMES), device="cpu")


def test_another_vocabulary_is_refused_with_the_setting_that_shares_it():
    own = ostinato.Model({"message": "text"}, {"reply": {"type": "text", "head": {"copy": True}}})
    with pytest.raises(ConfigError, match="copying needs one vocabulary.*tokenizer: {same_as: message}"):
        own.fit(messages(40, 0, NAMES), device="cpu")
