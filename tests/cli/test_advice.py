"""What a message of a command recommends, followed: the recommended command works."""

import io
import random
import re
import shlex
import sys
from dataclasses import replace

import pytest

import ostinato
from ostinato import api
from ostinato.errors import OstinatoError
from ostinato.recipe.read import from_arguments
from ostinato.run import bundle as bundles

COMMANDS = r"""
predict RUN | give TEXT, or --input FILE, or --input - | predict RUN ein | predict RUN --input test.tsv
predict RUN ein --input test.tsv | give TEXT or --input, not both | predict RUN ein | predict RUN --input test.tsv
predict RUN test.tsv | did you mean --input test.tsv? | predict RUN --input test.tsv
predict RUN --input tset.tsv | did you mean 'test.tsv'? | predict RUN --input test.tsv
predict RUN ein --n-best 3 | set width: 3 | predict RUN ein --n-best 3 --set search.width=3
predict RUN ein --n-best 3 --set search=greedy | 'greedy' gives one answer; add --set search=beam --set search.width=5
    | predict RUN ein --n-best 3 --set search=beam --set search.width=5
predict RUN ein --set training.epochs=3 | only the search can be changed: search.width=5, search=greedy
    | predict RUN ein --set search.width=5 | predict RUN ein --set search=greedy
predict RUN ein --set num_beams=3 | 'num_beams' of other tools is --set 'search={type: beam, width: 3}'
    | predict RUN ein --set 'search={type: beam, width: 3}'
predict RUN ein --set search=sample --set search.bias=1 | leave bias out, or set temperature below 1
    | predict RUN ein --set search=sample --set search.temperature=0.5
predict RUN ein --set search=greedy --set search.path=true | set head: ctc, without a language model and in no
    ensemble, or leave path out | predict RUN ein --set search=greedy
predict RUN ein --set search.alpha=0.5 --set search.normalization=none | leave alpha out, or take average or gnmt
    | predict RUN ein --set search.normalization=none | predict RUN ein --set search.normalization=gnmt
predict RUN ein --probabilities | needs --output FILE; --json has the probability | predict RUN ein --json
predict RUN ein --output a.jsonl --json | leave out --json and --stream | predict RUN ein --output a.jsonl
predict RUN ein --output a.txt --n-best 2 | leave out --n-best | predict RUN ein --output a.txt
predict RUN ein --output a.ods | give .csv, .jsonl, .parquet, or .txt; spreadsheets open .csv | predict RUN ein
    --output a.csv | predict RUN ein --output a.txt
predict RUN ein --stream --json | leave out --input, --n-best, --attention, --language-model, --words and --json
    | predict RUN ein --json
predict RUN ein --stream | add --set search=sample or --set search=greedy, without --n-best
    | predict RUN ein --stream --set search=sample | predict RUN ein --stream --set search=greedy
predict RUN ein --times | has none; leave it out | predict RUN ein
predict RUN ein --stop qqq | give another stop, or leave it out | predict RUN ein --stop two | predict RUN ein
generate RUN | add that to its recipe and train again, or draw answers with `ostinato predict RUN "" --set
    search=sample --n-best 20` | predict RUN "" --set search=sample --n-best 20
embed RUN | give TEXT, or --input FILE | embed RUN ein | embed RUN --input test.tsv
embed RUN ein --output v.npy | give a name that ends in .csv or .parquet | embed RUN ein --output v.csv | embed RUN
    ein --output v.parquet
embed RUN ein --of dee | did you mean 'de'? | embed RUN ein --of de
evaluate RUN --origins 2 | no series; leave it out | evaluate RUN --split valid
errors RUN --output e.npy | give .csv, .jsonl, .parquet | errors RUN --output e.csv
score RUN --input tset.tsv | did you mean 'test.tsv'? | score RUN --input test.tsv
check tiny.yml | did you mean 'tiny.yaml'? | check tiny.yaml
check train.tsv | `ostinato init train.tsv --recipe train.yaml` looks at it and writes one; put train.yaml
    in its place then | init train.tsv --recipe train.yaml
check tiny.yaml --set training.epocs=3 | did you mean 'epochs' | check tiny.yaml --set training.epochs=3
check tiny.yaml --set training | write PATH=VALUE, such as training.epochs=5 | check tiny.yaml --set training.epochs=5
init train.tsv --in dee | did you mean 'de'? | init train.tsv --in de
init train.tsv --in de:txt | did you mean 'text'? | init train.tsv --in de:text
init train.tsv --in de --in en | name the output | init train.tsv --in de --out en
init train.tsv --out de --out en | name the input | init train.tsv --in de --out en
init train.tsv --recipe tiny.yaml | give another --recipe FILE, or delete it | init train.tsv --recipe other.yaml
init days.csv --forecast lod | did you mean 'load'? | init days.csv --forecast load
init days.csv --out load --in load:number | write --in load | init days.csv --out load --in load
init days.csv --out load | for a forecast write --forecast load; name the inputs by --in COLUMN
    | init days.csv --forecast load | init days.csv --out load --in day
init train.tsv --out de:series | name another column or another type | init train.tsv --out de:text
init train.tsv --in de --out de | name another column, or write a recipe | init train.tsv --in de --out en
init back.csv --forecast load | numbers; sort the rows | init days.csv --forecast load
predict nowhere ein | give the run folder that `ostinato train` prints at its end | predict RUN ein
predict RUN ein --output a.wav | give .csv, .jsonl, .parquet or .txt | predict RUN ein --output a.csv
predict RUN ein --device nope | allowed here: cpu | predict RUN ein --device cpu
check tiny.yaml --set calibration=temperature | are predicted at once; leave it out | check tiny.yaml
train tiny.yaml --run a --resume --overwrite | and --overwrite deletes it; give one of them | train tiny.yaml --run a
    --resume
train tiny.yaml --run a --out b | --run name one run folder; of a recipe's run give one of them, once | train
    tiny.yaml --run a
train tiny.yaml --run tiny.yaml | and is no run; choose another folder: --run DIR | train tiny.yaml --run a
average RUN RUN --last 2 | and several are named; leave it out | average RUN RUN --run mean
predict LOAD --input days.csv --n-best 3 | since it is no label and nothing is searched; leave it out | predict LOAD
    --input days.csv
predict LABELS red --attention a.png | LABELS has none; leave the option out | predict LABELS red
predict TIMES red --times --output a.csv | on standard output; leave out --output, --n-best and --stream | predict
    TIMES red --times
predict RUN ein --language-model LABELS | LABELS continues no text; train one with `ostinato train texts.txt`, whose
    output is what follows | train texts.txt --run lm --set training.epochs=1 | predict RUN ein --language-model NEXT
predict LABELS red --language-model NEXT | and this output is none; leave it out | predict LABELS red
predict LABELS --input named.csv --output o.csv | a column 'label_predicted' already, and predictions need that name;
    rename it, or leave it out | predict LABELS --input labels.csv --output o.csv
predict TWO red | and this needs text, size; give --input FILE, a table (csv, tsv, jsonl, parquet) that has them |
    predict TWO --input two.csv
predict TWO --input hole.csv | is missing, and only a sequence can be empty; fill it in, or leave the row out |
    predict TWO --input two.csv
predict LOAD 1 | and this needs day, load; give --input FILE, a table that has them | predict LOAD --input days.csv
predict LOAD --input hours.csv | was trained on steps of one day; give steps as far apart as those, or train on these
    | predict LOAD --input days.csv | train hours.csv --forecast load --run b --set training.epochs=1
evaluate LABELS --split test | this run knows no test split; give --data FILE, or --split valid | evaluate LABELS
    --data labels.csv | evaluate LABELS --split valid
evaluate LOAD --split test | this run knows no test split; give --data FILE, or --split valid | evaluate LOAD --data
    days.csv | evaluate LOAD --split valid
evaluate LOAD --data short.csv | no series has a window of 2 steps with 4 before it; give longer ones | evaluate LOAD
    --data days.csv
evaluate LOAD --origins 99 | steps of a series at most; give 2 to 5 | evaluate LOAD --origins 2 | evaluate LOAD
    --origins 5
evaluate LOAD --data one.csv --origins 2 | begin at 1 steps of a series at most; leave it out, or give more steps |
    evaluate LOAD --data one.csv | evaluate LOAD --data days.csv --origins 2
evaluate LABELS --swap empty.csv | empty.csv: holds no pairs of words; give two a line, such as `he,she` | evaluate
    LABELS --swap pairs.csv
evaluate LABELS --swap twice.csv | stands in another pair too; name each word once | evaluate LABELS --swap pairs.csv
compare LABELS NEXT | none in common; compare runs of one task | compare RUN RUN
train labels.csv --in label:category --out text:text --run a | this output reads has steps to attend to; read one as
    text, such as --in NAME:text, or set decoder.attention: none | train labels.csv --in label:text --out text:text
    --run a --set training.epochs=1 | train labels.csv --in label:category --out text:text --run b --set
    training.epochs=1 --set outputs.text.head.decoder.attention=none
average RUN LABELS | average runs of one recipe, or let them answer together: ostinato predict | average RUN RUN --run
    mean | predict RUN RUN ein
average RUN RUN --run RUN | holds a run already; start anew with --overwrite, or choose another folder: --run DIR |
    average RUN RUN --run mean
predict RUN ein --temperature 0 --set search=sample | 0 takes the likeliest symbol, and --set search=sample asks for
    another search; leave one out | predict RUN ein --temperature 0 | predict RUN ein --set search=sample
predict RUN ein --temperature 0 --top-p 0.9 | and --top-p asks for another search; leave one out | predict RUN ein
    --temperature 0
predict RUN --input nowhere.txt | paths are relative to the folder you are in | predict RUN --input train.tsv
predict NEXT the --stop eht | model knows what it has seen in training alone, in its modality's spelling; give another
    stop, or leave it out | predict NEXT the
average LABELS | a run keeps so many as training.keep_checkpoints says; or name several runs | average RUN RUN --run
    mean
embed TWO --input two.csv | name the one whose encoder is to embed, such as --of text (in Python of='text') | embed
    TWO --input two.csv --of text
pairs | give RUN and FILE, or --generate DIR | pairs --generate minimal --rows 2 | pairs NEXT minimal.csv
probe gatse RUN | write ostinato probe PROBE SOURCE | probe gates RUN
probe gates RUN --set training.seed=2 | --set changes a recipe; the settings of a trained run cannot change; leave it
    out | probe gates RUN
probe gates RUN --epochs 0 | give a recipe, and leave out --at, --data and --split | probe gates tiny.yaml --epochs 0
probe gates tiny.yaml --at end | tiny.yaml is not trained; give the folder of its run, or --at start | probe gates RUN
    | probe gates tiny.yaml --at start
probe gates LABELS --steps 1 | have more than 1 steps; raise --steps | probe gates LABELS --steps 99
probe gates numbers.yaml | no cell of this model has gates to look at; train it with a gated cell, such as lstm or
    gru | probe gates tiny.yaml --set inputs.de.encoder.cell=lstm
probe gates tiny.yaml --set inputs.de.encoder=windowed --text ein | the first input, has no gates to draw; leave
    --text out | probe gates tiny.yaml --set inputs.de.encoder=windowed
probe attention_maps numbers.yaml | shows nothing; train it with a transformer encoder, or with a decoder or join
    that attends | probe attention_maps tiny.yaml | probe attention_maps tiny.yaml --set inputs.de.encoder=transformer
probe saliency numbers.yaml --set inputs.size.encoder=identity | so there are no steps to explain; give it text,
    tokens or a series, read by a recurrent, convolutional or transformer encoder
    | probe saliency tiny.yaml --set inputs.de.encoder=convolutional
probe gradients numbers.yaml --set inputs.size.encoder=identity | has vectors of steps to look at; train it with a
    recurrent, convolutional or transformer encoder | probe gradients tiny.yaml --set inputs.de.encoder=convolutional
probe states numbers.yaml | gives a vector for each step; train it with a recurrent, convolutional or transformer
    encoder | probe states tiny.yaml --set inputs.de.encoder=convolutional
embed TAGS --input tags.jsonl | has no summary vector, only steps; train with an encoder that has one | embed RUN ein
~ errors LABELS --top 1 | more rows: --top N, or --output FILE for all of them | errors LABELS --top 99
    | errors LABELS --output e.csv
~ evaluate LABELS --data labels.csv --by text | groups, no worse: --json | evaluate LABELS --data labels.csv
    --by text --json
~ train tiny.yaml --out a --set training.max_updates=1 | note: with a recipe --out names the run folder, as --run does
    in any case | train tiny.yaml --run b --set training.max_updates=1
"""
"""A command | what it recommends | a command that follows the advice | another. `~` is before a command that works."""

