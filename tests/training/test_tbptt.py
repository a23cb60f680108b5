"""Truncated back-propagation through time: chunks of streams have the losses of whole sequences, and the gradient that
is cut."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from ostinato import api
from ostinato.errors import ConfigError
from ostinato.model.graph import Graph
from ostinato.preprocessing import prepare as preprocessing_prepare
from ostinato.recipe.read import from_arguments
from ostinato.registry import derive
from ostinato.training.checkpoints import model_tensors
from ostinato.training.loop import Training
from ostinato.training.repeatable import prepare
from ostinato.training.task import Interrupted, Listeners, Task

NURSERY = str(Path(__file__).parents[1] / "cli" / "killed_run.py")
SMALL = {"hidden_size": 6, "embedding_size": 5, "dropout": 0.0}
ENCODERS = {
    "lstm": {},
    "gru, two layers, learnt start": {"cell": "gru", "layers": 2, "start": "learnt"},
    "windowed": {"type": "windowed", "window": 4, "start": "learnt"},
    "convolutional": {"type": "convolutional", "bidirectional": False, "layers": 2},
    "mlstm": {"type": "mlstm", "bidirectional": False, "layers": 2, "heads": 2, "kernel_size": 3},
    "transformer": {"type": "transformer", "bidirectional": False, "layers": 2},
    "transformer with a window": {"type": "transformer", "bidirectional": False, "layers": 1, "window": 3},
}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rows(number=13, seed=0, longest=23):
    draw = random.Random(seed)
    return [
        {"text": "".join(draw.choices("abcd", k=draw.randint(1, longest))), "who": draw.choice("xyz")}
        for _ in range(number)
    ]


def made(tbptt, encoder=None, batch_rows=3, head=None, others=None, inputs=None, number=13, **training):
    """What training needs and a graph of seeded weights, none of them zero; with `tbptt` None in whole sequences."""
    cut = {"batch_rows": batch_rows} | ({} if tbptt is None else {"tbptt": tbptt})
    recipe = from_arguments(
        {"text": {"type": "text", "tokenizer": "char", "encoder": SMALL | (encoder or {})}} | (inputs or {}),
        {"on": {"of": "text", "align": "next", "head": {"dropout": 0.0} | (head or {})}} | (others or {}),
        training={"epochs": 2} | cut | training,
    )
    prepared = preprocessing_prepare.prepare(recipe, data={"train": rows(number), "valid": rows(4, seed=1)})
    settings = prepared.recipe.settings
    prepare(settings.training.seed)
    graph = Graph(settings.inputs, settings.outputs, prepared.modalities)
    with torch.no_grad():
        for weight in graph.parameters():
            if not weight.any():
                weight.uniform_(-0.5, 0.5)
    return prepared, graph


def chunks_of(prepared, epoch=0):
    examples = prepared.splits["train"]
    batches = examples.batches(prepared.recipe.settings.training)
    return [(part, examples.fetch(part)) for part in batches.epoch(epoch)]


def in_streams(prepared, graph, epoch=0):
    """The losses of an epoch in chunks, by output, and the number of targets; gradients are added up in the graph."""
    totals, counts, carried = {}, {}, ()
    for _, batch in chunks_of(prepared, epoch):
        losses, carried = graph.losses_from(batch, carried)
        assert not any(one.requires_grad for one in carried)
        sum(one.total for one in losses.values()).backward()
        for name, one in losses.items():
            totals[name] = totals.get(name, 0.0) + one.total.item()
            counts[name] = counts.get(name, 0) + one.count
    return totals, counts


def in_whole(prepared, graph):
    examples = prepared.splits["train"]
    losses = graph.losses(examples.batch(np.arange(len(examples))))
    sum(one.total for one in losses.values()).backward()
    return {name: one.total.item() for name, one in losses.items()}, {name: one.count for name, one in losses.items()}


def gradients(graph):
    found = {name: one.grad.clone() for name, one in graph.named_parameters()}
    graph.zero_grad()
    return found


def near(one, other):
    return all(torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-5) for name in one)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("tbptt", [1, 2, 7, 24, 100])
def test_the_losses_of_all_chunks_are_those_of_whole_sequences(tbptt, encoder):
    prepared, graph = made(tbptt, ENCODERS[encoder])
    totals, counts = in_streams(prepared, graph, epoch=1)
    cut = gradients(graph)
    expected, number = in_whole(prepared, graph)
    assert counts == number, "each target is counted once"
    assert totals["on"] == pytest.approx(expected["on"], rel=1e-5)
    assert near(cut, gradients(graph)) == (tbptt >= 24), (
        "the longest row has 23 symbols and a begin; nothing is cut from there on"
    )


def test_other_inputs_stand_beside_each_piece_and_several_outputs_have_their_losses():
    encoder = {"hidden_size": 3, "embedding_size": 3, "dropout": 0.0, "rare_label_dropout": 0.0}
    who = {"who": {"type": "category", "encoder": encoder}}
    again = {"again": {"of": "text", "align": "next", "reads": ["text"], "head": {"dropout": 0.0}, "weight": 0.5}}
    for tbptt in (4, 24):
        prepared, graph = made(tbptt, inputs=who, others=again)
        totals, counts = in_streams(prepared, graph)
        cut = gradients(graph)
        expected, number = in_whole(prepared, graph)
        assert counts == number and set(totals) == {"on", "again"} and totals == pytest.approx(expected, rel=1e-5)
        whole = gradients(graph)
        assert near(cut, whole) == (tbptt == 24)


@pytest.mark.parametrize("tbptt", [2, 5])
def test_the_gradient_is_the_one_that_a_loop_in_plain_torch_has(tbptt):
    """torch.nn's modules with the same weights over the same pieces, a state by row, detached from piece to piece."""
    prepared, graph = made(tbptt)
    cell, head = graph.encoder("text").stack.cells[0], graph.heads["on"]
    embedding, net, out = (
        torch.nn.Embedding(head.num_symbols, 5),
        torch.nn.LSTM(5, 6),
        torch.nn.Linear(6, head.num_symbols),
    )
    theirs = {
        embedding.weight: graph.encoder("text").embedding.learnt.weight,
        net.weight_ih_l0: cell.weight_x,
        net.weight_hh_l0: cell.weight_h,
        net.bias_ih_l0: cell.bias_x,
        net.bias_hh_l0: cell.bias_h,
        out.weight: head.output.weight,
        out.bias: head.output.bias,
    }
    with torch.no_grad():
        for own, other in theirs.items():
            own.copy_(other)
    examples, states = prepared.splits["train"], {}
    for part, _ in chunks_of(prepared):
        loss = 0.0
        for row, first, last in zip(part.rows.tolist(), part.first.tolist(), part.last.tolist()):
            symbols = examples.steps("inputs.text", [row]).values
            heard = torch.cat([torch.tensor([head.begin]), symbols])[first:last]
            said = torch.cat([symbols, torch.tensor([head.end])])[first:last]
            read, state = net(embedding(heard), states.get(row))
            states[row] = tuple(one.detach() for one in state)
            loss = loss + torch.nn.functional.cross_entropy(out(read), said, reduction="sum")
        loss.backward()
    in_streams(prepared, graph)
    for own, other in theirs.items():
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-5)


