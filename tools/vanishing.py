"""Makes docs/vanishing.md: gradients that vanish and explode, and what cures them, measured by `probe gradients`.

python tools/vanishing.py             probes and trains (a minute on one core), writes the page and its pictures
python tools/vanishing.py --render    writes the page from the numbers in docs/vanishing.json
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ostinato import api, files
from ostinato.errors import OstinatoError
from ostinato.probes.kinds.gradients import STATE, GradientFinding, Reach
from ostinato.recipe.read import from_arguments

HOME = Path(__file__).resolve().parent.parent
DOCS = HOME / "docs"
PAGE, NUMBERS, RANKING = DOCS / "vanishing.md", DOCS / "vanishing.json", DOCS / "horizon.json"
LETTERS, LENGTH, WIDTH, ROWS = "abcdefgh", 128, 64, 8
LAGS = (2, 10, 50, 100)
SHARE = 0.01


class Section(NamedTuple):
    """Settings that are compared.

    Args:
        name: of the picture.
        head: of the section.
        text: what is compared, and why.
        encoders: the settings of the encoder by their name in table and picture.
    """

    name: str
    head: str
    text: str
    encoders: Mapping[str, Mapping[str, Any]]


def rnn(**settings: Any) -> dict[str, Any]:
    return {"cell": {"type": "rnn", **settings}}


SECTIONS = (
    Section(
        "radius",
        "Spectral radius",
        "The gradient that goes k steps back is multiplied k times by the recurrent weights and by the slope of the "
        "activation. So it falls or grows as a power of k. With relu, which has no upper bound, a radius of 8 makes "
        "states and gradients leave the 32-bit numbers.",
        {
            "tanh, radius 0.5": rnn(spectral_radius=0.5),
            "tanh, radius 0.9": rnn(spectral_radius=0.9),
            "tanh, radius 1.2": rnn(spectral_radius=1.2),
            "relu, radius 0.5": rnn(activation="relu", spectral_radius=0.5),
            "relu, radius 2": rnn(activation="relu", spectral_radius=2.0),
            "relu, radius 8": rnn(activation="relu", spectral_radius=8.0),
        },
    ),
    Section(
        "start",
        "Initialisation and activation",
        "torch's uniform start has a radius of about 0.58 (1 / sqrt(3)). An orthogonal matrix keeps all lengths, "
        "so that only the slope of the activation is left; relu with the identity (Le 2015) keeps what is above 0 "
        "as it is.",
        {
            "tanh, uniform": rnn(),
            "tanh, orthogonal": rnn(start="orthogonal"),
            "relu, uniform": rnn(activation="relu"),
            "relu, orthogonal": rnn(activation="relu", start="orthogonal"),
            "relu, identity": rnn(activation="relu", start="identity"),
        },
    ),
    Section(
        "gates",
        "Gates",
        "A gate that is open passes the state on without a product: its gradient is that of the gate. How far it "
        "reaches at the start of training is then a matter of the gate's bias, and of how the sizes of a linear "
        "recurrence are drawn.",
        {
            "LSTM, forget bias 0": {"cell": {"type": "lstm", "forget_bias": 0.0}},
            "LSTM, forget bias 1": {"cell": "lstm"},
            "LSTM, forget bias 4": {"cell": {"type": "lstm", "forget_bias": 4.0}},
            "GRU": {"cell": "gru"},
            "minGRU, update bias -4": {"cell": {"type": "mingru", "update_bias": -4.0}},
            "sLSTM": {"cell": "slstm"},
            "LRU": {"cell": "lru"},
        },
    ),
    Section(
        "architectures",
        "Without a recurrence",
        "A convolution and a Transformer hand no state on. The way from a step to one long before has as many links as "
        "there are layers, whatever the distance: a convolution's gradient ends where its receptive field ends, a "
        "Transformer's does not fall with the distance. s is the embedded input here, of the recurrences too.",
        {
            "RNN": rnn(),
            "LSTM": {"cell": "lstm"},
            "GRU": {"cell": "gru"},
            "convolution, 4 layers": {"type": "convolutional", "layers": 4, "bidirectional": False},
            "Transformer, 2 layers": {
                "type": "transformer", "layers": 2, "block": "vaswani2017", "bidirectional": False
            },
        },
    ),
)  # fmt: skip
INPUTS = ("architectures",)
"""Sections whose gradients are those by the embedded input."""
DEPTHS = (1, 2, 4, 8)
CLIPPED = {
    "clip_norm: none": None,
    "clip_norm: 1": 1.0,
}


def recipe(encoder: Mapping[str, Any], folder: Path, **training: Any):
    own = {"hidden_size": WIDTH, **({"bidirectional": False} if "type" not in encoder else {}), **encoder}
    return from_arguments(
        {"text": {"type": "text", "tokenizer": "char", "encoder": own}},
        {"next": {"of": "text", "align": "next"}},
        data={"train": str(folder / "letters.txt"), "valid": str(folder / "letters.txt")},
        training={"epochs": 1, **training},
    )


def written(folder: Path) -> None:
    """Letters drawn at random: what a model can learn of them does not matter before training."""
    draw = random.Random(1)
    lines = ["".join(draw.choices(LETTERS, k=LENGTH)) for _ in range(64)]
    (folder / "letters.txt").write_text("\n".join(lines) + "\n")


def probed(encoder: Mapping[str, Any], folder: Path) -> GradientFinding:
    options = {"share": SHARE, "positions": 1}
    finding = api.probe(recipe(encoder, folder), "gradients", rows=ROWS, options=options, device="cpu")
    assert isinstance(finding, GradientFinding)
    return finding


def reach_of(finding: GradientFinding, layer: int, of: str = STATE) -> Reach:
    return next(
        reach
        for reach in finding.reaches
        if reach.of == of and reach.layer == layer and not reach.later and reach.place.startswith("inputs")
    )


def row(reach: Reach) -> dict[str, Any]:
    shares = [float(f"{median:.4g}") for _, median, _ in reach.shares[: reach.reached + 1]]
    return {"horizon": reach.horizon, "reached": reach.reached, "shares": shares}


def measured() -> dict[str, Any]:
    """All numbers of the page."""
    numbers: dict[str, Any] = {"sections": {}, "depth": {}, "clipping": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder)
        for section in SECTIONS:
            layer = 0 if section.name in INPUTS else 1
            numbers["sections"][section.name] = {
                called: row(reach_of(probed(encoder, folder), layer)) for called, encoder in section.encoders.items()
            }
            print(section.name, flush=True)
        for residual in (False, True):
            norms = {}
            for depth in DEPTHS:
                encoder = {**rnn(), "layers": depth, "embedding_size": WIDTH, "residual": residual}
                finding = probed(encoder, folder)
                norms[str(depth)] = [reach_of(finding, 1 + at, "loss").norms[0][1] for at in range(depth)]
            numbers["depth"]["with skip connections" if residual else "without"] = norms
        for called, clip_norm in CLIPPED.items():
            numbers["clipping"][called] = trained(clip_norm, folder)
    return numbers


def trained(clip_norm: float | None, folder: Path) -> str:
    """What a short training of an RNN that explodes comes to."""
    training = {"epochs": 5, "batch_rows": 16, "clip_norm": clip_norm}
    training |= {"optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.0}, "schedule": "constant"}
    encoder = rnn(activation="relu", spectral_radius=1.5)
    try:
        run = api.fit(recipe(encoder, folder, **training), folder / f"run-{clip_norm}", device="cpu")
    except OstinatoError as why:
        return str(why).splitlines()[0].replace(str(folder), "FOLDER")
    curve = api.curve_of(run)
    assert curve is not None
    losses = [event["valid.loss"] for event in curve.validated()]
    return f"validation loss {losses[0]:.3f} after the first epoch, {losses[-1]:.3f} after {len(losses)}"


def share_of(shares: Sequence[float], lag: int) -> str:
    if lag >= len(shares):
        return ""
    value = shares[lag]
    return "not finite" if value is None else f"{value:.2g}"


def horizon_of(numbers: Mapping[str, Any]) -> str:
    return f"> {numbers['reached']}" if numbers["horizon"] is None else str(numbers["horizon"])


def finding_of(section: Section, numbers: Mapping[str, Mapping[str, Any]]) -> str:
    """What a comparison shows, in a sentence: the shortest and the longest horizon."""

    def far(called: str) -> tuple[float, float]:
        own = numbers[called]
        if own["horizon"] is not None:
            return own["horizon"], 0.0
        return float("inf"), float("inf") if own["shares"][-1] is None else own["shares"][-1]

    least, most = min(section.encoders, key=far), max(section.encoders, key=far)
    far_off = numbers[most]["horizon"]
    last = f"not within {numbers[most]['reached']}" if far_off is None else f"from {far_off}"
    first = f"{least} from {numbers[least]['horizon']} steps back on"
    return f"Below {SHARE:.0%} of that one step back: {first}, {most} {last}"


def draw(numbers: Mapping[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    from ostinato.probes.pictures import drawable, picture

    for section in SECTIONS:
        own = numbers["sections"][section.name]
        with picture(DOCS / f"vanishing_{section.name}.png", (7.2, 4.2)) as (_, (axes,)):
            for called in section.encoders:
                shares = [share if share and share < 1e38 else float("nan") for share in own[called]["shares"]]
                axes.plot(range(len(shares)), shares, label=f"{called}: horizon {horizon_of(own[called])}")
            axes.axhline(SHARE, color="0.6", linestyle=":", linewidth=1)
            axes.set_yscale("log")
            axes.set_ylim(1e-12, 1e12 if section.name == "radius" else 1e3)
            axes.set_xlabel("lag k (steps)")
            axes.set_ylabel("|d y[t] / d s[t-k]| as a share of that one step away")
            axes.set_title(drawable(finding_of(section, own)), fontsize=9, wrap=True)
            axes.legend(frameon=False, fontsize=8)
    with picture(DOCS / "vanishing_depth.png", (7.2, 4.2)) as (_, (axes,)):
        for kind, norms in numbers["depth"].items():
            for depth, by_layer in list(norms.items())[1:]:
                style = {"linestyle": "-" if kind.startswith("with ") else "--", "marker": "."}
                axes.plot(range(1, len(by_layer) + 1), by_layer, label=f"{depth} layers, {kind}", **style)
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("layer, from the input up")
        axes.set_ylabel("|d loss[t] / d s[t]|")
        axes.set_title(drawable(depth_finding(numbers["depth"])), fontsize=9, wrap=True)
        axes.legend(frameon=False, fontsize=8)


def depth_finding(depth: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    deepest = str(DEPTHS[-1])
    fall = {kind: norms[deepest][0] / norms[deepest][-1] for kind, norms in depth.items()}
    without, skips = fall["without"], fall["with skip connections"]
    return f"Of {deepest} layers the lowest gets {without:.2g} of the top's gradient, with skip connections {skips:.2g}"


def ranking(kept: Mapping[str, Any]) -> list[str]:
    """The section on what benchmarks/horizon.py measured."""
    models = kept["models"]
    moments, tasks = list(next(iter(models.values()))["horizon"]), list(kept["ranking"])
    longest = max(int(lag) for model in models.values() for of_task in model["accuracy"].values() for lag in of_task)
    lines = [
        "## Does the horizon tell what is learnt?",
        "",
        "A model reads symbols and answers at its last step. *Recall*: which of 8 symbols was the first, before all",
        "the noise? *Adding*: what is the sum of two of the numbers, the first and another one that is marked? For",
        f"lags from 4 to {longest} it is trained from scratch, 400 and 800 updates of 32 examples at each of two",
        "rates, until it fails: until its accuracy on new examples is below 0.9. Its horizon, that of the gradient by",
        "the embedded input on random letters, is set beside the lag at which it fails. Measured once, by",
        "`python benchmarks/horizon.py`; models, recall, threshold and the first row were chosen before, the other",
        "rows once it was seen, adding later. Rank correlations (Spearman) with 95 % intervals over the choice of",
        "models:",
        "",
        f"| task | horizon | models | threshold {SHARE:g} | 0.1 | 0.001 |",
        "|---|---|---|---|---|---|",
    ]
    for task, by_moment in kept["ranking"].items():
        for when, value in by_moment.items():
            interval = f"{value['spearman']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
            others = " | ".join(f"{other['spearman']:.2f}" for other in value["other_shares"].values())
            lines.append(f"| {task} | {when} | {value['models']} | {interval} | {others} |")
    return [
        *lines,
        "",
        "Before training the mLSTM passes nothing on, since the last maps of its layers begin at zero, and has a",
        "horizon of 1 though it learns to recall at every lag: that one model lowers the first row. One update mends",
        "it, and moves the others little. Training stretches horizons: models that have learnt to recall over 4 steps",
        "have others, often longer than the lag at which they fail. So look before training, or soon after its start.",
        "",
        "Adding is ranked less well: with twice the updates, and a second number that is near in many examples, gates",
        "that are nearly shut before training open, and a GRU whose horizon was 11 learns 128 steps. Recurrences",
        "without gates, convolutions and windows of attention fail soon after their horizon, or before.",
        "",
        "![Horizon and failure](vanishing_ranking.png)",
        "",
        f"| model | {' | '.join(moments)} | {' | '.join(f'first lag not learnt: {task}' for task in tasks)} |",
        f"|---|{'---|' * (len(moments) + len(tasks))}",
        *(
            f"| {name} | {' | '.join(_or_beyond(model['horizon'][when][str(SHARE)], 191) for when in moments)} | "
            f"{' | '.join(_or_beyond(model['failure'][task], longest) for task in tasks)} |"
            for name, model in models.items()
        ),
        "",
    ]


def _or_beyond(value: int | None, most: int) -> str:
    return f"> {most}" if value is None else str(value)


def page(numbers: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    lines = [
        "# Vanishing and exploding gradients",
        "",
        "Every number and picture here, but those of the section on what is learnt, is made by",
        "`python tools/vanishing.py`, which calls `ostinato probe gradients` on models before training:",
        f" {ROWS} texts of {LENGTH} random letters, {WIDTH} wide, one layer where nothing",
        "else is said. On your own model, before and after training:",
        "",
        "```console",
        "$ ostinato probe gradients RECIPE --picture start.png",
        "$ ostinato probe gradients RUN --picture end.png",
        "$ ostinato probe gradients RUN --at start --json",
        "```",
        "",
        "A share is the median norm of d y[t] / d s[t-k] (y the encoder's vector of a step, s all states of the",
        "recurrence) divided by that one step away. The memory horizon is the lag from which on it stays",
        f"below {SHARE:g}.",
        "",
    ]
    for section in SECTIONS:
        own = numbers["sections"][section.name]
        lines += [f"## {section.head}", "", section.text, "", f"![{section.head}](vanishing_{section.name}.png)", ""]
        lines += [
            f"| encoder | horizon | {' | '.join(f'k = {lag}' for lag in LAGS)} |",
            f"|---|---|{'---|' * len(LAGS)}",
            *(
                f"| {called} | {horizon_of(row)} | {' | '.join(share_of(row['shares'], lag) for lag in LAGS)} |"
                for called, row in own.items()
            ),
            "",
        ]
    lines += [
        "## Depth and skip connections",
        "",
        "Layers on top of each other are a way back too, with a product each. `residual: true` adds a layer's input to",
        f"its output: a way without a product. {depth_finding(numbers['depth'])}.",
        "",
        "![Depth](vanishing_depth.png)",
        "",
        "## Clipping",
        "",
        "An RNN with relu and a spectral radius of 1.5, 5 epochs of plain gradient descent at a rate of 0.1. Clipping",
        "the norm of all gradients (`training.clip_norm`, 1 by default) keeps the direction of a step and bounds its",
        "length (Pascanu 2013). It cures what explodes, not what vanishes: 0 times any factor is 0.",
        "",
        "| | what became of it |",
        "|---|---|",
        *(f"| `{called}` | {outcome} |" for called, outcome in numbers["clipping"].items()),
        "",
        *ranking(kept),
        "## What helps",
        "",
        "| what | in a recipe |",
        "|---|---|",
        "| clipping | `training: {clip_norm: 1.0}` |",
        "| an orthogonal start, or relu with the identity | `cell: {type: rnn, activation: relu, start: identity}` |",
        "| gates, open at the start | `cell: {type: lstm, forget_bias: 4.0}` |",
        "| a linear recurrence whose sizes are drawn near 1 | `cell: {type: lru, smallest: 0.9, largest: 0.999}` |",
        "| skip connections between layers | `encoder: {layers: 4, residual: true}` |",
        "| a way that does not grow with the distance | `encoder: transformer` |",
        "",
        "Source: Bengio, Simard and Frasconi 1994, doi:10.1109/72.279181; Pascanu, Mikolov and Bengio 2013,",
        "arXiv:1211.5063; Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; Le, Jaitly and Hinton 2015,",
        "arXiv:1504.00941.",
    ]
    return "\n".join(lines) + "\n"


def load(path: Path = NUMBERS) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true", help="from the numbers that there are")
    if not parser.parse_args().render:
        numbers = measured()
        files.write(NUMBERS, files.as_json(numbers) + "\n")
    draw(load())
    files.write(PAGE, page(load(), load(RANKING)))
    print(PAGE.relative_to(HOME))
    return 0


if __name__ == "__main__":
    sys.exit(main())