RUNS = {
    "LABELS": (
        {"text": {"type": "text", "encoder": {"hidden_size": 4, "embedding_size": 4}}},
        {"label": "category"},
        "labels.csv",
    ),
    "TWO": (
        {"text": {"type": "text", "encoder": {"hidden_size": 4}}, "size": "number"},
        {"label": "category"},
        "two.csv",
    ),
    "LOAD": (
        {"load": {"type": "series", "encoder": {"hidden_size": 4}}},
        {"ahead": {"of": "load", "horizon": 2, "lookback": 4}},
        "days.csv",
    ),
    "NEXT": (
        {"text": {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 4}}},
        {"rest": {"of": "text"}},
        "labels.csv",
    ),
    "TAGS": ({"words": {"type": "tokens", "encoder": "local_features"}}, {"tags": "tags"}, "tags.jsonl"),
    "TIMES": (
        {"text": {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 4}}},
        {"label": {"type": "text", "tokenizer": "char", "head": "ctc"}},
        "labels.csv",
    ),
}
"""Tiny runs beside `trained`, which is RUN: inputs, outputs, data."""


def write_tables(folder):
    draw = random.Random(1)
    texts = [" ".join(draw.choices("red green blue he she".split(), k=3)) for _ in range(40)]
    labels = [draw.choice("ab") for _ in texts]
    days = [f"2023-01-{day:02},{day % 7}" for day in range(1, 31)]
    tables = {
        "labels": ["text,label", *map(",".join, zip(texts, labels))],
        "named": ["text,label_predicted", *map(",".join, zip(texts, labels))],
        "two": ["text,size,label", *(f"{text},{len(text)},{label}" for text, label in zip(texts, labels))],
        "hole": ["text,size,label", "red,,a", "red,3,b"],
        "days": ["day,load", *days],
        "back": ["day,load", *sorted(days, key=lambda day: day[9::-1])],
        "hours": ["day,load", *(f"2023-01-{2 + hour // 24:02} {hour % 24:02}:00,{hour % 7}" for hour in range(30))],
        "short": ["day,load", *days[:5]],
        "one": ["day,load", *days[:6]],
        "empty": [""],
        "pairs": ["he,she"],
        "twice": ["he,she", "he,it"],
        "minimal": ["right,wrong", "red green,red he"],
    }
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "tags.jsonl").write_text('{"words": ["red", "he"], "tags": ["C", "P"]}\n' * 12)
    (folder / "numbers.yaml").write_text("{data: {train: two.csv}, inputs: {size: number}, outputs: {label: category}}")
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, trained):
    folder = tmp_path_factory.mktemp("runs")
    write_tables(folder)
    for name, (inputs, outputs, data) in RUNS.items():
        split = {"time": "day", "split": {"valid": 6}} if "day" in data else {}
        recipe = from_arguments(
            inputs, outputs, data={"train": str(folder / data), **split}, training={"epochs": 1, "max_updates": 2}
        )
        api.train(recipe, folder / name, device="cpu")
    return {"RUN": trained, **{name: folder / name for name in RUNS}}


