"""On a GPU everything gives what it gives on the CPU: each member of the rooms of nets, one training step of each, and
attention of packed sequences, and whole runs through the command line. Run by `bash tools/gpu_checks.sh`."""

import json
import math
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch.utils import _pytree

from ostinato import registry
from ostinato.layers import packed_attention
from ostinato.layers.ragged_attention import Groups, Sight
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules, cells, laws
from ostinato.testing._tools import Member

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

DEVICE = "cuda"
NEEDS_FILES = {("encoders", "pretrained")}
MEMBERS = [
    (room, name)
    for room in ("attentions", "cells", "decoders", "encoders", "heads", "joins")
    for name in registry.names(room)
    if (room, name) not in NEEDS_FILES
]
LENGTHS = [33, 1, 200, 64, 7, 130]


@pytest.fixture(autouse=True)
def whole_products(monkeypatch):
    """Products of convolutions and matrices without TF32, whose rounding would hide mistakes."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def moved(tree, device):
    """What modules read, on a device; modules of it move in place."""
    return _pytree.tree_map(
        lambda part: part.to(device) if hasattr(part, "to") else part,
        tree,
        is_leaf=lambda part: isinstance(part, (Steps, Layout)),
    )


def near(actual, expected, what, share=1e-3):
    assert actual.shape == expected.shape, what
    if expected.numel():
        apart = (actual.double().cpu() - expected.double().cpu()).abs().max().item()
        largest = max(1e-2, expected.double().abs().max().item())
        assert math.isfinite(apart) and apart <= share * largest, f"{what}: {apart:.2g} apart of {largest:.2g}"


def differentiable(losses):
    """The losses, after going back through those that have a gradient."""
    losses = _modules.numbers(losses)
    if some := [loss for loss in losses if loss.requires_grad]:
        _modules.backward(some)
    return losses


def results(case, device):
    """What it gives, its losses and the gradients of its weights, each with a name."""
    module, read = case.made()
    module, read = module.to(device), moved(read, device)
    with torch.no_grad():
        given = dict(_modules.parts(case.run(module, *read)))
    losses = differentiable(case.losses(module, *read))
    gradients = {f"gradient of {name}": parameter.grad for name, parameter in module.named_parameters()}
    return {**given, **{f"loss {k}": loss.detach() for k, loss in enumerate(losses)}, **gradients}


def step(case, device):
    """One step of training in 16 bits where training uses them."""
    module, read = case.made()
    module, read = module.to(device).train(), moved(read, device)
    with torch.autocast(device, torch.bfloat16):
        losses = case.losses(module, *read)
    differentiable(losses)
    if weights := list(module.parameters()):
        torch.optim.SGD(weights, lr=0.1).step()
    assert all(bool(parameter.isfinite().all()) for parameter in module.parameters())


def cases(room, name):
    member = Member.of(room, name)
    if room == "cells":
        return [cells.Reading(member)]
    return laws.suite(room).cases(member)


@pytest.mark.parametrize(("room", "name"), MEMBERS, ids=["-".join(member) for member in MEMBERS])
def test_every_member_gives_what_it_gives_on_the_cpu(room, name):
    for case in cases(room, name):
        expected = results(case, "cpu")
        actual = results(case, DEVICE)
        assert actual.keys() == expected.keys()
        for part, value in expected.items():
            if value is not None:
                near(actual[part], value, f"{part} of {case}")
        step(case, DEVICE)


@pytest.mark.parametrize("name", registry.names("optimizers"))
def test_every_optimizer_moves_weights_on_the_gpu(name):
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 8, device=DEVICE)
    optimizer = registry.make("optimizers", name, (), {}).make([layer.weight, layer.bias])
    before = layer.weight.detach().clone()
    layer(torch.ones(2, 8, device=DEVICE)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(layer.weight, before) and bool(layer.weight.isfinite().all())


def attended(sight, device, dtype, lengths, kv_heads=4, rows=None):
    """Contexts of packed sequences and the gradients of queries, keys and values."""
    random = torch.Generator().manual_seed(0)
    layout = Layout(lengths)
    steps = Steps(torch.randn(layout.total, 4 + 2 * kv_heads, 32, generator=random), layout)
    steps = steps if rows is None else steps.select(torch.tensor(rows))
    layout = steps.layout.to(device)
    leaf = steps.values.to(device, dtype).requires_grad_()
    query, key, value = leaf.split((4, kv_heads, kv_heads), 1)
    groups = Groups(layout, layout, sight, 128)
    context = groups.attend(query, key, value)
    (gradient,) = torch.autograd.grad(context.double().sin().sum(), leaf)
    return Steps(context.detach().float().cpu(), steps.layout), gradient.float().cpu(), groups.obstacle(query)


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("sight", [Sight(), Sight(True), Sight(True, 9), Sight(False, 9)], ids=str)
def test_packed_attention_is_that_of_the_cpu(sight, kv_heads):
    expected, gradient, _ = attended(sight, "cpu", torch.float32, LENGTHS, kv_heads)
    for repeat in (False, True):
        torch.use_deterministic_algorithms(repeat, warn_only=True)
        try:
            actual, other, obstacle = attended(sight, DEVICE, torch.bfloat16, LENGTHS, kv_heads)
            again = attended(sight, DEVICE, torch.bfloat16, LENGTHS, kv_heads)
        finally:
            torch.use_deterministic_algorithms(False)
        assert obstacle is None or "windows" in obstacle
        near(actual.values, expected.values, "contexts", 2e-2)
        near(other, gradient, "gradients", 2e-2)
        assert not repeat or (torch.equal(actual.values, again[0].values) and torch.equal(other, again[1]))


def test_company_changes_nothing_for_packed_attention():
    whole, _, obstacle = attended(Sight(True), DEVICE, torch.bfloat16, LENGTHS)
    assert obstacle is None
    for rows in ([0, 1], [5, 4, 3], [2, 2, 0]):
        some, _, _ = attended(Sight(True), DEVICE, torch.bfloat16, LENGTHS, rows=rows)
        near(some.values, whole.select(torch.tensor(rows)).values, f"rows {rows}", 1e-5)


def test_attention_in_32_bits_names_its_obstacle():
    actual, gradient, obstacle = attended(Sight(True), DEVICE, torch.float32, LENGTHS)
    expected = attended(Sight(True), "cpu", torch.float32, LENGTHS)
    assert "16 bits" in obstacle and packed_attention.kind(torch.zeros(1, device=DEVICE)) == torch.float32
    near(actual.values, expected[0].values, "contexts")
    near(gradient, expected[1], "gradients")


RECURRENT = {"type": "recurrent", "cell": "lstm", "hidden_size": 32, "embedding_size": 16, "dropout": 0.1}
STACK = {"type": "transformer", "hidden_size": 32, "layers": 2, "heads": 2}
LETTERS = {"type": "text", "tokenizer": "char"}
RUNS = {
    "translator": (
        {"source": {**LETTERS, "encoder": {**RECURRENT, "cell": "gru"}}},
        {"target": {**LETTERS, "head": {"decoder": {"cell": "gru", "attention": "additive"}}}},
    ),
    "transformer": (
        {"source": {**LETTERS, "encoder": STACK}},
        {"target": {**LETTERS, "head": {"decoder": STACK}}},
    ),
    "tagger": (
        {"words": {"type": "tokens", "encoder": RECURRENT}},
        {"tags": {"type": "tags", "reads": ["words"], "head": {"type": "crf"}}},
    ),
    "reader": (
        {"source": {**LETTERS, "encoder": {**STACK, "layers": 1}}},
        {"short": {**LETTERS, "align": "free", "head": {"type": "ctc"}}},
    ),
    "classifier": ({"source": {**LETTERS, "encoder": RECURRENT}}, {"first": {"type": "category"}}),
}
"""Inputs and outputs of recipes."""
REPEATABLE = [name for name in RUNS if name != "reader"]
"""The gradient of torch's CTC loss has no deterministic form on a GPU."""


