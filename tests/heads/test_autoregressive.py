"""The autoregressive head against its equations, written out."""

import math

import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.heads.contract import Sizes
from ostinato.kernels import dispatch
from ostinato.steps import Layout, Steps
from tests.heads import making as laws

NAME = "autoregressive"
SPEC = laws.SPEC


def make(options=None, inputs="one", seed=0):
    encoded = laws.read(inputs)
    torch.manual_seed(seed)
    return laws.maker(NAME, options)(SPEC, laws.sizes_of(encoded)), encoded


def by_the_equations(head, encoded, row, symbols, *, attend, context, feeding):
    """Logits of one sequence, a step at a time, from the formulas of the docstring and nothing else of the head's
    code."""
    source = encoded[0].steps.split()[row][None] if attend else None
    attention = head.decoder.attentions[0] if attend else None
    start = torch.tanh(head.decoder.bridge(torch.cat([part[row] for part in encoded[0].state])))[None]
    state = tuple(start.split(head.decoder.hidden_size, 1))
    looked, fed, said = None, start.new_zeros(1, head.decoder.fed_size), head.begin
    logits = []

    def look(query):
        nonlocal looked
        if not source.shape[1]:
            return source.new_zeros(1, source.shape[2])
        scores = attention.scores(query[:, None], attention.prepare(source), looked)
        looked = scores.softmax(2) if attention.needs_previous else None
        return (scores.softmax(2) @ source)[:, 0]

    for symbol in [*symbols, None]:
        embedded = head.decoder.embedding.weight[said][None]
        if context == "before":
            found = look(state[0])
            state = head.decoder.cells[0](torch.cat([embedded, found], 1), state)
            read = torch.tanh(head.decoder.readout(torch.cat([state[0], found, embedded], 1)))
        else:
            state = head.decoder.cells[0](torch.cat([embedded, fed], 1) if feeding else embedded, state)
            read = torch.tanh(head.decoder.readout(torch.cat([state[0], look(state[0])], 1))) if attend else state[0]
            fed = read
        logits.append(head.output(read)[0])
        said = symbol
    return torch.stack(logits)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("attention", "context", "feeding"),
    [
        ("additive", "after", False),
        ("general", "after", True),
        ("additive", "before", False),
        ("location", "after", False),
        ("location", "before", False),
        ("none", "after", False),
    ],
)
@torch.no_grad()
def test_it_computes_its_equations(cell, attention, context, feeding):
    head, encoded = make({"cell": cell, "attention": attention, "context": context, "input_feeding": feeding})
    targets = laws.targets()
    expected = [
        by_the_equations(
            head, encoded, row, symbols.tolist(), attend=attention != "none", context=context, feeding=feeding
        )
        for row, symbols in enumerate(targets.split())
    ]
    logs = [logits.log_softmax(1) for logits in expected]
    truth = [torch.cat([symbols, torch.tensor([head.end])]) for symbols in targets.split()]
    scores = torch.stack([rows.gather(1, one[:, None]).sum() for rows, one in zip(logs, truth)])
    laws.near(head.score(encoded, targets).log_probability, scores, "scores")


def test_the_number_of_parameters_is_the_formulas():
    vocabulary, width, hidden, memory, state = 7, 5, 6, laws.WIDTH, 3 + 2
    head, _ = make({"cell": {"type": "lstm", "biases": 1}, "attention": {"type": "additive", "size": 4}})
    expected = (
        vocabulary * width
        + 4 * ((width + hidden) * hidden + hidden)
        + (hidden * 4 + 4) + memory * 4 + 4
        + (state + 1) * 2 * hidden
        + (hidden + memory + 1) * hidden
        + (hidden + 1) * vocabulary
    )  # fmt: skip
    assert sum(parameter.numel() for parameter in head.parameters()) == expected


def test_label_smoothing_spreads_its_share_over_all_symbols_while_training_only():
    head, encoded = make({"label_smoothing": 0.2})
    heard, truth = head._shifted(laws.targets())
    logs = head.extend(heard, head.start(encoded))[0].log_probabilities
    expected = -(0.8 * logs.gather(1, truth[:, None]).sum() + 0.2 * logs.mean(1).sum())
    laws.near(head.train().loss(encoded, laws.targets()).total, expected, "smoothed loss")
    laws.near(
        head.eval().loss(encoded, laws.targets()).total, -logs.gather(1, truth[:, None]).sum(), "loss in validation"
    )


