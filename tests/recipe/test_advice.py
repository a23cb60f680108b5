"""What a message on a recipe recommends, followed: settings, their files, and what a look at data notes."""

import contextlib
import os
import random
import shlex
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ostinato.cli.main import group
from ostinato.errors import OstinatoError
from ostinato.modalities._pictures import png
from ostinato.recipe.read import from_arguments, load
from tests.recipe.recipe_advice import BASES, follow_in_recipe
from tests.recipe.recipe_advice import folder as rows  # noqa: F401

VIDEO = "{data: {train: pictures}, inputs: {text: {type: video, column: video}}, outputs: {label: {type: category}}}"
IMAGE = "{data: {train: pictures}, inputs: {text: {type: image, column: image}}, outputs: {label: {type: category}}}"

RECIPES = r"""
translate | inputs.text={type: text, characters: true, tokenizer: {same_as: answer}} | let outputs.answer share the
    vocabulary of inputs.text, or give inputs.text its own | inputs.text.tokenizer=word ;
    outputs.answer.tokenizer={same_as: text} | inputs.text.tokenizer=word
forecast | data.train=sites.csv ; inputs.kind={type: text, column: [site, load]} | channels of a series in a table with
    a row per step (data.time); name one column | inputs.kind.column=site
two | inputs.text={type: text, tokenizer: word, characters: true} ; inputs.other={type: text, tokenizer: {same_as:
    text}, encoder: {same_as: text}} | set it here too, or give inputs.other its own | inputs.other.characters=true |
    inputs.other.encoder=recurrent
two | inputs.third={type: text, column: other, tokenizer: word} ; inputs.other={type: text, tokenizer: {same_as: third},
    encoder: {same_as: text}} | and the encoder of inputs.text reads by that of inputs.text; leave it out, or give
    inputs.other an encoder of its own | -inputs.other.tokenizer |
    inputs.other.encoder=recurrent
classify | inputs.text={type: series, column: sizes, encoder: {type: recurrent, embedding: {file: vectors.txt}}} |
    vectors.txt holds vectors of words, and series has none; use them for text or tokens |
    inputs.text={type: text, encoder: {type: recurrent, embedding: {file: vectors.txt}}, tokenizer: word} |
    inputs.text={type: tokens, column: words, encoder: {type: recurrent, embedding: {file: vectors.txt}}}
forecast | data.split={valid: soon} | 'soon' is no date; write 2013-01-31, or 2013-01-31 14:00, or so many steps |
    data.split.valid=2023-01-25 | data.split.valid='2023-01-25 00:00' | data.split.valid=6
forecast | data.split={valid: 2023-01-25, test: 2023-01-20} | valid comes first in time | data.split.valid=2023-01-15
forecast | -data.time ; data.train=rows.jsonl ; inputs.load.column=sizes ; outputs.ahead.lookback=1 ;
    outputs.ahead.horizon=1 ; data.split={valid: 2023-01-25} | nothing tells the dates of these series; name their
    column in data.time, or give so many steps | data.split.valid=1 | data={train: days.csv, time: day, split: {valid:
    2023-01-25}} ; inputs.load.column=load
two | inputs.text={type: text, encoder: {type: local_features}, tokenizer: word} ; outputs.label.join=gate |
    gate: input 1 of 2 gives no summary; choose another encoder for it, or leave it out of `reads` |
    inputs.text.encoder=recurrent | outputs.label.reads=[other] ; -outputs.label.join
two | inputs.text={type: text, encoder: {type: local_features}, tokenizer: word} ; outputs.label.join=attend |
    gives no summary to ask with; name one that does first under `reads` | outputs.label.reads=[other, text]
classify | inputs.text.encoder={hidden_size: 10000000} | lower hidden_size, layers or the size of the tokenizer |
    inputs.text.encoder.hidden_size=8
image | inputs.text.encoder={type: cnn, layers: 2, column_halvings: 3} | is more than layers: 2; set 2 at most |
    inputs.text.encoder.column_halvings=2
image | inputs.text.encoder={type: cnn, layers: 1, blocks: 2} | belongs to layers above the first; set layers: 2, or
    blocks: 1 | inputs.text.encoder.layers=2 | inputs.text.encoder.blocks=1
image | inputs.text.encoder={type: cnn, summary: points, steps: columns} | cnn: summary: points lie in a grid, and steps
    are columns; set steps: grid, or summary: max | inputs.text.encoder.steps=grid | inputs.text.encoder.summary=max
video | inputs.text.encoder=cnn | cnn: reads a picture, and this input has one at each step; take stacked, which reads
    each | inputs.text.encoder={type: stacked, each: cnn} | inputs.text.encoder=stacked
video | inputs.text.encoder={type: stacked, each: recurrent} | stacked: recurrent reads no picture, and here it gets
    some; take another encoder | inputs.text.encoder.each=cnn
video | inputs.text.encoder={type: stacked, over: ngrams} | stacked: ngrams reads no vectors, and here it gets some;
    take another encoder | inputs.text.encoder.over=recurrent
classify | inputs.text={type: series, column: sizes, encoder: {type: subsampled, encoder: ngrams}} | subsampled: ngrams
    reads no vectors, and here it gets some; take another encoder | inputs.text.encoder.encoder=recurrent
classify | inputs.text={type: series, column: sizes, encoder: {type: subsampled, encoder: feed_forward}} | subsampled:
    feed_forward reads one step, and here it gets several; take another encoder | inputs.text.encoder.encoder=recurrent
tag | outputs.tags.scheme=bioes ; outputs.tags.lenient=true | with plain labels, such as parts of speech, give scheme:
    none | outputs.tags.scheme=none ; outputs.tags.lenient=false
"""
"""As in test_advice_in_parts.py."""


