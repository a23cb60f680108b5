"""The CTC head against all paths through a few steps, counted one by one."""

import itertools
import json
import math
import random
from collections import defaultdict

import pytest
import torch
from click.testing import CliRunner

import ostinato
from ostinato import registry
from ostinato.cli.main import group
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Sizes
from ostinato.modalities.contract import Symbols
from ostinato.registry import make
from ostinato.steps import Layout, Steps
from ostinato.testing import laws

SPEC = Symbols(size=5, begin=0, end=1, unknown=2)
LENGTHS = (4, 0, 3)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}])
def test_laws(options):
    laws.run("heads", "ctc", options)


@pytest.fixture
def read():
    torch.manual_seed(0)
    head = make("heads", "ctc", (SPEC, [Sizes(6, None)]), {}).eval()
    layout = Layout(list(LENGTHS))
    encoded = [Encoded(Steps(4 * torch.randn(layout.total, 6), layout), None, None)]
    return head, encoded


def paths(head, encoded, row):
    """Each path through the source of an example with its probability."""
    logs = head._logs(encoded).split()[row].double().exp()
    for path in itertools.product(range(SPEC.size), repeat=len(logs)):
        yield path, math.prod(float(step[symbol]) for step, symbol in zip(logs, path))


def merged(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != SPEC.end)


def targets(head, encoded, row):
    """The probability of each target that some path gives."""
    sums = defaultdict(float)
    for path, probability in paths(head, encoded, row):
        sums[merged(path)] += probability
    return sums


@torch.no_grad()
def test_the_probability_of_a_target_is_the_sum_over_its_paths(read):
    head, encoded = read
    for row in range(len(LENGTHS)):
        own = [encoded[0].select(torch.tensor([row]))]
        sums = targets(head, encoded, row)
        assert sum(sums.values()) == pytest.approx(1)
        for target, probability in sums.items():
            if 0 in target:  # the begin symbol
                assert probability == 0
                continue
            score = head.score(own, Steps(torch.tensor(target, dtype=torch.int64), Layout([len(target)])))
            assert float(score.log_probability.exp()) == pytest.approx(probability, rel=1e-4, abs=1e-9)


@torch.no_grad()
def test_the_next_symbol_has_the_share_of_the_targets_that_go_on_with_it(read):
    head, encoded = read
    sums = targets(head, encoded, 0)
    for prefix in [(), (3,), (3, 3), (2, 4), (2, 3, 4, 2)]:
        state = head.start(encoded).reorder(torch.tensor([0]))
        distribution, state = head.step(torch.tensor([head.begin]), state)
        for symbol in prefix:
            distribution, state = head.step(torch.tensor([symbol]), state)
        expected = torch.zeros(SPEC.size, dtype=torch.float64)
        for target, probability in sums.items():
            if target[: len(prefix)] == prefix:
                expected[target[len(prefix)] if len(target) > len(prefix) else SPEC.end] += probability
        assert torch.allclose(distribution.probabilities[0], expected / expected.sum(), rtol=1e-5, atol=1e-9)


@torch.no_grad()
def test_a_wide_beam_finds_the_most_probable_target(read):
    head, encoded = read
    search = make("searches", "beam", (), {"width": 40, "n_best": 3, "normalization": "none"})
    limits = torch.tensor([9] * len(LENGTHS))
    listed = search.search(head, head.start(encoded), limits, limits, attention=False)
    for row, answers in enumerate(listed):
        ranked = sorted(targets(head, encoded, row).items(), key=lambda item: -item[1])[: len(answers)]
        assert [tuple(answer.symbols) for answer in answers] == [target for target, _ in ranked]
        assert [math.exp(answer.score) for answer in answers] == pytest.approx([share for _, share in ranked])