class Watched:
    """Chunks whose carried state is looked at."""

    def __init__(self, graph):
        self.graph, self.seen = graph, []
        self.given = graph.losses_from
        graph.losses_from = self

    def __call__(self, batch, carried):
        losses, after = self.given(batch, carried)
        if self.graph.training:
            self.seen.append(after)
        return losses, after


def trained(folder, prepared, graph, listeners=None, resume=False, **options):
    """Trains a graph by itself: the loop without what a run folder needs."""
    settings, examples = prepared.recipe.settings, prepared.splits["train"]
    options = {"tbptt": settings.training.tbptt, "batch_rows": settings.training.batch_rows, "epochs": 2} | options
    own = derive(Training, {})(**options)
    task = Task(
        model=graph,
        batches=examples.batches(settings.training),
        fetch=lambda part, epoch: examples.fetch(part),
        validate=lambda model: {"loss": 1.0},
        higher={"loss": False},
        part_steps=examples.part_steps,
        part_rows=examples.part_rows,
        facts={"training": own.plain()},
    )
    return Training(**own.arguments()).run(task, folder, listeners, resume=resume)


def tensors_of(graph):
    return {name: tensor.clone() for name, tensor in model_tensors(graph).items()}


DROPPED = {"dropout": 0.3, "weight_drop": 0.3, "word_dropout": 0.2, "start": "learnt"}


