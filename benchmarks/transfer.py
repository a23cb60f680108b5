"""Does a convolutional net that has seen other labels need fewer pictures? Frozen, fine-tuned and from scratch.

    python benchmarks/transfer.py [--out DIR] [--draws 3]     docs/transfer.json and docs/transfer.png

Pictures are `ostinato.data.shapes`: two to four shapes on grey. The net learns from 6,000 of them how many shapes there
are, which colour most have and which kind is the biggest (recipes/shapes-outputs.yaml, fewer epochs). The new label is
the colour of the biggest shape, on 20, 100 or 500 other pictures; the net then starts from these weights and only the
head is trained (frozen), or all of it (fine-tuned), or all of it starts at random (scratch). All three make the same
number of updates of 16 pictures, at the same rates; the epoch is chosen on 200 pictures, accuracy is of 1,000 others.
Each draw has training pictures and a seed of its own. What was run is kept in DIR and not run again.
"""

import argparse
import io
import json
import random
import statistics
from pathlib import Path
from typing import Any

import ostinato
from ostinato.data import shapes
from ostinato.files import write

HOME = Path(__file__).resolve().parent.parent
NUMBERS, PLOT = HOME / "docs" / "transfer.json", HOME / "docs" / "transfer.png"
SIZES, WAYS = (20, 100, 500), ("frozen", "fine-tuned", "scratch")
PRETRAINED, VALID, TEST, EPOCHS, UPDATES, BATCH, VALIDATIONS = 6000, 200, 1000, 15, 600, 16, 15
ENCODER = {"type": "cnn", "hidden_size": 96, "summary": "max", "dropout": 0}
OPTIMIZER = {"optimizer": {"type": "adamw", "learning_rate": 0.002}, "schedule": {"type": "cosine", "warmup": 30}}


def pictures(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of pictures and of what is asked about them."""
    from PIL import Image

    draw, rows = random.Random(seed), []
    for _ in range(count):
        scene = shapes.scene(draw)
        biggest, file = max(scene, key=lambda shape: shape.radius), io.BytesIO()
        Image.fromarray(shapes.drawn(scene, draw)).save(file, "PNG")
        asked = {"number": str(len(scene)), "most": shapes.most(scene) or None, "kind": biggest.kind}
        rows.append({"picture": file.getvalue(), **asked, "color": biggest.color})
    return rows


def pretrained(folder: Path, valid: list[dict[str, Any]]) -> Path:
    """The run folder of the net that has seen the other labels."""
    if not (folder / "metrics.json").exists():
        training = {"batch_rows": 64, "epochs": EPOCHS, "seed": 1, **OPTIMIZER}
        outputs = {name: {"type": "category", "head": {"dropout": 0.1}} for name in ("number", "most", "kind")}
        model = ostinato.Model({"picture": {"type": "image", "encoder": ENCODER}}, outputs, training=training)
        model.fit(pictures(PRETRAINED, 1), valid, folder=folder, overwrite=True)
    return folder


def accuracy(way: str, train: list[dict[str, Any]], valid: list[dict[str, Any]], test: list[dict[str, Any]],
             start: Path, seed: int) -> float:  # fmt: skip
    epochs = -(-UPDATES * BATCH // len(train))
    training: dict[str, Any] = {"batch_rows": BATCH, "epochs": epochs, "seed": seed, **OPTIMIZER}
    training["validate_every"] = max(1, epochs // VALIDATIONS)
    if way == "frozen":
        training["freeze"] = ["inputs.picture.encoder"]
    model = ostinato.Model(
        {"picture": {"type": "image", "encoder": ENCODER}},
        {"color": {"type": "category", "head": {"dropout": 0.1}}},
        training=training,
        from_=None if way == "scratch" else {"run": str(start), "parts": ["inputs.picture.encoder"]},
    )
    model.fit(train, valid, verbose=0)
    return model.evaluate(test).outputs["color"]["accuracy"].value


def plot(measured: dict[str, dict[str, list[float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for way in WAYS:
        draws = [measured[way][str(size)] for size in SIZES]
        means = [statistics.mean(values) for values in draws]
        spread = [[mean - min(values) for mean, values in zip(means, draws)],
                  [max(values) - mean for mean, values in zip(means, draws)]]  # fmt: skip
        axes.errorbar(SIZES, means, yerr=spread, marker="o", capsize=3, label=way)
    axes.set(xscale="log", xlabel="labelled pictures", ylabel="accuracy, %", ylim=(0, 102))
    axes.set_xticks(SIZES, [str(size) for size in SIZES], minor=False)
    axes.minorticks_off()
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(PLOT, dpi=150, metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--draws", type=int, default=3)
    chosen = parser.parse_args()
    valid, test = pictures(VALID, 2), pictures(TEST, 3)
    start, kept = pretrained(chosen.out / "pretrained", valid), chosen.out / "measured.json"
    measured = json.loads(kept.read_text()) if kept.exists() else {}
    for draw in range(chosen.draws):
        rows = pictures(max(SIZES), 100 + draw)
        for way in WAYS:
            for size in SIZES:
                values = measured.setdefault(way, {}).setdefault(str(size), [])
                if len(values) <= draw:
                    values.append(accuracy(way, rows[:size], valid, test, start, draw + 1))
                    print(f"{way:10} {size:4} pictures, draw {draw + 1}: {values[-1]:.1f} %", flush=True)
                    write(kept, json.dumps(measured))
    about = {"command": "python benchmarks/transfer.py", "draws": chosen.draws, "test": TEST, "accuracy": measured}
    write(NUMBERS, json.dumps(about, indent=1) + "\n")
    plot(measured)


if __name__ == "__main__":
    main()