def examples(number, seed):
    draw = random.Random(seed)
    for _ in range(number):
        text = "".join(draw.choices("abcdef", k=draw.randint(2, 20)))
        tags = ["B" if letter in "ab" else "O" for letter in text]
        yield {
            "source": text,
            "target": text[::-1],
            "short": text[: len(text) // 3],
            "first": text[0],
            "words": list(text),
            "tags": tags,
        }


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Starts `ostinato` with these words; the folder holds recipes and data."""
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    for name, number in (("train", 600), ("valid", 60)):
        lines = (json.dumps(row) + "\n" for row in examples(number, name))
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))

    def start(*words):
        call = [sys.executable, "-m", "ostinato", *map(str, words)]
        return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def ended(process):
    printed, complaints = process.communicate(timeout=280)
    assert process.returncode == 0, printed + complaints
    return printed


def recipe(tmp_path, name):
    """The path of a recipe of `RUNS`, in JSON, which is YAML too."""
    inputs, outputs = RUNS[name]
    training = {"epochs": 2, "batch_rows": 32, "checkpoint_seconds": 1e-9}
    data = {part: f"{part}.jsonl" for part in ("train", "valid")}
    path = tmp_path / f"{name}.yaml"
    path.write_text(json.dumps({"data": data, "inputs": inputs, "outputs": outputs, "training": training}))
    return path


@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_on_the_gpu_ends_with_the_same_bits_and_answers_on_the_cpu(command, tmp_path, name):
    path, whole, broken = recipe(tmp_path, name), tmp_path / "whole", tmp_path / "broken"
    train = ("train", path, "--data-root", tmp_path, "--device", DEVICE)
    ended(command(*train, "--run", whole))
    process = command(*train, "--run", broken)
    begun = time.monotonic()
    while not list(broken.glob("checkpoints/checkpoint-0000-00000*[5-9]")) and process.poll() is None:
        assert time.monotonic() < begun + 200, "no fifth update in 200 seconds"
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
    assert not (broken / "weights.safetensors").exists()
    ended(command(*train, "--run", broken, "--resume"))
    first, second = (torch_weights(folder) for folder in (whole, broken))
    for part, value in first.items():
        near(second[part].float(), value.float(), part, 0.0 if name in REPEATABLE else 0.1)
    scores = []
    for device in (DEVICE, "cpu"):
        words = ("evaluate", whole, "--split", "valid", "--data-root", tmp_path, "--device", device, "--json")
        scores.append(flat(json.loads(ended(command(*words)))))
    assert scores[0].keys() == scores[1].keys() and scores[0]
    for key, value in scores[0].items():
        # A near tie may turn an answer or two of 60; it moves no loss.
        near_enough = 1e-3 * max(1, abs(value)) if "loss" in key else 5
        assert abs(scores[1][key] - value) <= near_enough, (key, value, scores[1][key])


def torch_weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "weights.safetensors")


def flat(tree, path=""):
    """The values of a tree of results."""
    if not isinstance(tree, dict):
        return {}
    if isinstance(tree.get("value"), (int, float)):
        return {path: tree["value"]}
    return {key: value for name, part in tree.items() for key, value in flat(part, f"{path}/{name}").items()}