@pytest.mark.parametrize(
    ("options", "encoder", "states"),
    [({}, DROPPED, 2), ({"accumulate": 2}, DROPPED, 2), ({}, ENCODERS["mlstm"] | {"dropout": 0.3}, 8)],
)
def test_a_stopped_run_goes_on_from_the_carried_state_to_the_same_bits(tmp_path, options, encoder, states):
    prepared, graph = made(4, encoder)
    monitored = Watched(graph)
    trained(tmp_path / "whole", prepared, graph, keep_best=False, **options)
    assert len(chunks_of(prepared)) > 6
    for update in (1, 3, 5):
        broken = made(4, encoder)[1]

        def interrupt(progress, update=update):
            if progress.update == update:
                signal.raise_signal(signal.SIGINT)

        folder = tmp_path / f"broken {update}"
        with pytest.raises(Interrupted):
            trained(folder, prepared, broken, Listeners(progress=interrupt), keep_best=False, **options)
        (stopped,) = (folder / "checkpoints").glob("checkpoint-*")
        found = safetensors.torch.load_file(stopped / "carried.safetensors")
        expected = monitored.seen[update * options.get("accumulate", 1) - 1]
        assert len(found) == len(expected) == states and all(
            torch.equal(found[str(k)], one) for k, one in enumerate(expected)
        )
        again = made(4, encoder)[1]
        trained(folder, prepared, again, resume=True, keep_best=False, **options)
        assert all(torch.equal(one, tensors_of(graph)[name]) for name, one in tensors_of(again).items())


def test_a_carried_state_that_is_lost_is_seen(tmp_path):
    """That the test above can fail: the first chunk after resuming needs what the one before carried over."""
    prepared, graph = made(4)
    parts = chunks_of(prepared)
    _, carried = graph.losses_from(parts[0][1], ())
    assert (parts[1][0].before >= 0).any()
    one, other = (
        graph.losses_from(parts[1][1], state)[0]["on"].total
        for state in (carried, tuple(map(torch.zeros_like, carried)))
    )
    assert one != other


def test_chunks_accumulated_are_one_update_as_large(tmp_path):
    """Law l for streams: with nothing cut, all chunks of an epoch in one update are all rows in one batch."""
    common = {"epochs": 1, "keep_best": False, "clip_norm": None, "optimizer": {"type": "sgd", "learning_rate": 1.0}}
    prepared, streams = made(24, batch_rows=2)
    whole, sequences = made(None, batch_rows=100)
    number = len(chunks_of(prepared))
    assert number > 1
    trained(tmp_path / "streams", prepared, streams, accumulate=number, **common)
    trained(tmp_path / "whole", whole, sequences, **common)
    for name, weight in streams.named_parameters():
        other = dict(sequences.named_parameters())[name]
        assert (weight - other).abs().max() <= 1e-5 * weight.abs().max(), name


def test_counting_the_targets_of_several_outputs_leaves_the_carried_state_alone(tmp_path):
    """With `accumulate` the targets of several outputs are counted first, in a forward pass that must leave no
    trace."""
    again = {"again": {"of": "text", "align": "next", "reads": ["text"], "head": {"dropout": 0.0}, "weight": 0.5}}
    prepared, graph = made(4, others=again)
    expected, carried, said = [], (), []
    for _, batch in chunks_of(prepared):
        losses, carried = graph.losses_from(batch, carried)
        expected.append({name: (one.total.item(), one.count) for name, one in losses.items()})
    still = {"type": "sgd", "learning_rate": 1e-30}
    trained(tmp_path, prepared, graph, Listeners(progress=said.append), epochs=1, accumulate=2, optimizer=still)
    for one, first in zip(said, range(0, len(expected), 2), strict=True):
        means = {
            name: sum(chunk[name][0] for chunk in expected[first : first + 2])
            / sum(chunk[name][1] for chunk in expected[first : first + 2])
            for name in ("on", "again")
        }
        assert one.loss == pytest.approx(means["on"] + 0.5 * means["again"], rel=1e-5)


