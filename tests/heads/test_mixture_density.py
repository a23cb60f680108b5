"""Drawings of a pen: the mixture's density, and what is learnt, continued and streamed of spirals."""

import json
import math
import random

import pytest
import torch
from click.testing import CliRunner

from ostinato import api
from ostinato.cli.main import group
from ostinato.heads.mixture_density import Stroke
from ostinato.recipe.read import load
from ostinato.testing import laws
from tests.advice import follow


def test_laws():
    laws.run("heads", "mixture_density", {"components": 3})


def stroke():
    torch.manual_seed(0)
    location, scale, bit = torch.randn(5, 2), torch.rand(5, 2) + 0.2, torch.randn(5, 1)
    return location, scale, torch.tensor([[0.0], [0.7], [-0.9], [0.3], [-0.5]]), bit


def test_a_bias_sharpens_bits_too():
    plain = Stroke(torch.zeros(1, 2), torch.ones(1, 2), torch.zeros(1, 1), torch.tensor([[0.2, -2.0]]))
    _, scale, _, bits = plain.biased(1.5).parameters
    torch.testing.assert_close(bits, torch.tensor([[0.5, -5.0]]))
    torch.testing.assert_close(scale, torch.full((1, 2), math.exp(-1.5)))


def test_the_density_is_the_bivariate_normals_times_that_of_the_bit():
    location, scale, correlation, bit = stroke()
    target = torch.cat([torch.randn(5, 2), torch.tensor([[0.0], [1.0], [0.0], [1.0], [1.0]])], 1)
    densities = Stroke(location, scale, correlation, bit).densities(target).sum(1)
    for row in range(5):
        both = scale[row].prod() * correlation[row]
        matrix = torch.stack([scale[row, 0] ** 2, both[0], both[0], scale[row, 1] ** 2]).view(2, 2)
        normal = torch.distributions.MultivariateNormal(location[row], matrix).log_prob(target[row, :2])
        lifted = torch.distributions.Bernoulli(logits=bit[row, 0]).log_prob(target[row, 2])
        assert float(densities[row]) == pytest.approx(float(normal + lifted), rel=1e-4)


def test_samples_have_the_means_deviations_and_correlation():
    parameters = [part[1:2].expand(20_000, -1) for part in stroke()]
    location, scale, correlation, bit = (part[0] for part in parameters)
    uniform = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = Stroke(*parameters).sample(uniform)
    assert torch.allclose(drawn[:, :2].mean(0), location, atol=0.03)
    assert torch.allclose(drawn[:, :2].std(0), scale, atol=0.03)
    assert float(torch.corrcoef(drawn[:, :2].T)[0, 1]) == pytest.approx(float(correlation), abs=0.02)
    assert float(drawn[:, 2].mean()) == pytest.approx(float(bit.sigmoid()), abs=0.02)


def spirals(count, seed=0):
    """Offsets of a pen that starts in one of four directions and turns left or right by half a radian a step, each
    longer by a tenth, until it is lifted."""
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        angle, turn, length, drawing = drawn.randrange(4) * math.pi / 2, drawn.choice([-0.5, 0.5]), 0.5, []
        while not drawing or not drawing[-1][2]:
            x, y = (drawn.gauss(length * part, NOISE) for part in (math.cos(angle), math.sin(angle)))
            drawing.append([x, y, int(len(drawing) == 11)])
            angle, length = angle + turn, length * 1.1
        rows.append({"pen": drawing})
    return rows