@pytest.fixture(scope="module")
def pictures(rows):  # noqa: F811
    pytest.importorskip("PIL")
    (rows / "pictures").mkdir()
    for name, grey in (("a", 0.2), ("b", 0.8)):
        (rows / f"pictures/{name}.png").write_bytes(png(np.full((8, 8), grey)))
    lines = ["image:file,video:file,label", *["a.png,a.png,a", "b.png,b.png,b"] * 4]
    (rows / "pictures/manifest.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("row", RECIPES.replace("\n    ", " ").strip().splitlines(), ids=lambda row: row[:60])
def test_a_recipe_that_follows_the_advice_is_built(rows, monkeypatch, request, row):  # noqa: F811
    base, mistake, advice, *ways = row.split(" | ")
    if base in ("image", "video"):
        request.getfixturevalue("pictures")
    monkeypatch.chdir(rows)
    Path("sites.csv").write_text("day,load,site\n" + "".join(f"2023-01-{day:02},{day % 7},a\n" for day in range(1, 31)))
    follow_in_recipe({**BASES, "video": VIDEO, "image": IMAGE}[base], mistake, advice, *ways)


NOTES = r"""
init days.csv | here heat, the last column; use --forecast COLUMN for another | init days.csv --forecast load > of: load
init people.csv --out kind | it only numbers the rows; name each input by --in to read it | init people.csv --in row
    --out kind > row: number
init people.csv --out kind | an id, of which nearly every row has its own; name each input by --in to read it |
    init people.csv --in key --out kind > key
init days.csv --out load | dates, which say little alone; name each input by --in to read them | init days.csv --in day
    --out load > day: date
init people.csv | kind is the output because it is the last column; use --out COLUMN for another | init people.csv
    --out size > size:
init people.csv --out kind | the inputs are all other columns (words, size); use --in COLUMN for some of them |
    init people.csv --in words --out kind > words:
init days.csv --in heat --out load | for a forecast by day write --forecast load |
    init days.csv --forecast load > of: load
init void.csv --in nothing --out kind | holds nothing in the first 60 rows; leave it out, or name another |
    init void.csv --in words --out kind > kind: category
init sites.csv --forecast load | it is no series; use --in for one value of a whole series |
    init sites.csv --in site --forecast load > site
init labels.csv | which has no continuation; give a table, or read it as text: --in kind:text |
    init labels.csv --in kind:text > of: kind | init people.csv > kind: category
init shots | give a column to predict too: in a folder sort the files into a subfolder for each label |
    init sorted > text: image | init sorted > label:
init shots | or add a table manifest.csv with the columns text:file and, beside it, what to predict |
    init listed > text: image | init listed > kind:
init loads.csv | give a column of times beside it and --forecast load, or one to predict |
    init days.csv --forecast load > of: load | init days.csv --in day --out load > load: number
init truths.jsonl | put a column to predict beside it | init people.csv > kind: category
init tunes.jsonl | these are tunes in ABC: --in tune:music reads their notes | init tunes.jsonl --in tune:music > music
init days.csv --out runs/one | with a table --out names an output, and --run DIR the run's folder |
    init days.csv --out load --in day > load: number
init lists.jsonl --out series | lists of numbers are forecast with --out COLUMN:series | init lists.jsonl
    --out series:series > of: series
init tagged.csv --in words:text --out tags | words must have one step per label: write tokens |
    init tagged.csv --in words:tokens --out tags > words: tokens
init ner.txt | to read it so name its columns in place of the file: '{word tag: ner.txt}' |
    init '{word tag: ner.txt}' > tag: tags
init ner.tsv | to read each line as a row name a type: --in 'the O:text' | init ner.tsv --in 'the O:text' > text
init people.csv | `ostinato check RECIPE --full` prints all settings; `ostinato train RECIPE` trains |
    init people.csv --recipe people.yaml > train people.yaml | check people.yaml --full > keep_best
"""
"""A command | what it notes or recommends | a command that follows it > what that prints | another."""


@pytest.fixture(scope="module")
def looked_at(rows):  # noqa: F811
    draw, words = random.Random(2), "red green blue black white".split()
    people = [
        (row, f"AB-{1000 + row}", " ".join(draw.choices(words, k=6)), draw.choice("12345"), draw.choice("xy"))
        for row in range(1, 61)
    ]
    tagged = [draw.choices(words, k=draw.randint(2, 5)) for _ in range(20)]
    tables = {
        "people.csv": ["row,key,words,size,kind", *(",".join(map(str, row)) for row in people)],
        "void.csv": ["nothing,words,kind", *(f",{row[2]},{row[4]}" for row in people)],
        "labels.csv": ["kind", *(row[4] for row in people)],
        "loads.csv": ["load", *(str(row[0] / 2) for row in people)],
        "truths.jsonl": ['{"truth": true}'] * 9,
        "tagged.csv": ["words,tags", *(f"{' '.join(row)},{' '.join(word[0] for word in row)}" for row in tagged)],
        "lists.jsonl": [f'{{"words": "{row[2]}", "series": [1.5, {row[0]}]}}' for row in people],
        "tunes.jsonl": [r'{"tune": "X:1\nM:2/4\nK:G\nGBdB|"}'] * 9,
        "ner.txt": ["the O", "old O", "town B", ""] * 9,
        "ner.tsv": ["the O", "old O", "town B", ""] * 9,
        "sites.csv": ["day,load,site", *(f"2023-01-{day:02},{day % 7},a" for day in range(1, 31))],
    }
    for name, lines in tables.items():
        (rows / name).write_text("\n".join(lines) + "\n")
    for number in range(8):
        for folder in ("shots", f"sorted/{'ab'[number % 2]}", "listed"):
            (rows / folder).mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), number).save(rows / folder / f"{number}.png")
    (rows / "listed" / "manifest.csv").write_text(
        "text:file,kind\n" + "".join(f"{number}.png,{'xy'[number % 2]}\n" for number in range(8))
    )
    return rows


