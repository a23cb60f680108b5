"""The command `embed`: vectors as a table, neighbours, a picture; the same vector alone and in company, on the command
line and in Python."""

import io
import json

import numpy as np
import polars
import pytest

import ostinato

TEXTS = ["drei", "ein zwei", "", "neun neun neun"]


def test_vectors_are_those_of_python_and_company_changes_none(trained, cli):
    said = cli("embed", trained, *TEXTS)
    assert said.code == 0 and said.err == ""
    frame = polars.read_csv(io.StringIO(said.out))
    assert frame.columns == ["de", *(f"summary_{number}" for number in range(1, 17))], "8 numbers each way"
    whole = frame.drop("de").to_numpy()
    model = ostinato.load(trained)
    assert np.allclose(model.embed(TEXTS), whole, atol=1e-6)
    alone = np.concatenate([model.embed([text]) for text in TEXTS])
    assert np.abs(alone - whole).max() < 1e-5
    assert np.abs(model.embed(TEXTS[::-1])[::-1] - whole).max() < 1e-5
    assert model.embed(TEXTS).dtype == np.float32


def test_nearest_names_rows_by_number_and_json_holds_all(trained, cli):
    found = cli("embed", trained, "ein", "zwei", "ein", "--nearest", "2", "--json").json
    assert (found["input"], found["size"], len(found["rows"])) == ("de", 16, 3)
    first = found["rows"][0]["nearest"]
    assert first[0] == {"row": 3, "similarity": pytest.approx(1, abs=1e-6), "text": "ein"} and first[1]["row"] == 2
    lines = cli("embed", trained, "ein", "zwei", "ein", "--nearest", "1").out.splitlines()
    assert lines[:2] == ["1\tein", "\t1.000\t3\tein"] and len(lines) == 6


def test_a_table_brings_its_outputs_and_leaves_files(here, trained, cli):
    for name in ("v.csv", "v.parquet"):
        said = cli("embed", trained, "--input", "test.tsv", "--output", name, "--picture", "maps/all.png")
        assert (said.code, said.out) == (0, "") and name in said.err
    one, other = polars.read_csv("v.csv"), polars.read_parquet("v.parquet")
    assert one.columns == other.columns and one.columns[:2] == ["de", "en"] and one.shape == (10, 18)
    assert np.allclose(one.drop("de", "en").to_numpy(), other.drop("de", "en").to_numpy(), atol=1e-6)
    assert (here / "maps/all.png").read_bytes().startswith(b"\x89PNG")
    (here / "in.txt").write_text("ein\nzwei\n")
    assert cli("embed", trained, "--input", "in.txt").out.count("\n") == 3


def test_several_inputs_need_of_and_only_its_column(here, cli, refused):
    (here / "two.yaml").write_text(
        "data: {train: two.jsonl}\ninputs:\n"
        "  a: {type: tokens, separator: '', encoder: {hidden_size: 4}}\n"
        "  b: {type: tokens, separator: '', encoder: {hidden_size: 3}}\n"
        "outputs: {c: {type: tokens, separator: '', head: {decoder: {hidden_size: 4}}}}\nsearch: greedy\n"
        "training: {epochs: 1, batch_rows: 8}\n"
    )
    (here / "two.jsonl").write_text("\n".join(json.dumps({"a": "x", "b": "yx", "c": "z"}) for _ in range(12)) + "\n")
    assert cli("train", "two.yaml", "--out", "run").code == 0
    refused("embed", "run", "x", says=["--of a", "of='a'", "a, b;"])
    refused("embed", "run", "x", "--of", "d", says=["no input 'd'", "inputs: a, b"])
    assert cli("embed", "run", "xy", "--of", "b", "--json").json["size"] == 6
    (here / "only.csv").write_text("b,c\nx,z\ny,zz\n")
    assert [
        one["outputs"] for one in cli("embed", "run", "--input", "only.csv", "--of", "b", "--json").json["rows"]
    ] == [{"c": "z"}, {"c": "zz"}]


def test_what_it_cannot_read_or_write_is_refused(here, trained, refused):
    refused("embed", trained, says=["give TEXT, or --input"])
    refused("embed", trained, "a", "--input", "b.txt", says=["not both"])
    refused("embed", trained, "a", "--output", "v.npy", says=[".csv or .parquet"])
    refused("embed", trained, "--input", "none.txt", says=["no file none.txt"])
