"""How good drawings are: python benchmarks/drawings.py RUN --data-root DIR [--split test].

RUN is of recipes/kanji.yaml or recipes/sheep.yaml; DIR holds what tools/prepare.py made.

cell         nats a point: the probability of its cell of one unit by one, which the density is integrated over, and of
             its bits (the pen lifts, the drawing ends). No deviation is below 0.3 units: nothing is won by collapse.
memoryless   the same of a mixture of 20 normals that sees nothing of the drawing, fitted by EM on training points
last move    the same of a normal distribution around the last move
told apart   share of 200 real and 200 sampled drawings, unseen in training, that a classifier labels rightly; samples
             are rounded to whole units as the real ones are

`--picture FILE.svg` draws 64 samples, `--completed FILE.svg` pairs: a drawing that is begun, and its completion.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.mixture import GaussianMixture

from ostinato import api
from ostinato.steps import Layout, Steps

LEAST = 0.3
"""The least deviation, in units of the data."""
NODES, WEIGHTS = (torch.tensor(part / 2) for part in np.polynomial.legendre.leggauss(12))
FITTED = 40_000
"""Points that the mixture without memory is fitted on."""
HELD_OUT, TAUGHT = 200, 1000
CLASSIFIER = """
data: {{train: {0}/train.jsonl, valid: {0}/valid.jsonl}}
inputs: {{drawing: {{type: strokes, encoder: {{cell: gru, hidden_size: 64, embedding_size: 32, dropout: 0.2}}}}}}
outputs: {{real: {{type: category, head: {{dropout: 0.3}}}}}}
training: {{epochs: 12, batch_rows: 50, optimizer: {{type: adamw, learning_rate: 4e-3}}}}
"""


def drawings(path):
    with open(path, encoding="utf-8") as lines:
        return [np.array(json.loads(line)["drawing"], float) for line in lines]


def log_cells(weights, mean, deviation, correlation, points):
    """(N,) the logarithm of a mixture's mass (N, K, ...) in the cells around points (N, 2), in units."""
    deviation = deviation.clamp(min=LEAST)
    slope = correlation * deviation[..., 1] / deviation[..., 0]
    width = (deviation[..., 1] * (1 - correlation**2).sqrt()).clamp(min=1e-3)
    x, total = torch.distributions.Normal(mean[..., 0], deviation[..., 0]), 0
    for node, weight in zip(NODES, WEIGHTS):
        place = points[:, None, 0] + node
        center = mean[..., 1] + slope * (place - mean[..., 0])
        y = torch.distributions.Normal(center, width)
        mass = y.cdf(points[:, None, 1] + 0.5) - y.cdf(points[:, None, 1] - 0.5)
        total = total + weight * x.log_prob(place).exp() * mass
    return (weights.log() + total.clamp(min=1e-30).log()).logsumexp(1)


def model_nats(run, rows):
    modality, scale = run.modalities["outputs.rest"], run.modalities["outputs.rest"].facts()["scale"]
    total = 0.0
    for start in range(0, len(rows), 50):
        own = rows[start : start + 50]
        encoded = [torch.from_numpy(modality.encode(row.tolist())) for row in own]
        targets = torch.cat(encoded).double()
        steps = Steps(torch.cat(encoded), Layout([len(row) for row in own]))
        with torch.inference_mode():
            read = run.graph.read("rest", {"drawing": steps})[0].steps
            mixture = run.graph.heads["rest"].predict_next(read.without_last().values)
        location, deviation, correlation, logits = (part.double() for part in mixture.components.parameters)
        bits = -torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets[:, None, 2:].expand_as(logits), reduction="none"
        ).sum(2)
        weights = (mixture.weights.log_probabilities.double() + bits).exp()
        points = torch.from_numpy(np.concatenate(own)[:, :2])
        total -= float(log_cells(weights, scale * location, scale * deviation, correlation[..., 0], points).sum())
    return total / sum(map(len, rows))


