"""From a folder with a manifest, or a parquet file, to a run: texts and curves in files of their own, trained on,
judged, asked."""

import json
import math

import numpy as np
import polars
import pytest

from ostinato.modalities._pictures import png

ENCODER = "{cell: gru, hidden_size: 8, embedding_size: 8, dropout: 0.0}"
TRAINING = "training: {epochs: 15, batch_rows: 8, optimizer: {type: adamw, learning_rate: 0.03}, schedule: constant}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def letters(folder, count, start=0):
    """Files of text, those of label `warm` about the sun."""
    folder.mkdir()
    lines = ["letter:file,label"]
    for number in range(start, start + count):
        label = ("cold", "warm")[number % 2]
        (folder / f"{number}.txt").write_text(
            f"letter {number}:\nthe {'sun' if label == 'warm' else 'snow'} is here,\nand more\n"
        )
        lines.append(f"{number}.txt,{label}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def curves(folder, count):
    """Sensor traces of two channels and different lengths, as csv with a header and as arrays."""
    (folder / "traces").mkdir(parents=True)
    rows = []
    for number in range(count):
        fast = number % 2 == 1
        steps = np.array([[math.sin(k * (2.0 if fast else 0.3)), k / 20] for k in range(12 + number % 5)])
        if number % 3:
            path = f"traces/{number}.csv"
            (folder / path).write_text("x,time\n" + "\n".join(f"{one:.4f},{time:.2f}" for one, time in steps) + "\n")
        else:
            path = f"traces/{number}.npy"
            np.save(folder / path, steps.astype(np.float32))
        rows.append({"trace:file": path, "kind": "fast" if fast else "slow"})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_folder_of_texts_with_labels(folder, cli, refused):
    letters(folder / "letters", 40)
    letters(folder / "others", 6, start=100)
    recipe = (
        f"data: {{train: letters, test: others}}\n"
        f"inputs: {{letter: {{type: text, tokenizer: word, encoder: {ENCODER}}}}}\n"
    )
    (folder / "recipe.yaml").write_text(recipe + "outputs: {label: category}\n" + TRAINING)
    said = cli("train", "recipe.yaml", "--out", "run", "--json")
    assert said.code == 0, said.err
    assert said.json["outputs"]["label"]["accuracy"]["value"] == 100 and said.json["examples"] == 6
    assert cli("predict", "run", "--input", "others").out.split() == ["cold", "warm"] * 3
    assert cli("evaluate", "run", "--data", "letters", "--json").json["examples"] == 40

    (folder / "letters/7.txt").write_text("letter 7:\nthe snow is here\n")
    refused("train", "recipe.yaml", "--out", "run", "--resume", says=["data.train: letters", "its content changed"])
    (folder / "others/103.txt").unlink()
    says = ["--input: others/manifest.csv line 5, column 'letter:file'", "there is no file 103.txt", "did you mean '10"]
    refused("predict", "run", "--input", "others", says=says)
    refused(
        "train",
        "recipe.yaml",
        "--out",
        "new",
        "--set",
        "data.train=others",
        says=["data.train: others/manifest.csv line 5"],
    )
    assert not (folder / "new").exists()


def test_a_folder_of_sensor_traces(folder, cli):
    curves(folder / "sensors", 40)
    recipe = (
        f"data: {{train: sensors}}\ninputs: {{trace: {{type: series, encoder: {ENCODER}}}}}\n"
        f"outputs: {{kind: category}}\n"
    )
    (folder / "recipe.yaml").write_text(recipe + TRAINING)
    said = cli("train", "recipe.yaml", "--out", "run", "--json")
    assert said.code == 0, said.err
    assert cli("evaluate", "run", "--data", "sensors", "--json").json["outputs"]["kind"]["accuracy"]["value"] == 100
    lines = [json.loads(line) for line in cli("predict", "run", "--input", "sensors", "--json").out.splitlines()]
    assert [line["outputs"]["kind"][0]["value"] for line in lines] == ["slow", "fast"] * 20
    assert len(lines[1]["inputs"]["trace"]) == 13 and len(lines[0]["inputs"]["trace"][0]) == 2


def test_a_folder_is_guessed_like_a_file(folder, cli):
    curves(folder / "sensors", 60)
    said = cli("init", "sensors", "--out", "kind:category")
    assert said.code == 0 and "trace: series" in said.out
    one = cli("train", "sensors", "--out", "kind:category", "--run", "run", "--set", "training.epochs=1")
    assert one.code == 0, one.err


def test_a_parquet_file_of_lists_and_labels(folder, cli):
    rows = [
        {"curve": [math.sin(k * (1 + number % 2)) for k in range(9)], "kind": "ab"[number % 2]} for number in range(40)
    ]
    polars.DataFrame(rows).write_parquet(folder / "curves.parquet")
    recipe = (
        f"data: {{train: curves.parquet}}\ninputs: {{curve: {{type: series, encoder: {ENCODER}}}}}\n"
        f"outputs: {{kind: category}}\n"
    )
    (folder / "recipe.yaml").write_text(recipe + TRAINING)
    assert cli("train", "recipe.yaml", "--out", "run").code == 0
    assert cli("predict", "run", "--input", "curves.parquet").out.split() == ["a", "b"] * 20


def test_a_manifest_that_is_named_itself_and_a_file_that_is_a_value_as_a_prompt(folder, cli):
    (folder / "tunes").mkdir()
    for number in range(24):
        notes = "ABcd" if number % 2 else "GFED"
        (folder / "tunes" / f"{number}.abc").write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{notes}|{notes}|]\n")
    names = "".join(f"{number}.abc\n" for number in range(24))
    (folder / "tunes" / "manifest.csv").write_text(f"tune:file\n{names}")
    (folder / "recipe.yaml").write_text(
        "data: {train: tunes/manifest.csv}\ninputs: {tune: {type: music, encoder: {bidirectional: false}}}\n"
        "outputs: {rest: {column: tune, type: music, of: tune, align: next}}\ntraining: {epochs: 1}\n"
    )
    assert cli("train", "recipe.yaml", "--out", "run").code == 0
    given = cli("predict", "run", "tunes/1.abc", "--output", "whole.abc")
    assert given.code == 0 and (folder / "whole.abc").read_text().startswith("X:1\nM:4/4\nL:1/4\nK:C\nABcd|")
    assert cli("score", "run", "--input", "tunes/manifest.csv").code == 0


def test_answers_to_pictures_are_written_beside_the_names_of_their_files(folder, cli):
    pytest.importorskip("PIL.Image")
    (folder / "pictures").mkdir()
    lines = ["picture:file,shade"]
    for number in range(24):
        shade = ("dark", "light")[number % 2]
        (folder / "pictures" / f"{number}.png").write_bytes(png(np.full((4, 4), number % 2, float)))
        lines.append(f"{number}.png,{shade}")
    (folder / "pictures" / "manifest.csv").write_text("\n".join(lines) + "\n")
    given = cli(
        "train", "pictures", "--in", "picture:image", "--out", "shade", "--run", "run", "--set", "training.epochs=1"
    )
    assert given.code == 0, given.err
    for source, names in (("pictures", ["0.png", "1.png"]), ("pictures/3.png", ["pictures/3.png"])):
        for ending, read in (("csv", polars.read_csv), ("jsonl", polars.read_ndjson)):
            given = cli(
                "predict", "run", *(["--input"] if source == "pictures" else []), source, "--output", f"a.{ending}"
            )
            assert given.code == 0, given.err
            assert read(folder / f"a.{ending}")["picture"].to_list()[: len(names)] == names
