"""Minimal pairs: which text is likelier, accuracy by gap, and sentences whose verb agrees with an earlier word."""

import csv
import json
import math
import random

import numpy as np
import pytest
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.draws import wilson
from ostinato.probes.pairs import CUES, VERBS, Pair, PairsFinding, _result, generate, judged, read_pairs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    text = {"type": "text", "tokenizer": "word", "encoder": {"cell": "gru", "hidden_size": 8, "embedding_size": 8}}
    training = {"epochs": 3, "batch_rows": 8, "optimizer": {"type": "adamw", "learning_rate": 0.03}}
    model = ostinato.Model({"text": text}, {"follows": {"of": "text", "align": "next"}}, training=training)
    rows = [{"text": text} for text in ("now we need bread", "once we needed bread") * 24]
    return model.fit(rows, folder=folder / "run", device="cpu").run


def test_the_likelier_text_is_the_one_of_the_higher_score(run, tmp_path):
    pairs = [
        Pair("now we need bread", "now we needed bread", 1),
        Pair("once we needed bread", "once we need bread", 1),
        Pair("bread bread", "now we need bread", 2),
    ]
    with open(tmp_path / "pairs.csv", "w", newline="") as file:
        csv.writer(file).writerows([("right", "wrong", "gap"), *((pair.right, pair.wrong, pair.gap) for pair in pairs)])
    finding = api.pairs(run, str(tmp_path / "pairs.csv"), picture=tmp_path / "picture.svg", device="cpu")
    table = tmp_path / "texts.jsonl"
    table.write_text("".join(json.dumps({"text": text}) + "\n" for pair in pairs for text in (pair.right, pair.wrong)))
    scores = api.score(run, str(table), device="cpu")["follows"].log_probability
    assert np.allclose(finding.margins, np.array(scores[::2]) - np.array(scores[1::2]), atol=1e-4)
    likelier = [right > wrong for right, wrong in zip(scores[::2], scores[1::2])]
    assert [(part.gap, part.pairs) for part in finding.gaps] == [(1, 2), (2, 1)]
    assert [part.accuracy for part in finding.gaps] == [np.mean(likelier[:2]), likelier[2]]
    assert finding.whole.accuracy == np.mean(likelier) and finding.gaps[1].high == pytest.approx(
        wilson(likelier[2], 1)[1]
    )
    assert finding.title == finding.lines()[0] == finding.to_json()["title"]
    assert f"The right text is likelier in {np.mean(likelier):.1%}" in (tmp_path / "picture.svg").read_text()


def test_the_reach_ends_at_the_first_gap_of_chance():
    parts = [
        _result(gap, np.array([1.0] * hits + [-1.0] * (50 - hits)))
        for gap, hits in ((1, 50), (2, 40), (3, 26), (4, 45))
    ]
    finding = PairsFinding(_result(None, np.ones(2)), parts, [])
    assert finding.reach == 2 and "better than chance up to a gap of 2 of 4" in finding.title
    assert _result(1, np.array([0.0, 1.0])).accuracy == 0.75, "as likely as the other counts half"
    none = PairsFinding(_result(None, np.ones(2)), parts[2:3], [])
    assert none.reach is None and "no better than chance at a gap of 3" in none.title
    assert math.isclose(finding.gaps[1].margin, 0.6)


def test_generated_pairs_differ_in_the_verb_alone_at_their_gap(tmp_path):
    generate(tmp_path, rows=60, gaps=(1, 5), longest=4, seed=3)
    pairs = read_pairs(str(tmp_path / "pairs.csv"))
    assert [pair.gap for pair in pairs] == [1] * 50 + [5] * 50
    for pair in pairs:
        right, wrong = pair.right.split(), pair.wrong.split()
        (at,) = [at for at, (one, other) in enumerate(zip(right, wrong)) if one != other]
        tense = next(number for number, cues in enumerate(CUES) if right[0] in cues)
        assert at - 1 == pair.gap and right[at - 1] == "we" and (right[at], wrong[at])[tense] in dict(VERBS)
        assert any(right[at] == verbs[tense] and wrong[at] == verbs[1 - tense] for verbs in VERBS)
    lines = (tmp_path / "train.txt").read_text().splitlines()
    assert len(lines) == 60 and {len(line.split()) - 3 for line in lines} == {1, 2, 3, 4}
    generate(tmp_path / "again", rows=60, gaps=(1, 5), longest=4, seed=3)
    assert (tmp_path / "again" / "pairs.csv").read_bytes() == (tmp_path / "pairs.csv").read_bytes()
    result = CliRunner().invoke(group, ["pairs", "--generate", str(tmp_path / "cli"), "--rows", "5", "--gaps", "1,3"])
    assert result.exit_code == 0 and len(result.output.splitlines()) == 3
    for arguments in (["pairs"], ["pairs", "--generate", "x", "--gaps", "a"]):
        assert CliRunner().invoke(group, arguments).exit_code == 2
    with pytest.raises(ConfigError, match="gaps: 0: 1 or more"):
        generate(tmp_path, rows=2, gaps=(0,), longest=4, seed=0)


def test_what_cannot_be_compared_is_refused(run, tmp_path):
    for rows, message in (
        ([("right", "wrong"), ("a", "")], "line 2: a pair needs a text under `right`"),
        ([("right", "wrong", "gap"), ("a", "b", "far")], "line 2: gap: 'far': a whole number"),
        ([("right", "wrong")], "and no rows"),
    ):
        with open(tmp_path / "bad.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
        with pytest.raises(DataError, match=message):
            read_pairs(str(tmp_path / "bad.csv"))
    drawn = random.Random(0)
    model = ostinato.Model({"x": "number"}, {"y": "number"}, training={"epochs": 1})
    model.fit([{"x": drawn.random(), "y": 1.0} for _ in range(12)], device="cpu")
    with pytest.raises(ConfigError, match="needs a run of one input and an output of align 'next'"):
        judged(model.run, [Pair("a", "b")])