@pytest.mark.parametrize("row", NOTES.replace("\n    ", " ").strip().splitlines(), ids=lambda row: row[:60])
def test_a_command_that_follows_the_advice_does_what_it_says(looked_at, monkeypatch, row):
    monkeypatch.chdir(looked_at)
    command, advice, *others = row.split(" | ")
    noted = CliRunner().invoke(group, shlex.split(command))
    said = f"{noted.output} {noted.exception or ''}".replace("\n#", "\n")
    assert advice in " ".join(said.split())
    for other in others:
        followed, _, printed = other.partition(" > ")
        result = CliRunner().invoke(group, shlex.split(followed))
        assert not result.exit_code and printed in result.output


@pytest.mark.slow
@pytest.mark.parametrize("data", ["people.csv", "train.yaml"])
def test_training_as_the_advice_says(looked_at, monkeypatch, data):
    """`ostinato train RECIPE` trains, and with a table --run DIR is the run's folder."""
    monkeypatch.chdir(looked_at)
    if data.endswith("yaml"):
        assert not CliRunner().invoke(group, ["init", "people.csv", "--recipe", data]).exit_code
    options = shlex.split(f"--set training.epochs=1 --run runs/{data}")
    assert not CliRunner().invoke(group, ["train", data, *options]).exit_code
    assert Path("runs", data, "recipe.yaml").is_file()


