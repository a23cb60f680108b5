"""What a head recommends to who makes it by itself, followed: a recipe is refused before it comes to that, and by other
words (tests/recipe/test_advice_in_parts.py)."""

from functools import partial

import pytest
import torch

from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Sizes, Span
from ostinato.modalities.contract import Labels, Symbols, Values
from ostinato.registry import make
from ostinato.steps import Layout, Steps
from tests.advice import follow

STEPS, SUMMARY, BOTH = Sizes(4, None), Sizes(None, 4), Sizes(4, 4)
SYMBOLS, SEVERAL = Symbols(5, 0, 1, 2), Labels(3, multilabel=True)
SPAN = Span(3, 2, (False,))

HEADS = [
    (
        ("tagger", Labels(3), [STEPS, STEPS]),
        "of one input, and reads 2; name one in `reads`, or make them one by `join: attend`",
        ("tagger", Labels(3), [STEPS]),
    ),
    (
        ("ctc", Labels(3), [STEPS]),
        "predicts one symbol after the other, and a step of this output is one of 3 labels; choose a head that",
        ("tagger", Labels(3), [STEPS]),
    ),
    (
        ("tagger", SYMBOLS, [STEPS]),
        "tagger predicts labels, and a step of this output is one of 5 symbols; choose a head that predicts those",
        ("ctc", SYMBOLS, [STEPS]),
    ),
    (
        ("forecast", SYMBOLS, [BOTH], SPAN),
        "forecast predicts numbers, and a step of this output is one of 5 symbols; choose a head that predicts those",
        ("next_step", SYMBOLS, [BOTH]),
    ),
    (("crf", SEVERAL, [STEPS]), "and this output has several at once; choose tagger", ("tagger", SEVERAL, [STEPS])),
    (
        ("classifier", Labels(3), [BOTH], {"class_weights": "balanced"}),
        "class_weights: balanced: the training counts of labels are unknown; set it to none",
        ("classifier", Labels(3), [BOTH], {"class_weights": "none"}),
    ),
    (
        ("forecast", Values(1), [SUMMARY], SPAN, {"strategy": "recursive"}),
        "forecast: input 1 that it reads gives no steps; choose a recurrent or convolutional encoder",
        ("forecast", Values(1), [BOTH], SPAN, {"strategy": "recursive"}),
    ),
    (
        ("next_step", SYMBOLS, [BOTH, STEPS]),
        "next_step: input 2 in `reads` gives no summary to read beside each step; leave it out",
        ("next_step", SYMBOLS, [BOTH]),
    ),
]


def head(name, *arguments):
    options = arguments[-1] if isinstance(arguments[-1], dict) else {}
    return make("heads", name, arguments[: len(arguments) - bool(options)], options)


@pytest.mark.parametrize("row", HEADS, ids=lambda row: row[1][:60])
def test_a_head_that_follows_the_advice_is_made(row):
    refused, advice, *ways = row
    follow(partial(head, *refused), advice, *(partial(head, *way) for way in ways))


def test_the_advice_on_answers_that_are_not_one_for_each_step():
    tagger = head("tagger", Labels(3), [STEPS])
    encoded = [Encoded(Steps(torch.zeros(3, 4), Layout([2, 1])), None, ())]

    def loss(*lengths):
        return tagger.loss(encoded, Steps(torch.zeros(sum(lengths), dtype=torch.int64), Layout(lengths)))

    follow(
        partial(loss, 2, 2),
        "example 2 of the batch has 1 steps and 2 answers; make the columns equally long",
        partial(loss, 2, 1),
    )
