"""Recipes, rows and the way in which the advice on a recipe is followed."""

import copy
import json
import random
import wave
from functools import partial

import pytest

from ostinato.model.graph import Graph
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.paths import parse_set
from ostinato.recipe.read import from_arguments
from ostinato.recipe.yaml_text import parse_yaml
from tests.advice import follow

CLASSIFY = "{inputs: {text: {type: text, tokenizer: word}}, outputs: {label: {type: category}}}"
TWO = "{inputs: {text: {type: text}, other: {type: text}}, outputs: {label: {type: category}}}"
TAG = "{inputs: {words: {type: tokens}}, outputs: {tags: {type: tags}}}"
TRANSLATE = "{inputs: {text: {type: text, tokenizer: word}}, outputs: {answer: {type: text, tokenizer: word}}}"
NEXT = "{inputs: {text: {type: text, tokenizer: word}}, outputs: {rest: {of: text}}}"
FORECAST = (
    "{data: {train: days.csv, time: day, split: {valid: 6}}, inputs: {load: {type: series}},"
    " outputs: {ahead: {of: load, horizon: 2, lookback: 4}}}"
)
BASES = {"classify": CLASSIFY, "two": TWO, "tag": TAG, "translate": TRANSLATE, "next": NEXT, "forecast": FORECAST}


def changed(plain, changes):
    """`path=value` is set, `-path` is taken out; a bare name on the way is opened."""
    for change in changes.split(" ; "):
        path, value = parse_set(change) if not change.startswith("-") else (change[1:], None)
        *way, last = path.split(".")
        place = plain
        for key in way:
            if isinstance(place.get(key), str):
                place[key] = {"type": place[key]}
            place = place.setdefault(key, {})
        if change.startswith("-"):
            del place[last]
        else:
            place[last] = value
    return plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    draw = random.Random(1)
    rows = []
    for _ in range(20):
        words = draw.choices("red green blue black white".split(), k=draw.randint(3, 6))
        rows.append(
            {
                "text": " ".join(words),
                "other": " ".join(draw.choices(words, k=3)),
                "words": words,
                "tags": [word[0].upper() for word in words],
                "answer": " ".join(words[::-1]),
                "label": draw.choice("ab"),
                "kind": draw.choice("xy"),
                "size": len(words) / 2,
                "sizes": [float(len(word)) for word in words],
                "roll": [[60, 64], [62]],
                "tune": "X:1\nM:2/4\nK:G\nGBdB|",
                "joined": "".join(words),
                "marks": list("".join(words)),
                "pen": [[1, 0, 0], [0, 1, 1], [2, 1, 1]],
                "one": "a",
                "empty": "",
            }
        )
    folder = tmp_path_factory.mktemp("advice")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    unseen = [{**row, "label": "c", "tags": ["Z"] * len(row["words"])} for row in rows[:4]]
    (folder / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in unseen))
    bare = [{**row, "label": None} for row in rows[:4]]
    (folder / "bare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bare))
    for name, vectors in {
        "vectors": "red 1 2\ngreen 2 1\n",
        "others": "rot 1 2\n",
        "bad": "red 1 2\ngreen 2\n",
    }.items():
        (folder / f"{name}.txt").write_text(vectors)
    for column in ("text", "label"):
        (folder / f"{column}.txt").write_text("".join(f"{row[column]}\n" for row in rows))
    days = [f"2023-01-{day:02},{day % 7},{day % 5}" for day in range(1, 31)]
    gap = days[10:25]
    hours = [f"2023-01-{2 + hour // 24:02} {hour % 24:02}:00,{hour % 7},{hour % 5}" for hour in range(30)]
    sites = {name: [f"{day},{site},{kind}" for site, kind in rows for day in days] for name, rows in (
        ("sites", (("a", "x"), ("b", "y"))), ("half", (("a", "x"), ("b", "y"), ("c", "")))
    )}  # fmt: skip
    for name, lines in sites.items():
        (folder / f"{name}.csv").write_text("\n".join(["day,load,heat,site,kind", *lines]) + "\n")
    for name, lines in {
        "days": days,
        "backward": days[::-1],
        "twice": [*days, days[-1]],
        "hours": hours,
        "gap": [day for day in days if day not in gap],
        "filled": [f"{day[:10]},," if day in gap else day for day in days],
    }.items():
        (folder / f"{name}.csv").write_text("\n".join(["day,load,heat", *lines]) + "\n")
    (folder / "latin.csv").write_bytes("text,label\né,a\n".encode() + b"caf\xe9,a\nb,b\n" * 10)
    (folder / "semi.csv").write_text("text;label;a,b\n" + "one;a;\ntwo;b;\n" * 10)
    (folder / "sounds").mkdir()
    (folder / "sounds/manifest.csv").write_text("sound:file,label\n" + "a.wav,a\nb.wav,b\n" * 4)
    for name in "ab":
        with wave.open(str(folder / f"sounds/{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(draw.randbytes(3200))
    return folder


def built(plain):
    """The model of a recipe and the loss of one batch."""
    prepared = prepare(from_arguments(**{"data": {"train": "rows.jsonl"}, **copy.deepcopy(plain)}))
    settings = prepared.recipe.settings
    graph = Graph(settings.inputs, settings.outputs, prepared.modalities)
    graph.freeze(settings.training.freeze)
    examples = prepared.splits["train"]
    batch = examples.fetch(examples.batches(settings.training).epoch(0)[0])
    assert graph.losses(batch) if batch.pieces is None else graph.losses_from(batch, ())


def follow_in_recipe(text, mistake, advice, *ways):
    """A recipe with a mistake is refused with the advice; with each of the ways that it advises it is built."""
    wrong = changed(parse_yaml(text, "advice"), mistake)
    follow(partial(built, wrong), advice, *(partial(built, changed(copy.deepcopy(wrong), way)) for way in ways))
