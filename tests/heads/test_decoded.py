"""Drawings that follow an input: the laws, and a pen that draws what it is asked for and goes from one to another."""

import json
import math
import random

import pytest
from click.testing import CliRunner

from ostinato import api
from ostinato.cli.main import group
from ostinato.encoders.contract import Sizes
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Symbols, Values
from ostinato.recipe.read import load
from ostinato.registry import make
from ostinato.testing import heads, laws
from ostinato.testing._tools import Member

SMALL = {"decoder": {"hidden_size": 6}, "embedding_size": 4, "step_head": {"type": "mixture_density", "components": 2}}


def test_laws():
    case = heads.Generating(Member.of("heads", "decoded", SMALL), heads.NUMBERS, "two")
    for law in heads.LAWS:
        law(case)


@pytest.mark.slow
def test_every_option_matters():
    laws.run("heads", "decoded", SMALL)


def test_the_advice_on_what_is_no_vector_or_no_head_on_next():
    sizes = [Sizes(None, 4)]
    with pytest.raises(ConfigError, match="head: autoregressive predicts symbols"):
        make("heads", "decoded", (Symbols(5, begin=1, end=2, unknown=0), sizes))
    with pytest.raises(ConfigError, match="step_head: classifier does not predict what follows; take one on `next`"):
        make("heads", "decoded", (Values(4, unscaled=True), sizes), {"step_head": "classifier"})
    options = {"step_head": "mixture_density"}
    assert make("heads", "decoded", (Values(4, unscaled=True), [Sizes(4, 4, (4,))]), options)


NOISE = 0.05
TURNS = {"left": -0.6, "right": 0.6}
DATA = "data: {train: arcs.jsonl, valid: arcs.jsonl}\n"
TRAINING = "training: {epochs: 12, batch_rows: 8, optimizer: {type: adam, learning_rate: 0.01}, schedule: constant}\n"
HEAD = "{decoder: {cell: gru, hidden_size: 32, attention: none}, embedding_size: 8, step_head: {components: 2}}"
SHAPE = "type: strokes, scale: none, align: free"
ATTENDING = HEAD.replace("none", "additive")
ON_WORDS = f"""
inputs: {{word: {{type: text, tokenizer: char, encoder: {{cell: gru, hidden_size: 8, embedding_size: 4}}}}}}
outputs: {{arc: {{{SHAPE}, head: {ATTENDING}}}}}
search: {{type: sample, bias: 2}}
"""
OF_ITSELF = f"""
inputs: {{arc: {{type: strokes, scale: none, encoder: {{cell: gru, hidden_size: 16, embedding_size: 8}}}}}}
outputs: {{again: {{column: arc, {SHAPE}, join: {{type: latent, size: 2, weight: 0.05}}, head: {HEAD}}}}}
search: greedy
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Words and the arcs that they name: six points that turn left or right."""
    here, draw, lines = tmp_path_factory.mktemp("arcs"), random.Random(0), []
    for _ in range(96):
        word, angle = draw.choice(list(TURNS)), 0.0
        arc = []
        for place in range(6):
            arc.append([math.cos(angle) + draw.gauss(0, NOISE), math.sin(angle) + draw.gauss(0, NOISE), place == 5])
            angle += TURNS[word]
        lines.append(json.dumps({"word": word, "arc": [[x, y, int(up)] for x, y, up in arc]}) + "\n")
    (here / "arcs.jsonl").write_text("".join(lines))
    for name, part in (("words", ON_WORDS), ("itself", OF_ITSELF)):
        (here / f"{name}.yaml").write_text(DATA + part + TRAINING)
    return here


def turn(arc):
    """How far the pen has gone up or down in the end."""
    return sum(y for _, y, _ in arc)


def test_a_pen_draws_what_it_reads(folder):
    run = api.fit(load(folder / "words.yaml"), folder / "words", device="cpu")
    left, right = (answer.best["arc"] for answer in api.predict(run, ["left", "right"], device="cpu"))
    for answer, sign in ((left, -1), (right, 1)):
        assert answer.finished and 5 <= len(answer.value) <= 7 and sign * turn(answer.value) > 2
        assert answer.value[-1][2] == 1


def test_drawings_are_bounded_generated_and_mixed_and_the_advice_is_right(folder):
    run = api.fit(load(folder / "itself.yaml"), folder / "itself", device="cpu")
    rows = [json.loads(line)["arc"] for line in (folder / "arcs.jsonl").read_text().splitlines()]
    ends = [next(row for row in rows if sign * turn(row) > 2) for sign in (-1, 1)]
    arcs = [answer.value for answer in api.generate(run, 5, between=tuple(map(json.dumps, ends)), device="cpu")]
    assert turn(arcs[0]) + 1 < turn(arcs[2]) + 0.5 < turn(arcs[-1])

    def asked(*words):
        shown = CliRunner().invoke(group, ["generate", str(run.folder), *words, "--device", "cpu"])
        return shown.exit_code, shown.output

    code, message = asked("--output", str(folder / "arcs.csv"))
    assert code == 2 and "arcs.csv: give a file that ends in .txt or .svg" in message
    for ending, mark in ((".txt", "[["), (".svg", "<path")):
        code, _ = asked("--number", "3", "--output", str(folder / f"arcs{ending}"))
        assert code == 0 and (folder / f"arcs{ending}").read_text().count(mark) == 3
    code, message = asked("--output", str(folder / "arcs.svg"), "--json")
    assert code == 2 and "--output writes what is generated into a file; leave out --json" in message
