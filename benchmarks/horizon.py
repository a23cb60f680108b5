"""Does the memory horizon rank models as the lags do at which they fail to learn?

    python benchmarks/horizon.py              what docs/horizon.json lacks is measured; then the picture
    python benchmarks/horizon.py --again      everything anew, a quarter of an hour of one core
    python tools/vanishing.py --render        the page

Horizon: what `ostinato probe gradients RECIPE` gives before training, on random letters: the lag from which on the
median norm of d y[t] / d x[t-k] (y the encoder's vector of the last step, x the embedded input, the one thing that all
models have) stays below 0.01 of that one step back. Layers whose last map begins at zero pass nothing on before the
first update, and have a horizon of 1; so the same is measured after one update on the shortest lag, and once that lag
is learnt.

Failure: for each lag of LAGS in turn a model is trained from scratch, at each of two rates in turn; it fails at the
first lag at which its accuracy on 512 new examples is below 0.9 at both. Training ends early where 25 batches in a row
were 99 % right. Two tasks, both answered at the last step, `lag` steps after the first:

- recall: the first symbol is one of 8, those behind it are noise out of 8 others; which was it?
- adding: all symbols are numbers from 0 to 7, of which the first and another one are marked; what is their sum?

Spearman's rank correlation over the models, ties sharing their mean rank; its interval is that of 10,000 bootstrap
samples of the models, its p the share of 100,000 permutations that reach it. A horizon or a lag that was not reached is
the largest of all. `other_shares` has the same for other shares than 0.01.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ostinato import api, registry
from ostinato.encoders.contract import Encoder
from ostinato.files import as_json, write
from ostinato.modalities.contract import Symbols
from ostinato.probes.kinds.contract import Finding
from ostinato.probes.kinds.gradients import STATE, GradientFinding, Gradients
from ostinato.recipe.read import from_arguments
from ostinato.steps import Layout, Steps
from ostinato.testing.probes import subject_of
from ostinato.training.repeatable import surroundings

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULT, PICTURE = DOCS / "horizon.json", DOCS / "vanishing_ranking.png"
LAGS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
KINDS, WIDTH, LENGTH, PROBED = 8, 64, 192, 8
ROWS, RATES, TESTED = 32, (0.003, 0.001), 512
ENOUGH, SURE, WINDOW = 0.9, 0.99, 25
SHARE, SHARES = 0.01, (0.01, 0.1, 0.001)
START, FIRST_UPDATE = "before training", "after the first update"
LATER = {FIRST_UPDATE: 1, "once the shortest lag is learnt": None}
MOMENTS = (START, *LATER)
SAMPLES, ORDERS = 10_000, 100_000
"""Bootstrap samples of the models, and permutations of them."""
FIRST = 3
"""The number of the first symbol, behind those that have a meaning of their own."""


def rnn(**settings: Any) -> dict[str, Any]:
    return {"cell": {"type": "rnn", **settings}}


MODELS: dict[str, dict[str, Any]] = {
    "tanh RNN, radius 0.5": rnn(spectral_radius=0.5),
    "tanh RNN, uniform": rnn(),
    "tanh RNN, radius 0.9": rnn(spectral_radius=0.9),
    "tanh RNN, radius 1.2": rnn(spectral_radius=1.2),
    "tanh RNN, orthogonal": rnn(start="orthogonal"),
    "relu RNN, uniform": rnn(activation="relu"),
    "relu RNN, identity": rnn(activation="relu", start="identity"),
    "LSTM, forget bias 0": {"cell": {"type": "lstm", "forget_bias": 0.0}},
    "LSTM, forget bias 1": {"cell": "lstm"},
    "LSTM, forget bias 4": {"cell": {"type": "lstm", "forget_bias": 4.0}},
    "GRU": {"cell": "gru"},
    "minGRU": {"cell": "mingru"},
    "minGRU, update bias -4": {"cell": {"type": "mingru", "update_bias": -4.0}},
    "sLSTM": {"cell": "slstm"},
    "mLSTM": {"type": "mlstm", "layers": 1},
    "convolution, 1 layer": {"type": "convolutional", "layers": 1},
    "convolution, 2 layers": {"type": "convolutional", "layers": 2},
    "convolution, 4 layers": {"type": "convolutional", "layers": 4},
    "Transformer, window 8": {"type": "transformer", "layers": 2, "block": "vaswani2017", "window": 8},
    "Transformer": {"type": "transformer", "layers": 2, "block": "vaswani2017"},
}
"""Chosen before anything was measured: those of docs/vanishing.md, and beside them what reads a fixed field."""


def settings_of(encoder: Mapping[str, Any]) -> dict[str, Any]:
    own = {"hidden_size": WIDTH, "embedding_size": WIDTH, "bidirectional": False, "dropout": 0.0, **encoder}
    return own if "type" not in encoder else {**own, "summary": "last"}


Drawn = tuple[Steps, torch.Tensor]
"""Steps of as many rows as wanted, and the right answer of each."""


def recall(lag: int, rows: int, random: torch.Generator) -> Drawn:
    right = torch.randint(KINDS, (rows, 1), generator=random)
    noise = torch.randint(KINDS, (rows, lag), generator=random) + KINDS
    return _steps(torch.cat([right, noise], 1)), right.squeeze(1)


def adding(lag: int, rows: int, random: torch.Generator) -> Drawn:
    numbers = torch.randint(KINDS, (rows, lag + 1), generator=random)
    marked = torch.zeros_like(numbers)
    marked[:, 0] = 1
    marked.scatter_(1, torch.randint(1, lag + 1, (rows, 1), generator=random), 1)
    return _steps(numbers + KINDS * marked), (numbers * marked).sum(1)


def _steps(kinds: torch.Tensor) -> Steps:
    return Steps((kinds + FIRST).flatten().int(), Layout.equal(*kinds.shape))


class Task(NamedTuple):
    """What is learnt: examples of a lag, how many answers there are, and updates at most."""

    drawn: Callable[[int, int, torch.Generator], Drawn]
    answers: int
    updates: int


TASKS = {"recall": Task(recall, KINDS, 400), "adding": Task(adding, 2 * KINDS - 1, 800)}


def trained(reader: Encoder, task: Task, lag: int, rate: float, updates: int | None = None) -> nn.Module:
    """What answers from the vector of the last step, trained together with this encoder."""
    random = torch.Generator().manual_seed(1)
    answer = nn.Linear(WIDTH, task.answers)
    parameters = [*reader.parameters(), *answer.parameters()]
    optimizer = torch.optim.Adam(parameters, rate)
    hits: list[float] = []
    for _ in range(updates or task.updates):
        steps, right = task.drawn(lag, ROWS, random)
        logits = answer(reader.encode(steps).summary)
        hits = [*hits[1 - WINDOW :], float((logits.argmax(1) == right).float().mean())]
        if len(hits) == WINDOW and sum(hits) >= SURE * WINDOW:
            break
        optimizer.zero_grad()
        functional.cross_entropy(logits, right).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    return answer


def accuracy(encoder: Mapping[str, Any], task: Task, lag: int, rate: float) -> float:
    """Of a model trained on this lag, on new examples."""
    torch.manual_seed(0)
    settings = settings_of(encoder)
    spec = Symbols(FIRST + 2 * KINDS, 0, 1, 2)
    reader = registry.make("encoders", settings.pop("type", "recurrent"), [spec], settings)
    answer = trained(reader, task, lag, rate)
    with torch.no_grad():
        steps, right = task.drawn(lag, TESTED, torch.Generator().manual_seed(2))
        return float((answer(reader.encode(steps).summary).argmax(1) == right).float().mean())


def failure(encoder: Mapping[str, Any], task: Task) -> tuple[int | None, dict[str, float]]:
    """The first lag at which it fails, and the best accuracy at each lag up to there."""
    best: dict[str, float] = {}
    for lag in LAGS:
        for rate in RATES:
            best[str(lag)] = max(best.get(str(lag), 0.0), accuracy(encoder, task, lag, rate))
            if best[str(lag)] >= ENOUGH:
                break
        else:
            return lag, best
    return None, best


def letters() -> list[str]:
    draw = random.Random(1)
    return ["".join(draw.choices("abcdefghijklmnop", k=LENGTH)) for _ in range(PROBED)]


def horizon_of(finding: Finding) -> int | None:
    """The lag from which on the gradient by the embedded input stays below the share; None: not within the texts."""
    assert isinstance(finding, GradientFinding)
    (reach,) = [each for each in finding.reaches if (each.of, each.layer, each.later) == (STATE, 0, False)]
    return reach.horizon


def at_start(encoder: Mapping[str, Any]) -> dict[str, int | None]:
    """The horizon before training, by share."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "letters.txt"
        file.write_text("\n".join(letters()) + "\n", encoding="utf-8")
        recipe = from_arguments(
            {"text": {"type": "text", "tokenizer": "char", "encoder": settings_of(encoder)}},
            {"next": {"of": "text", "align": "next"}},
            data={"train": str(file), "valid": str(file)},
        )
        found = {}
        for share in SHARES:
            options = {"share": share, "positions": 1}
            found[str(share)] = horizon_of(api.probe(recipe, "gradients", rows=PROBED, options=options, device="cpu"))
        return found


