"""The CTC head against all paths through a few steps, counted one by one."""

import itertools
import json
import math
import random
import re
from collections import defaultdict

import pytest
import torch
from click.testing import CliRunner

import ostinato
from ostinato import api, registry
from ostinato.cli.main import group
from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Generator, Sizes
from ostinato.modalities.contract import Symbols
from ostinato.registry import make
from ostinato.run.fusion import Fused
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


def model(head="ctc", **encoder):
    return ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": {"cell": "gru", "hidden_size": 16, **encoder}}},
        outputs={"letters": {"type": "tokens", "align": "free", "head": head}},
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


class Language(Generator):
    """log q(v | y) by the last symbol alone, from a table; symbols are numbered in reverse."""

    begin, end, num_symbols = 4, 3, 5

    def __init__(self):
        self.table = torch.log_softmax(torch.randn(5, 5, generator=torch.Generator().manual_seed(4)), 1).double()

    def start(self, encoded):
        raise NotImplementedError

    def extend(self, steps, state):
        raise NotImplementedError

    def step(self, steps, state):
        return Categorical(self.table[steps], normalized=True), Decoding((), state.rows, {"last": steps})


@torch.no_grad()
def test_with_a_language_model_the_best_target_is_that_of_the_weighted_sum(read):
    head, encoded = read
    language, reverse = Language(), torch.tensor([4, 3, 2, 1, 0])
    fused = Fused(head, language, lambda rows: Decoding((), torch.zeros(rows, dtype=torch.int64)), reverse, 2, 0.7)

    def judged(target):
        spoken = [0, *target, SPEC.end]
        return sum(float(language.table[4 - a, 4 - b]) for a, b in itertools.pairwise(spoken))

    search = make("searches", "beam", (), {"width": 60, "normalization": "none"})
    limits = torch.tensor([9] * len(LENGTHS))
    for row, (answer,) in enumerate(search.search(fused, fused.start(encoded), limits, limits, attention=False)):
        sums = {target: p for target, p in targets(head, encoded, row).items() if p > 0}
        scores = {target: math.log(p) + 0.7 * judged(target) for target, p in sums.items()}
        assert tuple(answer.symbols) == max(scores, key=scores.get)
        assert answer.score == pytest.approx(max(scores.values()), rel=1e-5)


def test_a_language_model_judges_what_is_predicted_symbols_matched_by_their_texts(tmp_path):
    """Each frame is as likely an a as a b; the language model has seen none but b."""
    rows = [{"frames": ["x"], "letters": letter} for letter in "ab"] * 20
    reader = ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": {"hidden_size": 4, "embedding_size": 4}}},
        outputs={"letters": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
        training={"epochs": 8, "batch_rows": 10, "optimizer": {"type": "adam", "learning_rate": 0.05}},
    ).fit(rows, rows, device="cpu")
    texts = [{"line": "b"}, {"line": "b "}, {"line": "b"}] * 10
    options = {"type": "text", "tokenizer": "char", "column": "line"}
    language = ostinato.Model(
        inputs={"line": {**options, "encoder": {"hidden_size": 4, "embedding_size": 4, "bidirectional": False}}},
        outputs={"rest": {**options, "tokenizer": {"same_as": "line"}, "of": "line", "align": "next"}},
        training={"epochs": 8, "batch_rows": 10, "optimizer": {"type": "adam", "learning_rate": 0.05}},
    ).fit(texts, texts, device="cpu", folder=tmp_path / "lm")
    for weight in (1.0, 0.0):
        read = [{"frames": ["x"]}]
        options = {"rows": read, "sets": ["search=greedy"], "language_model": language.run, "language_weight": weight}
        (prediction,) = api.predict(reader.run, **options)
        (alone,) = api.predict(reader.run, rows=read, sets=["search=greedy"])
        assert prediction.best["letters"].text == ("b" if weight else alone.best["letters"].text)
    with pytest.raises(ostinato.errors.ConfigError, match="continues no text"):
        next(api.predict(reader.run, rows=[{"frames": ["x"]}], language_model=reader.run))


def test_a_language_model_of_larger_pieces_is_refused_and_the_advice_is_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"frames": ["x"] * 9, "letters": letters} for letters in ("abab", "ba")] * 20
    reader = ostinato.Model(
        inputs={"frames": {"type": "tokens", "encoder": {"hidden_size": 4, "embedding_size": 4}}},
        outputs={"letters": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
        training={"epochs": 1},
    ).fit(rows, rows, device="cpu")
    words = ("".join(word) for size in range(1, 7) for word in itertools.product("ab", repeat=size))
    (tmp_path / "texts.txt").write_text("\n".join(words) + "\n")
    small = ["--set", "inputs.text.encoder.hidden_size=4", "--set", "training.epochs=1", "--device", "cpu"]
    assert CliRunner().invoke(group, ["train", "texts.txt", "--run", "pieces", *small]).exit_code == 0
    asked = {"rows": rows[:1], "device": "cpu"}
    with pytest.raises(ostinato.errors.ConfigError, match="pieces judges pieces such as .*, which this output") as why:
        next(api.predict(reader.run, language_model=tmp_path / "pieces", **asked))
    advised = re.search("train it with the tokenizer of this output, such as `ostinato (.*?)`", str(why.value))[
        1
    ].split()
    assert CliRunner().invoke(group, [*advised, "--run", "letters", *small]).exit_code == 0
    assert next(api.predict(reader.run, language_model=tmp_path / "letters", **asked)).best["letters"].text is not None