def baselines(train, rows):
    points, ends = np.concatenate(train), np.concatenate([np.arange(len(row)) == len(row) - 1 for row in train])
    chosen = np.random.default_rng(0).permutation(len(points))[:FITTED]
    mixture = GaussianMixture(20, reg_covar=LEAST**2, random_state=0).fit(points[chosen, :2])
    shares = mixture.predict_proba(points[chosen, :2])
    bits = np.stack([points[chosen, 2], ends[chosen]], 1)
    rates = np.clip((shares.T @ bits + 0.5) / (shares.sum(0)[:, None] + 1), 1e-6, 1 - 1e-6)
    deviation = np.sqrt(np.diagonal(mixture.covariances_, axis1=1, axis2=2))
    correlation = mixture.covariances_[:, 0, 1] / deviation.prod(1)
    true = np.concatenate(rows)
    last = np.concatenate([np.arange(len(row)) == len(row) - 1 for row in rows])
    given = np.stack([true[:, 2], last], 1)[:, None]
    weights = mixture.weights_ * np.prod(np.where(given == 1, rates, 1 - rates), 2)
    every = (torch.from_numpy(part) for part in (weights, mixture.means_[None], deviation[None], correlation[None]))
    memoryless = -float(log_cells(*every, torch.from_numpy(true[:, :2])).mean())

    def moves(own):
        return np.concatenate([np.diff(row[:, :2], axis=0, prepend=np.zeros((1, 2))) for row in own])

    around = moves(train)
    covariance = np.cov(around.T)
    spread = np.sqrt(np.diagonal(covariance))
    one = torch.ones(len(true), 1, dtype=torch.float64)
    before = torch.from_numpy(true[:, :2] - moves(rows))[:, None]
    parts = (
        one,
        before,
        torch.from_numpy(spread)[None, None],
        torch.tensor(covariance[0, 1] / spread.prod())[None, None],
    )
    nats = -float(log_cells(*parts, torch.from_numpy(true[:, :2])).mean())
    for own, wanted in ((points[:, 2].mean(), true[:, 2].mean()), (ends.mean(), last.mean())):
        nats -= wanted * math.log(own) + (1 - wanted) * math.log(1 - own)
    return {"memoryless": memoryless, "last move": nats}


def sampled(run, count, seed, sets):
    """So many drawings, in whole units; those without a line are left out."""
    drawn = []
    for start in range(0, count, 100):
        predictions = api.predict(run, ["[]"], n_best=100, seed=seed + start, sets=["search=sample", *sets])
        drawn += [np.round(np.array(answer.value)) for each in predictions for answer in each.outputs["rest"]]
    return [row for row in drawn if len(row) > 1 and np.abs(row[:, :2]).max() > 0][:count]


def told_apart(real, synthetic, held_out):
    """The share of the held-out drawings of both kinds whose kind a classifier tells."""
    with tempfile.TemporaryDirectory() as place:
        folder, cut = Path(place), len(real) * 9 // 10
        rows = [
            [{"drawing": row.tolist(), "real": kind} for row in own] for own, kind in ((real, "y"), (synthetic, "n"))
        ]
        for name, part in (("train", slice(cut)), ("valid", slice(cut, None))):
            lines = [json.dumps(row) + "\n" for own in rows for row in own[part]]
            (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        (folder / "tell.yaml").write_text(CLASSIFIER.format(place), encoding="utf-8")
        command = [sys.executable, "-m", "ostinato", "train", str(folder / "tell.yaml"), "--run", f"{place}/run"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        judge = api.loaded_runs(folder / "run", "cpu")[0]
        right = [
            each.outputs["real"][0].value == kind
            for own, kind in zip(held_out, "yn")
            for each in api.predict(judge, rows=[{"drawing": row.tolist()} for row in own])
        ]
    return float(np.mean(right))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--set", dest="sets", action="append", default=[], help="of the search, as predict takes them")
    parser.add_argument("--tell", action="store_true", help="train the classifier of real and sampled drawings")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--completed", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = api.loaded_runs(given.run, "cpu")[0]
    folder = (given.data_root / run.recipe.settings.data.train).parent
    train, rows = (drawings(folder / f"{name}.jsonl") for name in ("train", given.split))
    result = {"drawings": len(rows), "points": sum(map(len, rows)), "cell": model_nats(run, rows)}
    result |= baselines(train, rows)
    result["better by"] = min(result["memoryless"], result["last move"]) - result["cell"]
    modality = run.modalities["outputs.rest"]
    if given.picture is not None:
        given.picture.write_bytes(modality.render([row.tolist() for row in sampled(run, 64, 1, given.sets)], ".svg"))
    if given.completed is not None:
        begun = [row[: len(row) // 2].tolist() for row in rows[:16]]
        answers = api.predict(run, rows=[{"drawing": row} for row in begun], sets=["search=sample", *given.sets])
        whole = [start + answer.outputs["rest"][0].value for start, answer in zip(begun, answers)]
        shown = [drawing for pair in zip(begun, whole) for drawing in pair]
        given.completed.write_bytes(modality.render(shown, ".svg"))
    if given.tell:
        drawn = sampled(run, TAUGHT + HELD_OUT, 1000, given.sets)
        result["told apart"] = told_apart(train[:TAUGHT], drawn[HELD_OUT:], (rows[:HELD_OUT], drawn[:HELD_OUT]))
    print(json.dumps(result, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