def test_progress_counts_the_real_steps_of_all_columns(tmp_path):
    prepared, graph = made(5)
    trained(tmp_path, prepared, graph, epochs=1)
    (line,) = [json.loads(one) for one in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert line["event"] == "epoch" and line["update"] == len(chunks_of(prepared)) and line["steps_per_second"] > 0
    examples = prepared.splits["train"]
    counted = sum(examples.part_steps(part) for part, _ in chunks_of(prepared))
    assert counted == pytest.approx(examples.num_steps.sum(), abs=len(chunks_of(prepared)))


def test_what_is_not_finite_is_blamed_on_the_rows_of_the_chunk(tmp_path):
    prepared, graph = made(4)
    given, calls = graph.losses_from, []

    def poisoned(batch, carried):
        calls.append(carried)
        losses, after = given(batch, carried)
        if len(calls) > 3:
            losses["on"] = losses["on"]._replace(total=losses["on"].total / 0)
        return losses, after

    graph.losses_from = poisoned
    with pytest.raises(ConfigError, match="(?s)stopped at update 4 .*the loss of on is inf") as caught:
        trained(tmp_path, prepared, graph)
    rows_ = chunks_of(prepared)[3][0].rows.tolist()
    assert f"rows of the batch: {', '.join(map(str, rows_))}\n" in str(caught.value)
    assert all(torch.equal(one, other) for one, other in zip(calls[3], calls[4], strict=True)), (
        "computed again from the same state"
    )


def test_streams_are_chosen_from_the_data_and_said():
    number = 300
    recipe = from_arguments(
        {"text": {"type": "text", "tokenizer": "char"}}, {"on": {"of": "text", "align": "next"}}, training={"tbptt": 16}
    )
    full = preprocessing_prepare.prepare(recipe, data={"train": rows(number), "valid": rows(4)}).recipe
    assert full.settings.training.batch_rows == 8 and full.settings.training.batch_steps is None
    assert "streams" in full.reasons["training.batch_rows"]
    few = preprocessing_prepare.prepare(recipe, data={"train": rows(3), "valid": rows(4)}).recipe
    assert few.settings.training.batch_rows == 3, "more streams than rows would stand empty"


def test_a_run_says_where_there_are_fewer_rows_than_streams(tmp_path):
    said = []
    recipe = from_arguments(
        {"text": {"type": "text", "tokenizer": "char", "encoder": SMALL}},
        {"on": {"of": "text", "align": "next"}},
        training={"tbptt": 4, "batch_rows": 50, "epochs": 1},
    )
    data = {"train": rows(9), "valid": rows(4)}
    api.fit(recipe, tmp_path / "run", data=data, device="cpu", say=said.append)
    assert any("9 rows make as many streams, fewer than training.batch_rows (50)" in line for line in said)


TEXT = {"text": {"type": "text", "tokenizer": "char"}}
ON = {"on": {"of": "text", "align": "next"}}


@pytest.mark.parametrize(
    ("inputs", "outputs", "training", "said"),
    [
        (TEXT, ON | {"kind": "category"}, {}, r"training\.tbptt: .*outputs\.kind is of align 'summary'"),
        (TEXT, {"on": {"type": "text", "tokenizer": "char"}}, {}, r"training\.tbptt: .*outputs\.on is of align 'free'"),
        (
            TEXT | {"b": "text"},
            ON | {"to": {"of": "b", "align": "next"}},
            {},
            r"outputs\.to continues 'b', another 'text'",
        ),
        (TEXT, {"on": {"of": "text", "align": "next", "column": "b"}}, {}, r"outputs\.on reads the column 'b'"),
        ({"load": "series"}, {"on": {"of": "load", "align": "next"}}, {}, r"outputs\.on is windows of a series"),
        (TEXT, ON, {"batch_steps": 100}, "leave batch_steps out"),
    ],
)
def test_what_cannot_be_cut_is_refused(inputs, outputs, training, said):
    with pytest.raises(ConfigError, match=said):
        from_arguments(inputs, outputs, training={"tbptt": 8} | training)


RECIPE = """\
data: {train: train.jsonl, valid: valid.jsonl}
inputs:
  text: {type: text, tokenizer: char, encoder: {hidden_size: 6, embedding_size: 5, dropout: 0.3, weight_drop: 0.3}}
outputs: {on: {of: text, align: next}}
training: {tbptt: 4, batch_rows: 3, epochs: 2, accumulate: 2, average_decay: 0.9, checkpoint_seconds: 1e-9}
"""


def test_killed_again_and_again_ends_with_the_same_bits(tmp_path, monkeypatch):
    for name, number in (("train", 13), ("valid", 4)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(number, seed=number)))
    (tmp_path / "small.yaml").write_text(RECIPE)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OSTINATO_CACHE": str(tmp_path / "cache")}
    nursery = subprocess.Popen(
        [sys.executable, NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )

    def run(folder, moment, *more):
        nursery.stdin.write(json.dumps([["train", "small.yaml", "--out", folder, *more], moment]) + "\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())

    assert run("whole", 0) == 0
    draw, kills = random.Random(5), 0
    while (status := run("broken", draw.randint(40, 120), "--resume")) == -signal.SIGKILL:
        kills += 1
        assert kills < 100
    nursery.stdin.close()
    nursery.wait()
    nursery.stdout.close()
    assert status == 0 and kills >= 2
    assert (tmp_path / "broken/weights.safetensors").read_bytes() == (
        tmp_path / "whole/weights.safetensors"
    ).read_bytes()


def test_the_order_is_a_function_of_seed_and_epoch():
    prepared, _ = made(4)
    told = lambda epoch: [[one.tolist() for one in part] for part, _ in chunks_of(prepared, epoch)]  # noqa: E731
    assert told(0) == told(0) != told(1)
    assert np.concatenate([part.rows for part, _ in chunks_of(prepared)]).max() == 12