def later(encoder: Mapping[str, Any], updates: int | None) -> dict[str, int | None]:
    """The horizon after so many updates on recall over the shortest lag, or once it is learnt, by share."""
    subject = subject_of(settings_of(encoder), letters())
    assert int(subject.batch.inputs["text"].values.min()) == FIRST
    reader = subject.graph.encoder("text").requires_grad_(True)
    trained(reader, TASKS["recall"], LAGS[0], RATES[0], updates)
    reader.requires_grad_(False)
    return {str(share): horizon_of(Gradients(share=share, positions=1).look(subject)) for share in SHARES}


def rank_correlation(pairs: Sequence[tuple[int | None, int | None]]) -> dict[str, float]:
    """Spearman's, its interval and its p, of horizons and failures; None is the largest."""
    from scipy.stats import rankdata

    x, y = (np.array([np.inf if value is None else value for value in part]) for part in zip(*pairs))

    def correlation(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])

    draw, samples = np.random.default_rng(0), []
    while len(samples) < SAMPLES:
        chosen = draw.integers(len(x), size=len(x))
        if len(set(x[chosen])) > 1 and len(set(y[chosen])) > 1:
            samples.append(correlation(x[chosen], y[chosen]))
    value = correlation(x, y)
    ranks, others = rankdata(x) - rankdata(x).mean(), rankdata(y) - rankdata(y).mean()
    shuffled = draw.permuted(np.tile(others, (ORDERS, 1)), axis=1) @ ranks
    p = (1 + int((shuffled >= others @ ranks - 1e-9).sum())) / (ORDERS + 1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return {"spearman": round(value, 3), "low": round(float(low), 3), "high": round(float(high), 3), "p": round(p, 5)}


def summary(models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The ranking of each task by the horizon of each moment."""

    def of(task: str, when: str, chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        by_share = {
            str(share): rank_correlation(
                [(model["horizon"][when][str(share)], model["failure"][task]) for model in chosen.values()]
            )
            for share in SHARES
        }
        return {"models": len(chosen), **by_share.pop(str(SHARE)), "other_shares": by_share}

    passing = {name: model for name, model in models.items() if model["horizon"][START][str(SHARE)] != 1}
    return {
        task: {
            **{when: of(task, when, models) for when in MOMENTS},
            f"{START}, models above 1": of(task, START, passing),
        }
        for task in TASKS
    }


def called(task: str, when: str, numbers: Mapping[str, Any]) -> str:
    """The finding in a sentence."""
    interval = f"{numbers['spearman']:.2f} [{numbers['low']:.2f}, {numbers['high']:.2f}]"
    return f"The horizon {when} ranks {numbers['models']} models as their failures at {task} do: Spearman {interval}"


def draw(models: Mapping[str, Mapping[str, Any]], ranking: Mapping[str, Mapping[str, Any]]) -> None:
    from ostinato.probes.pictures import drawable, picture

    beyond = 1.5 * LENGTH, 1.5 * LAGS[-1]
    with picture(PICTURE, (11, 8), 2, 2) as (figure, all_axes):
        cases = [(task, when) for task in TASKS for when in (START, FIRST_UPDATE)]
        for axes, (task, when) in zip(all_axes, cases):
            for place, (name, model) in enumerate(models.items()):
                x, y = model["horizon"][when][str(SHARE)] or beyond[0], model["failure"][task] or beyond[1]
                axes.plot(x, y, marker="osD^vPX*"[place % 8], linestyle="", label=name, alpha=0.7)
            axes.axvline(LENGTH, color="0.6", linestyle=":", linewidth=1)
            axes.axhline(1.2 * LAGS[-1], color="0.6", linestyle=":", linewidth=1)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel(f"memory horizon {when} (right of the line: over {LENGTH - 1} steps)", fontsize=8)
            axes.set_ylabel(f"first lag that is not learnt (above the line: over {LAGS[-1]})", fontsize=8)
            axes.set_title(f"{task}: Spearman {ranking[task][when]['spearman']:.2f}", fontsize=9)
        all_axes[1].legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
        figure.suptitle(drawable("The memory horizon of a model, and the lag at which it fails to learn"), fontsize=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", action="store_true", help="measures all models anew")
    again = parser.parse_args().again
    torch.set_num_threads(1)
    kept = {} if again or not RESULT.is_file() else json.loads(RESULT.read_text(encoding="utf-8"))["models"]
    models = {name: dict(kept.get(name, {})) for name in MODELS}
    for name, encoder in MODELS.items():
        model, begun = models[name], time.process_time()
        known = model.setdefault("horizon", {})
        if START not in known:
            known[START] = at_start(encoder)
        for when, updates in LATER.items():
            if when not in known:
                known[when] = later(encoder, updates)
        failures, accuracies = model.setdefault("failure", {}), model.setdefault("accuracy", {})
        for called_task, task in TASKS.items():
            if called_task not in failures:
                failures[called_task], accuracies[called_task] = failure(encoder, task)
        print(name, known, failures, flush=True)
        spent = model.get("processor_seconds", 0.0) + time.process_time() - begun
        model["processor_seconds"] = round(spent, 1)
        measured = {name: model for name, model in models.items() if model.get("failure")}
        write(RESULT, as_json({"models": measured}) + "\n")
    ranking, about = summary(models), surroundings("cpu")
    machine = {name: about[name] for name in ("processor", "capability", "torch")} | {"threads": 1}
    about = {"machine": machine, "date": datetime.now(UTC).date().isoformat(), "command": "benchmarks/horizon.py"}
    write(RESULT, as_json({"ranking": ranking, "models": models, **about}) + "\n")
    draw(models, ranking)
    for task, moments in ranking.items():
        print(*(called(task, when, numbers) for when, numbers in moments.items()), sep="\n")


if __name__ == "__main__":
    main()