@pytest.mark.parametrize("row", COMMANDS.replace("\n    ", " ").strip().splitlines(), ids=lambda row: row[:60])
def test_a_command_that_follows_the_advice_works(here, runs, cli, row):
    def called(command):
        return cli(*(runs.get(word, word) for word in shlex.split(command)))

    command, advice, *others = row.split(" | ")
    write_tables(here)
    works = command.startswith("~ ")
    answer = called(command.removeprefix("~ "))
    message = " ".join(f"{answer.out if works else ''} {answer.err}".split())
    for name, folder in runs.items():
        message = message.replace(str(folder), name)
    assert answer.code == (0 if works else 2) and advice in message, message
    for other in others:
        followed = called(other)
        assert followed.code == 0, followed.err


def test_the_advice_of_a_card_measures_the_run(here, trained, cli):
    """Rows like the user's are other data; what the card names measures the run where it was not."""
    run = bundles.load(trained)
    text = bundles.card(replace(run, metrics={}), {})
    assert "are in the model too; evaluate it on rows like yours before you rely on it." in text
    command = re.search("Not measured yet: `ostinato evaluate RUN`.", text)[0].split("`")[1].split()[1:]
    for words in ((), ("--data", "test.tsv")):
        assert cli(*(str(trained) if word == "RUN" else word for word in command), *words).code == 0