NOISE = 0.05
SPIRALS = """
data:    {train: train.jsonl, valid: valid.jsonl}
inputs:  {pen: {type: series, scale: none, encoder: {bidirectional: false, hidden_size: 48, embedding_size: 16}}}
outputs:
  rest: {column: pen, type: series, scale: none, of: pen, align: next, head: {type: mixture_density, components: 4}}
search:  {type: sample}
training: {epochs: 20, batch_rows: 20, optimizer: {type: adam, learning_rate: 0.01}, schedule: constant}
"""


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """Two runs on spirals, and the folder of their data."""
    here = tmp_path_factory.mktemp("drawings")
    for name, rows in (("train", spirals(400)), ("valid", spirals(50, seed=1)), ("test", spirals(100, seed=2))):
        (here / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (here / "spirals.yaml").write_text(SPIRALS)
    runs = []
    for seed in (0, 1):
        recipe = load(here / "spirals.yaml", [f"training.seed={seed}"])
        runs.append(api.fit(recipe, here / f"run{seed}", device="cpu"))
    return here, runs


def log_loss(runs, data):
    """In nats for each number that is scored."""
    return api.evaluate(runs, data=str(data), device="cpu").to_json()["outputs"]["rest"]["log_loss"]["value"]


def test_drawings_are_learnt_to_near_their_noise_and_by_two_runs_better(drawings):
    here, runs = drawings
    # Who knows the first direction and the turn still has the noise of two numbers of three to tell.
    bound = 2 / 3 * math.log(NOISE * math.sqrt(2 * math.pi * math.e))
    alone = [log_loss(run, here / "test.jsonl") for run in runs]
    together = log_loss(runs, here / "test.jsonl")
    assert all(bound < score < bound + 0.4 for score in alone)
    assert bound < together < sum(alone) / 2


def test_a_drawing_is_scored_as_it_was_learnt(drawings):
    here, (run, _) = drawings
    scores = api.score(run, str(here / "test.jsonl"), device="cpu")["rest"]
    assert set(scores.num_targets) == {36}
    mean = -sum(scores.log_probability) / sum(scores.num_targets)
    assert mean == pytest.approx(log_loss(run, here / "test.jsonl"), rel=1e-4)


def test_the_advice_on_a_search_for_symbols(drawings):
    _, (run, _) = drawings

    def answer(*sets):
        return next(api.predict(run, rows=[{"pen": [[1, 0, 0]]}], sets=["search=sample", *sets], device="cpu"))

    advice = "the probabilities of symbols, and a step of this output is a vector; leave them out"
    follow(lambda: answer("search.temperature=0.5"), advice, answer)


def test_the_advice_on_suggestions_of_what_has_no_words(drawings):
    _, (run, _) = drawings
    advice = "goes on with numbers, and words or other symbols are suggested; take `ostinato predict`"
    follow(
        lambda: api.suggest(run, ["[[1, 0, 0]]"], device="cpu"),
        advice,
        lambda: list(api.predict(run, ["[[1, 0, 0]]"], sets=["search=sample"], device="cpu")),
    )


def radii(drawing):
    """The length of each offset as a share of what it would be without noise."""
    return [math.hypot(x, y) / (0.5 * 1.1**place) for place, (x, y, _) in enumerate(drawing)]


@pytest.mark.parametrize("together", [False, True])
def test_drawings_begin_or_continue_and_end_where_the_pen_is_lifted(drawings, together):
    _, runs = drawings
    rows = [{"pen": row["pen"][:length]} for length in (0, 6) for row in spirals(50, seed=3)]
    shares, lengths = [], []
    for row, prediction in zip(rows, api.predict(runs if together else runs[0], rows=rows, device="cpu")):
        drawing = row["pen"] + prediction.best["rest"].value
        assert prediction.best["rest"].finished
        assert [bit for *_, bit in drawing] == [0] * (len(drawing) - 1) + [1]
        lengths.append(len(drawing))
        shares += radii(drawing)
    assert sum(10 <= length <= 14 for length in lengths) >= 0.8 * len(lengths)  # 12 is true
    assert sum(0.7 < share < 1.3 for share in shares) >= 0.8 * len(shares)


def test_a_drawing_is_streamed_step_by_step_as_it_is_predicted(drawings):
    _, (run, _) = drawings
    text, pieces = json.dumps(spirals(1, seed=3)[0]["pen"][:6]), []
    whole = api.stream(run, text, pieces.append, device="cpu")
    (prediction,) = api.predict(run, [text], device="cpu")
    assert whole == "".join(pieces) == prediction.best["rest"].text
    assert len([piece for piece in pieces if piece]) == len(json.loads(whole))
    shown = CliRunner().invoke(group, ["predict", str(run.folder), text, "--stream", "--device", "cpu"])
    assert shown.exit_code == 0 and shown.output.strip() == whole