def test_what_is_heard_and_what_is_said_are_one_step_apart():
    head, _ = make()
    heard, truth = head._shifted(Steps(torch.tensor([5, 6, 4]), Layout([2, 0, 1])))
    assert [one.tolist() for one in heard.split()] == [[0, 5, 6], [0], [0, 4]]
    assert [one.tolist() for one in heard.with_values(truth).split()] == [[5, 6, 1], [1], [4, 1]]


@torch.no_grad()
def test_an_example_with_nothing_to_read_is_scored_and_looks_nowhere():
    head, encoded = make()
    state = head.start(encoded)
    _, after = head.step(torch.zeros(5, dtype=torch.int64), state)
    sums = after.attention[0].sum(1)
    assert sums[1] == 0 and torch.allclose(sums[[0, 2, 3, 4]], torch.ones(4))
    assert bool(head.score(encoded, laws.targets()).log_probability.isfinite().all())


@torch.no_grad()
def test_scheduled_sampling_hears_the_models_own_best_symbol():
    head, encoded = make({"scheduled_sampling": 0.999999})
    targets = Steps(torch.tensor([3, 4, 5, 6, 3, 4]), Layout([0, 0, 3, 0, 3]))
    state, said, expected = head.start(encoded), torch.zeros(5, dtype=torch.int64), 0.0
    lengths, split = targets.layout.lengths.tolist(), targets.split()
    for time in range(4):
        logits, state = head.step(said, state)
        logs = logits.log_probabilities
        for row in range(5):
            if time <= lengths[row]:
                expected -= logs[row, split[row][time] if time < lengths[row] else head.end]
        said = logits.mode()
    torch.manual_seed(0)
    laws.near(head.train().loss(encoded, targets).total, expected, "loss over its own symbols")
    laws.near(
        head.score(encoded, targets).log_probability,
        head.eval().score(encoded, targets).log_probability,
        "a score never samples",
    )


def test_tied_weights_are_one_and_survive_saving():
    head, encoded = make({"tied": True, "embedding_size": 5})
    assert head.output.weight is head.decoder.embedding.weight
    own = {name for name, _ in head.named_parameters()}
    assert ("decoder.embedding.weight" in own) and ("output.weight" not in own)
    other, _ = make({"tied": True, "embedding_size": 5}, seed=9)
    other.load_state_dict(head.state_dict())
    assert other.output.weight is other.decoder.embedding.weight
    for one in (head, other):
        one.eval()
    assert torch.equal(
        head.score(encoded, laws.targets()).log_probability, other.score(encoded, laws.targets()).log_probability
    )
    head.loss(encoded, laws.targets()).total.backward()
    assert bool((head.decoder.embedding.weight.grad.abs().sum(1) > 0).all()), (
        "the softmax reaches every row, heard or not"
    )


@pytest.mark.parametrize("options", [{}, {"input_feeding": True}, {"context": "before"}])
def test_the_whole_path_and_the_loop_are_taken_where_they_should(options, monkeypatch):
    head, encoded = make(options)
    taken = []
    for path in ("_at_once", "_step_by_step"):
        real = getattr(type(head.decoder), path)
        monkeypatch.setattr(
            type(head.decoder),
            path,
            lambda self, *args, path=path, real=real: (taken.append(path), real(self, *args))[1],
        )
    with dispatch.forced("reference"):
        head.loss(encoded, laws.targets())
    assert taken == ["_step_by_step" if options else "_at_once"]


ONE = [Sizes(6, 4, (3, 2))]
TABLE = [Sizes(None, 4)]


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        (TABLE, {}, "attention: no input that this output reads has steps"),
        (ONE, {"attention": "none", "bridge": False}, "bridge: nothing of the input would reach"),
        (ONE + TABLE, {"bridge": False}, "bridge: nothing of input 2 of 2"),
        (ONE, {"input_feeding": True, "context": "before"}, "input_feeding: needs context: after"),
        (ONE, {"input_feeding": True, "attention": "none"}, "input_feeding: feeds back what attention found"),
        (ONE, {"context": "before", "attention": "none"}, "context: there is no context without attention"),
        (ONE, {"attention": "dot", "hidden_size": 5}, "attention: dot compares vectors of one size"),
    ],
)
def test_what_excludes_each_other_is_refused(sizes, options, message):
    with pytest.raises(ConfigError, match=message):
        laws.maker(NAME, {"embedding_size": 256} | options)(SPEC, sizes)


def test_a_table_row_alone_is_answered_without_attention():
    head = laws.maker(NAME, {"attention": "none"})(SPEC, TABLE)
    encoded = [laws.read("one and a table row")[1]]
    assert math.isfinite(head.loss(encoded, laws.targets()).total.item())
