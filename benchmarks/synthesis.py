"""Whether synthetic digits are understood: python benchmarks/synthesis.py SYNTHESIS RECOGNISER --data-root DIR.

The first is a run of recipes/spoken-digit-synthesis.yaml, the second one of recipes/spoken-digits.yaml.

synthetic    share of synthetic digits, ten of each speaker and digit, that the recogniser reads as what was meant
recorded     share of the real recordings of the split that a recogniser reads that learnt from synthetic digits alone

Both in percent, with their 95 % intervals by Wilson, as the outputs of docs/results/*.json are; shares by digit and by
speaker go to standard error. The second recogniser has the recipe of the first; its epoch is chosen by synthetic digits
too, and the digits that teach it vary more. `--picture FILE.png` draws the spectrum of one recording of each digit
above that of a synthetic one by the same speaker; `--wav FILE` keeps one sound of each.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ostinato import api
from ostinato.evaluation.draws import wilson

RECIPE = Path(__file__).parent.parent / "recipes" / "spoken-digits.yaml"
TEACH = ("search.bias=1",)


def pairs_of(manifest):
    """Each digit by each speaker, and a recording of it."""
    with open(manifest, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return rows, {(row["digit"], row["speaker"]): row["clip:file"] for row in reversed(rows)}


def spoken(run, pairs, count, seed, sets):
    """`count` wav files of each pair, pair by pair."""
    audio = run.modalities["outputs.clip"]
    rows = [{"digit": digit, "speaker": speaker} for digit, speaker in pairs]
    predictions = api.predict(run, rows=rows, n_best=count, seed=seed, sets=sets)
    return [[audio.render([answer.value], ".wav") for answer in each.outputs["clip"]] for each in predictions]


def recognised(run, clips):
    return [each.outputs["digit"][0].value for each in api.predict(run, rows=[{"clip": clip} for clip in clips])]


def write(folder, pairs, clips):
    folder.mkdir()
    lines, number = ["clip:file,digit,speaker"], 0
    for (digit, speaker), own in zip(pairs, clips):
        for clip in own:
            (folder / f"{number:04}.wav").write_bytes(clip)
            lines.append(f"{number:04}.wav,{digit},{speaker}")
            number += 1
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def teaching(run, pairs, count, sets, real, folder_of_real):
    with tempfile.TemporaryDirectory() as place:
        for seed, (part, number) in enumerate((("train", count), ("valid", 2)), 100):
            write(Path(place) / part, pairs, spoken(run, pairs, number, seed, sets))
        data = [f"data.{part}={place}/{part}" for part in ("train", "valid")] + ["data.test=null"]
        options = [option for value in data for option in ("--set", value)]
        command = [sys.executable, "-m", "ostinato", "train", str(RECIPE), *options, "--run", f"{place}/run"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        learnt = api.loaded_runs(Path(place) / "run", "cpu")[0]
        clips = [(folder_of_real / row["clip:file"]).read_bytes() for row in real]
        answers = recognised(learnt, clips)
    return [answer == row["digit"] for answer, row in zip(answers, real)]


def share(right):
    low, high = wilson(sum(right), len(right))
    ends = {"value": 100 * float(np.mean(right)), "low": 100 * low, "high": 100 * high}
    return {"understood": {**ends, "method": f"wilson over {len(right)} examples"}}


def picture(file, run, pairs, clips, real, folder):
    from matplotlib.figure import Figure

    audio = run.modalities["outputs.clip"]
    shown = [next(place for place, (digit, _) in enumerate(pairs) if digit == str(number)) for number in range(10)]
    figure = Figure(figsize=(20, 5), layout="constrained")
    for column, place in enumerate(shown):
        recording = (folder / real[pairs[place]]).read_bytes()
        for row, (clip, name) in enumerate(((recording, "recorded"), (clips[place][0], "synthetic"))):
            axes = figure.add_subplot(2, 10, 1 + row * 10 + column)
            axes.imshow(audio.frames(clip).T, origin="lower", aspect="auto", vmin=-14, vmax=6)
            axes.set_title(f"{' '.join(pairs[place])}, {name}", fontsize=8)
            axes.set_xticks([]), axes.set_yticks([])
    figure.savefig(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("synthesis", type=Path)
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--split", default="valid", choices=("valid", "test"), help="whose recordings are real ones")
    parser.add_argument("--count", type=int, default=10, help="of each digit and speaker")
    parser.add_argument("--teach", type=int, default=20, help="of each for the second recogniser; 0: leave it out")
    parser.add_argument("--set", dest="sets", action="append", default=[], help="of the search, as predict takes them")
    parser.add_argument("--teach-set", action="append", help=f"the same of the digits that teach (default {TEACH[0]})")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--wav", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run, recogniser = (api.loaded_runs(folder, "cpu")[0] for folder in (given.synthesis, given.recogniser))
    folder = given.data_root / "prepared-spoken-digits" / given.split
    real, by_pair = pairs_of(folder / "manifest.csv")
    pairs = sorted(by_pair)
    clips = spoken(run, pairs, given.count, 0, given.sets)
    heard = recognised(recogniser, [clip for own in clips for clip in own])
    meant = [digit for digit, _ in pairs for _ in range(given.count)]
    right = np.array([answer == digit for answer, digit in zip(heard, meant)])
    result = {"synthetic": share(right.tolist())}
    for place, noun in ((0, "digit"), (1, "speaker")):
        names = np.array([pair[place] for pair in pairs for _ in range(given.count)])
        by_name = {str(name): round(float(right[names == name].mean()), 3) for name in np.unique(names)}
        print(f"by {noun}: {by_name}", file=sys.stderr, flush=True)
    if given.wav is not None:
        given.wav.write_bytes(
            run.modalities["outputs.clip"].render([clip for own in clips for clip in own[:1]], ".wav")
        )
    if given.picture is not None:
        picture(given.picture, run, pairs, clips, by_pair, folder)
    if given.teach:
        result["recorded"] = share(teaching(run, pairs, given.teach, given.teach_set or TEACH, real, folder))
    print(json.dumps(result, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
