"""The laws of heads, run on the autoregressive head with every attention, context and cell."""

import pytest
import torch

from ostinato import registry
from ostinato.testing import heads as laws
from ostinato.testing import laws as entry

NAME = "autoregressive"
ATTENTIONS = registry.names("attentions")
SETS = [
    *({"attention": attention} for attention in (*ATTENTIONS, "none")),
    *({"attention": attention, "context": "before"} for attention in ATTENTIONS),
    *({"attention": attention, "input_feeding": True} for attention in ATTENTIONS),
    *({"cell": cell} for cell in registry.names("cells")),
    {"cell": {"type": "gru", "reset": "before"}, "context": "before", "layers": 2},
    {"cell": {"type": "lstm", "peepholes": True, "layer_norm": True}, "input_feeding": True},
    {"layers": 2},
    {"layers": 3, "input_feeding": True, "cell": "gru"},
    {"layers": 2, "attention": "none"},
    {"tied": True},
    {"tied": True, "context": "before"},
    {"tied": True, "input_feeding": True},
    {"tied": True, "attention": "none"},
    {"softmax": "adaptive"},
    {"softmax": "adaptive", "cutoffs": [3, 5], "input_feeding": True},
    {"bridge": False},
    {"bridge": False, "context": "before", "attention": "location"},
]


def ways(options):
    """What a head with these options can be read from: without a bridge a table row has no way in."""
    return [inputs for inputs in laws.INPUTS if options.get("bridge", True) or "table" not in inputs]


def name_of(options):
    return ",".join(f"{key}={value['type'] if isinstance(value, dict) else value}" for key, value in options.items())


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("options", SETS, ids=name_of)
def test_law(law, options):
    # finite differences are slow, and two inputs with steps are the richest way
    for inputs in ["two"] if law is laws.gradients_are_right else ways(options):
        law(laws.maker(NAME, options), inputs)


@pytest.mark.parametrize("options", SETS, ids=name_of)
def test_every_input_is_read(options):
    for inputs in ways(options):
        laws.every_input_is_read(laws.maker(NAME, options), inputs)


@pytest.mark.parametrize(
    "options", [{"dropout": 0.3}, {"scheduled_sampling": 0.5}, {"scheduled_sampling": 0.5, "context": "before"}]
)
def test_what_is_random_is_a_function_of_the_seed(options):
    laws.same_seed_same_bits(laws.maker(NAME, options), "two")


def test_every_option_matters():
    values = {
        "cell": ["gru", "rnn", {"type": "lstm", "peepholes": True}],
        "hidden_size": [7],
        "layers": [2],
        "embedding_size": [6],
        "attention": [one for one in (*ATTENTIONS, None) if one != "additive"],
        "context": ["before"],
        "input_feeding": [True],
        "bridge": [False],
        "tied": [True],
        "dropout": [0.5],
        "label_smoothing": [0.1],
        "softmax": ["adaptive"],
        "cutoffs": [[3], [3, 5]],
        "scheduled_sampling": [0.5],
    }
    laws.options_matter(NAME, values, {"cutoffs": {"softmax": "adaptive"}})
    for beside in (
        {"attention": "none"},
        {"context": "before"},
        {"input_feeding": True},
        {"tied": True},
        {"layers": 2},
        {"softmax": "adaptive"},
    ):
        laws.options_matter(NAME, values, dict.fromkeys(set(values) - set(beside), beside))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention": "none", "cell": "gru"},
        {"context": "before", "cell": "gru"},
        {"input_feeding": True, "attention": "general"},
        {"scheduled_sampling": 0.25, "label_smoothing": 0.1, "dropout": 0.1},
    ],
    ids=name_of,
)
def test_it_learns_to_say_sequences_backward(options):
    # without attention one vector must hold the whole sequence
    laws.learns_to_reverse(NAME, options, updates=400 if options.get("attention") == "none" else 120)


def test_one_entry_runs_all_laws_and_every_option():
    entry.run("heads", NAME)


def test_the_laws_see_a_head_that_breaks_them(monkeypatch):
    head = registry.component("heads", NAME)
    honest = head.step

    def forgetful(self, symbols, state):
        logits, after = honest(self, symbols, state)
        return logits, laws.Decoding(after.memory, after.rows, state.values, after.attention)

    monkeypatch.setattr(head, "step", forgetful)
    with pytest.raises(AssertionError, match="logarithms of row"):
        laws.extending_is_stepping(laws.maker(NAME), "one")


def test_a_batch_without_examples_is_scored():
    encoded = laws.read("one")
    head = laws.maker(NAME)(laws.SPEC, laws.sizes_of(encoded))
    logits, state = head.extend(laws.targets(()), head.start(encoded).reorder(torch.zeros(0, dtype=torch.int64)))
    assert logits.scores.shape == (0, laws.SPEC.size) and len(state.rows) == 0
