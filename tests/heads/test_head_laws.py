"""The laws of heads, run on the autoregressive head with every attention, context and cell."""

import pytest
import torch

from ostinato import registry
from ostinato.decoders.contract import Decoding
from ostinato.modalities.contract import Symbols
from ostinato.testing import _modules, _stepwise, heads
from ostinato.testing import laws as entry
from tests.heads import making as laws

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
    {"copy": True, "attention": "none"},
    {"copy": True, "coverage": True, "softmax": "adaptive"},
    {"bridge": False},
    {"bridge": False, "context": "before", "attention": "location"},
]


def ways(options):
    """What a head with these options can be read from: without a bridge a table row has no way in."""
    copies = options.get("copy", False)
    return [inputs for inputs in heads.INPUTS if (options.get("bridge", True) and not copies) or "table" not in inputs]


def name_of(options):
    return ",".join(f"{key}={value['type'] if isinstance(value, dict) else value}" for key, value in options.items())


@pytest.mark.parametrize("law", heads.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("options", SETS, ids=name_of)
def test_law(law, options):
    # finite differences are slow, and two inputs with steps are the richest way
    for inputs in ["two"] if law is _modules.gradients_are_right else ways(options):
        law(heads.Generating(laws.maker(NAME, options), laws.SPEC, inputs))


@pytest.mark.parametrize(
    "options", [{"dropout": 0.3}, {"scheduled_sampling": 0.5}, {"scheduled_sampling": 0.5, "context": "before"}]
)
def test_what_is_random_is_a_function_of_the_seed(options):
    _modules.same_seed_same_bits(heads.Generating(laws.maker(NAME, options), laws.SPEC, "two"))


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
    make = laws.maker(NAME, {"hidden_size": 48, "embedding_size": 24, **options})
    updates = 400 if options.get("attention") == "none" else 120
    right = heads.learns(make, Symbols(7, 0, 1, 2), lambda symbols: symbols.flip(0), updates=updates)
    assert right >= 0.95, f"only {right:.0%} of new sequences reversed after {updates} updates"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (NAME, {}),
        (NAME, {"tied": True}),
        (NAME, {"softmax": "adaptive"}),
        ("next_step", {}),
        ("next_step", {"tied": True}),
        ("next_step", {"softmax": "adaptive"}),
    ],
    ids=str,
)
def test_one_entry_runs_all_laws_and_every_option(name, options):
    entry.run("heads", name, options)


def test_the_laws_see_a_head_that_breaks_them(monkeypatch):
    head = registry.component("heads", NAME)
    honest = head.step

    def forgetful(self, symbols, state):
        logits, after = honest(self, symbols, state)
        return logits, Decoding(after.memory, after.rows, state.values, after.attention)

    monkeypatch.setattr(head, "step", forgetful)
    with pytest.raises(AssertionError, match="step 1 of hypotheses"):
        _stepwise.steps_are_the_whole(heads.Generating(laws.maker(NAME), laws.SPEC, "one"))


def test_a_batch_without_examples_is_scored():
    encoded = laws.read("one")
    head = laws.maker(NAME)(laws.SPEC, laws.sizes_of(encoded))
    logits, state = head.extend(laws.targets(()), head.start(encoded).reorder(torch.zeros(0, dtype=torch.int64)))
    assert logits.scores.shape == (0, laws.SPEC.size) and len(state.rows) == 0