@torch.no_grad()
def test_spans_are_those_of_the_most_probable_path(read):
    head, encoded = read
    for row in (0, 2):
        state = head.start(encoded).reorder(torch.tensor([row]))
        every = sorted(paths(head, encoded, row), key=lambda item: -item[1])
        for target in [(3,), (2, 4), (3, 3)]:
            best = next(path for path, _ in every if merged(path) == target)
            runs = [
                list(run) for symbol, run in itertools.groupby(enumerate(best), lambda step: step[1]) if symbol != 1
            ]
            (spans,) = head.spans(state, [target])
            assert spans == [(run[0][0], run[-1][0] + 1) for run in runs]
    assert head.spans(head.start(encoded), [[3] * 5, [2], []]) == [[], [], []]


def test_a_target_needs_a_step_for_each_symbol_and_one_between_equal_ones():
    cls = registry.component("heads", "ctc")
    symbols = Steps.of([torch.tensor(row, dtype=torch.int64) for row in ([3, 3, 2], [3, 2, 3], [], [2, 2], [2])])
    assert cls.targets_allowed(torch.tensor([3, 3, 0, 3, 0]), symbols).tolist() == [False, True, True, True, False]


def frames(count, seed=0):
    """Letters held for two or three steps each with a rest between, and the letters alone."""
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        letters = drawn.choices("abc", k=drawn.randint(1, 4))
        held = [step for letter in letters for step in [letter] * drawn.randint(2, 3) + ["-"]]
        rows.append({"frames": held, "letters": letters})
    return rows


def model(**encoder):
    return ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": {"cell": "gru", "hidden_size": 16, **encoder}}},
        outputs={"letters": {"type": "tokens", "align": "free", "head": "ctc"}},
        search={"type": "beam", "normalization": "none"},
        training={
            "epochs": 6,
            "batch_rows": 20,
            "optimizer": {"type": "adam", "learning_rate": 0.02},
            "schedule": "constant",
        },
    )


def test_it_is_trained_answers_and_tells_the_times_of_its_symbols(tmp_path):
    fitted = model(embedding_size=8).fit(frames(160), frames(20, seed=1), device="cpu", folder=tmp_path / "run")
    assert fitted.evaluate(frames(30, seed=2)).to_json()["outputs"]["letters"]["exact_match"]["value"] == 100
    sound, command = "a a - a a - b b b -", ["predict", str(tmp_path / "run"), "--device", "cpu", "--times"]
    shown = CliRunner().invoke(group, [*command, sound])
    answer, *lines = shown.output.splitlines()
    assert answer == "a a b" and [line.split("\t")[2] for line in lines] == ["a", "a", "b"]
    starts, ends = ([int(line.split("\t")[place]) for line in lines] for place in (0, 1))
    assert all(a < b for a, b in zip(starts, ends)) and all(a <= b for a, b in zip(ends, starts[1:]))
    assert starts[1] >= 2 and starts[2] >= 5 and ends[2] <= 10
    as_json = json.loads(CliRunner().invoke(group, [*command, "--json", sound]).output)
    times = as_json["outputs"]["letters"][0]["times"]
    assert times == [{"symbol": "aab"[place], "start": starts[place], "end": ends[place]} for place in range(3)]


def test_a_target_longer_than_its_source_is_named_and_counted():
    rows = [{"frames": ["a", "a"], "letters": ["a", "a"]}] * 3 + frames(30)
    with pytest.raises(ostinato.errors.DataError, match=r"ctc cannot learn.*one more between.*\(3 rows like this\)"):
        model().fit(rows, frames(10), device="cpu")


def test_a_head_without_times_says_so(tmp_path):
    spoken = ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": {"hidden_size": 4}}},
        outputs={"letters": {"type": "tokens", "align": "free", "head": {"decoder": {"hidden_size": 4}}}},
        training={"epochs": 1},
    )
    spoken.fit(frames(10), frames(10), device="cpu", folder=tmp_path / "run")
    shown = CliRunner().invoke(group, ["predict", str(tmp_path / "run"), "a a", "--times", "--device", "cpu"])
    assert "--times needs an output with a head that aligns its symbols" in str(shown.exception)