def test_the_advice_on_standard_input(trained, cli, monkeypatch):
    for text, advice, mended in (
        (b"\xe9in\n", "not UTF-8 (byte 1); convert it, for example with iconv", "éin".encode()),
        (b"ein\0\n", r"has a NUL byte; remove it, for example with `tr -d '\000'`", b"ein\n"),
    ):
        for content, code in ((text, 2), (mended, 0)):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
            answer = cli("predict", trained, "--input", "-")
            assert answer.code == code and (advice in answer.err) == (code == 2), answer.err


def test_python_that_follows_the_advice_works(here, trained):
    model = ostinato.load(trained)
    with pytest.raises(OstinatoError, match=r"put it in a list: \['ein'\]"):
        model.predict("ein")
    assert len(model.predict(["ein"])) == 1
    with pytest.raises(OstinatoError, match=r"give a list of texts: \['two'\]"):
        model.stream("ein", str, stop="two")
    model.stream("ein", lambda piece: None, stop=["two"], sets=["search=greedy"])
    fresh = ostinato.Model({"de": "text"}, {"en": "text"}, training={"epochs": 1})
    with pytest.raises(OstinatoError, match=r"call fit\(train\) or load a run with ostinato.load\(folder\)"):
        fresh.predict(["ein"])
    with pytest.raises(OstinatoError, match=r"there are no rows to train on; give fit\(train\) a path"):
        fresh.fit()
    with pytest.raises(OstinatoError, match="choose another folder or delete it"):
        model.save(trained)
    assert model.save(here / "copy") and ostinato.load(here / "copy").predict(["ein"])
    with pytest.raises(OstinatoError, match="no rows to embed; give at least one"):
        model.embed([])
    assert len(model.embed(["ein"])) == 1