def test_a_recipe_file_that_follows_the_advice_is_read(tmp_path, monkeypatch):
    good = "{inputs: {text: text}, outputs: {label: category}, data: {train: t.csv}}"
    path = tmp_path / "a.yaml"
    with pytest.raises(OstinatoError, match="there is no recipe .*a.yaml; give the path of a YAML file"):
        load(path)
    os.mkfifo(path)
    with pytest.raises(OstinatoError, match="a pipe or a device, and a recipe is read from a file; write it into one"):
        load(path)
    path.unlink()
    path.write_text(good)
    assert load(path)
    path.write_bytes(f"# \xe9\n{good}".encode("latin-1"))
    with pytest.raises(OstinatoError, match=r"not UTF-8 \(invalid continuation byte at byte 2\); save it as UTF-8"):
        load(path)
    path.write_text(f"# \xe9\n{good}", encoding="utf-8")
    assert load(path)
    path.write_text("{inputs: {text: &it text, other: *it}, outputs: {label: category}, data: {train: t.csv}}")
    with pytest.raises(OstinatoError, match=r"line 1: aliases \(\*it\) are not allowed; write it out"):
        load(path)
    path.write_text("{inputs: {text: text, other: text}, outputs: {label: category}, data: {train: t.csv}}")
    assert load(path)
    path.write_text("inputs:\n\ttext: text\noutputs:\n\tlabel: category\ndata: {train: t.csv}\n")
    with pytest.raises(OstinatoError, match="line 2, .*indented by a tab, .*; write spaces in its place"):
        load(path)
    path.write_text(path.read_text().replace("\t", "  "))
    assert load(path)
    files = ", ".join(f"{number}.csv" for number in range(20_000))
    path.write_text(good.replace("t.csv", f"[{files}]"))
    with pytest.raises(OstinatoError, match="put their rows into one, or name a folder with a manifest"):
        load(path)
    path.write_text(good.replace("t.csv", "folder"))
    assert load(path)


def test_a_recipe_that_may_be_read_is_given_as_the_advice_asks():
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        path = Path(name, "a.yaml")
        path.write_text("{inputs: {text: text}, outputs: {label: category}, data: {train: t.csv}}")
        path.parent.chmod(0o755)
        path.chmod(0)
        if not os.geteuid():  # root may read all
            os.seteuid(65534)
            stack.callback(os.seteuid, 0)
        with pytest.raises(OstinatoError, match=r"cannot be read \(Permission denied\); check its permissions"):
            load(path)
        stack.close()
        path.chmod(0o644)
        assert load(path)


def test_arguments_that_follow_the_advice_are_read():
    text = {"type": "text"}
    text["encoder"] = text
    with pytest.raises(OstinatoError, match="one of them holds itself, or is nested too deeply; write it out"):
        from_arguments({"text": text}, {"label": "category"})
    assert from_arguments({"text": {"type": "text", "encoder": {"type": "recurrent"}}}, {"label": "category"})
