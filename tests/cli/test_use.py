"""The commands that use a run: what they print, where, and what they refuse."""

import gzip
import io
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest

import ostinato
from ostinato.data import catalogue, shapes
from ostinato.errors import BundleError, ConfigError


def test_evaluate_json_has_exactly_the_promised_shape(trained, cli):
    found = cli("evaluate", trained, "--json").json
    assert list(found) == ["split", "examples", "outputs", "main"] and found["main"] == {"en": "exact_match"}
    (short, every) = (cli("evaluate", trained, *words).out.splitlines() for words in ((), ("--all",)))
    assert (
        short[0].startswith("en  exact_match ")
        and short[-1] == f"{len(found['outputs']['en']) - 1} more metrics: --all"
    )
    assert [line.split("  ")[1] for line in every[:-1]] == list(found["outputs"]["en"])
    assert (found["split"], found["examples"], list(found["outputs"])) == ("test", 10, ["en"])
    for one in found["outputs"]["en"].values():
        assert list(one) == ["value", "low", "high", "method"]
    assert {"bleu", "exact_match", "perplexity"} <= set(found["outputs"]["en"])
    assert cli("evaluate", trained, "--split", "valid", "--json").json["examples"] == 8


def test_evaluate_takes_other_data_and_another_search_and_refuses_the_rest(here, trained, cli, refused):
    kept = (trained / "metrics.json").read_bytes()
    other = cli("evaluate", trained, "--data", "valid.tsv", "--set", "search.width=5", "--json").json
    assert other["examples"] == 8
    assert cli("evaluate", trained, "--set", "search=greedy", "--json").code == 0
    assert (trained / "metrics.json").read_bytes() == kept, "measured otherwise, not kept"
    refused(
        "evaluate",
        trained,
        "--set",
        "training.epochs=3",
        says=["--set training.epochs=3", "only the search", "search.width=5"],
    )
    refused("evaluate", trained, "--set", "search.widht=3", says=["search.widht", "did you mean 'width'"])
    refused("evaluate", trained, "--data", "none.tsv", says=["no file none.tsv"])


def test_a_moved_run_and_moved_data_are_found_again(here, cli, refused):
    assert cli("train", "tiny.yaml", "--out", "run").code == 0
    before = cli("evaluate", "run", "--json").json
    shutil.move(here / "run", here / "elsewhere")
    assert cli("evaluate", "elsewhere", "--json").json == before, "where the data lie is kept whole"
    (here / "data").mkdir()
    (here / "old").mkdir()
    shutil.move(here / "test.tsv", here / "data/test.tsv")
    refused("evaluate", "elsewhere", says=["data.test", "test.tsv", "--data-root"])
    assert cli("evaluate", "elsewhere", "--data-root", f"old{os.pathsep}data", "--json").json == before
    assert cli("compare", "elsewhere", "elsewhere", "--data-root", "data").code == 0


def test_data_root_comes_from_the_environment_too(here, cli, monkeypatch):
    (here / "sets").mkdir()
    for name in ("train.tsv", "valid.tsv", "test.tsv"):
        shutil.move(here / name, here / "sets" / name)
    monkeypatch.setenv("OSTINATO_DATA", f"nowhere{os.pathsep}sets")
    assert cli("check", "tiny.yaml").code == 0


def test_predict_prints_one_line_an_example_and_nothing_else(here, trained, cli, monkeypatch):
    texts = ["drei", "ein zwei", "", "neun neun neun"]
    said = cli("predict", trained, *texts)
    assert (said.code, said.err) == (0, "")
    assert said.out.count("\n") == 4
    (here / "in.txt").write_text("\n".join(texts) + "\n")
    (here / "in.csv").write_text("x,de\n" + "\n".join(f"1,{text}" for text in texts) + "\n")
    (here / "in.jsonl").write_text("\n".join(json.dumps({"de": text}) for text in texts) + "\n")
    for name in ("in.txt", "in.csv", "in.jsonl"):
        assert cli("predict", trained, "--input", name).out == said.out, name
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((here / "in.txt").read_bytes())))
    assert cli("predict", trained, "--input", "-").out == said.out


def test_predict_takes_a_text_that_is_too_long_for_the_name_of_a_file(trained, cli):
    for text in ("eins " * 100, "eins " * 100 + "zwei.csv"):
        assert cli("predict", trained, text).out.count("\n") == 1


def test_predict_json_is_one_object_a_line(trained, cli):
    lines = [
        json.loads(line) for line in cli("predict", trained, "ein", "zwei", "--json", "--n-best", "2").out.splitlines()
    ]
    assert [line["inputs"] for line in lines] == [{"de": "ein"}, {"de": "zwei"}]
    for line in lines:
        assert [one["rank"] for one in line["outputs"]["en"]] == [1, 2]
        assert line["outputs"]["en"][0]["score"] >= line["outputs"]["en"][1]["score"]


def test_n_best_prints_rank_score_text_and_says_what_to_set(trained, cli, refused):
    rows = [line.split("\t") for line in cli("predict", trained, "ein", "zwei", "--n-best", "2").out.splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "1", "2"] and all(float(row[1]) < 0 for row in rows)
    assert rows[0][2] == cli("predict", trained, "ein").out.rstrip("\n")
    refused("predict", trained, "ein", "--n-best", "3", says=["--n-best 3", "above width 2", "set width: 3"])
    assert cli("predict", trained, "ein", "--n-best", "3", "--set", "search.width=3").out.count("\n") == 3
    refused(
        "predict",
        trained,
        "ein",
        "--n-best",
        "3",
        "--set",
        "search=greedy",
        says=["'greedy' gives one answer", "search=beam"],
    )


def test_an_answer_stops_where_it_is_told_to(trained, cli, refused):
    texts = ["ein zwei drei vier", "neun neun neun acht", "drei sechs"]
    plain = cli("predict", trained, *texts).out.splitlines()
    stop = next(word for line in plain for word in line.split()[1:])
    found = cli(
        "predict", trained, *texts, "--set", "search=greedy", "--stop", stop, "--stop", "one one"
    ).out.splitlines()
    assert len(found) == 3 and not any(stop in line for line in found)
    same = cli(
        "predict", trained, *texts, "--set", "search=greedy", "--set", f"search.stop=[{stop}, one one]"
    ).out.splitlines()
    assert same == found
    assert not any(
        stop in line for line in cli("predict", trained, *texts, "--n-best", "2", "--stop", stop).out.splitlines()
    )
    refused(
        "predict", trained, *texts, "--stop", r"\n\n", says=[r"stop: '\n\n'", r"never generates '\n'", "leave it out"]
    )
    refused("predict", trained, *texts, "--stop", "", says=["search.stop.0", "at least 1 character"])


def test_predict_refuses_what_it_cannot_read(trained, refused, cli):
    refused("predict", trained, says=["give TEXT, or --input"])
    refused("predict", trained, "a", "--input", "b.txt", says=["not both"])
    refused("predict", "nowhere", "a", says=["nowhere", "no such folder", "ostinato train"])
    refused("predict", trained.parent, "a", says=["holds no bundle.json"])


def test_several_runs_answer_as_an_ensemble_and_need_one_vocabulary_of_answers(here, trained, cli, refused):
    assert cli("predict", trained, trained, "ein zwei").out == cli("predict", trained, "ein zwei").out
    found = cli("evaluate", trained, trained, "--json")
    alone = cli("evaluate", trained, "--json").json["outputs"]["en"]
    assert found.json["outputs"]["en"]["perplexity"]["value"] == pytest.approx(alone["perplexity"]["value"], rel=1e-6)
    (here / "train.tsv").write_text("de\ten\n" + "ein\tuno\nzwei\tdue\n" * 6)
    assert cli("train", "tiny.yaml", "--out", "other").code == 0
    refused(
        "predict",
        trained,
        "other",
        "ein",
        says=["other: an ensemble needs the same symbols", "with the same outputs"],
    )


def test_attention_is_drawn_and_its_path_is_told(here, trained, cli):
    said = cli("predict", trained, "ein zwei", "drei", "--attention", "maps/one.png")
    assert said.code == 0 and "attention: maps/one.png" in said.err and said.out.count("\n") == 2
    assert (here / "maps/one.png").read_bytes().startswith(b"\x89PNG")
    said = cli("predict", trained, "", "--attention", "two.png")
    assert said.code == 0 and "two.png is not drawn, since every input is empty" in said.err
    assert "attention: three.png" in cli("predict", trained, "", "drei", "--attention", "three.png").err


def test_several_inputs_and_outputs_come_from_a_table_and_leave_tab_separated(here, cli, refused):
    (here / "two.yaml").write_text(
        "data: {train: two.jsonl}\n"
        "inputs:\n  a: {type: text, tokenizer: char, encoder: {hidden_size: 4}}\n"
        "  b: {type: text, tokenizer: char, encoder: {hidden_size: 4}}\n"
        "outputs:\n  c: {type: text, tokenizer: char, head: {decoder: {hidden_size: 4}}}\n"
        "  d: {type: text, tokenizer: char, head: {decoder: {hidden_size: 4, attention: none}}}\n"
        "search: {type: greedy, max_length: 4, min_length: 4}\ntraining: {epochs: 1, batch_rows: 8}\n"
    )
    rows = [{"a": "x", "b": "y", "c": "\t\n", "d": "\n\t"}] * 12
    (here / "two.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert cli("train", "two.yaml", "--out", "run").code == 0
    refused("predict", "run", "x", says=["one column", "a, b", "--input FILE", "jsonl"])
    (here / "in.jsonl").write_text('{"a": "x", "b": "y"}\n{"a": "", "b": "xy"}\n')
    said = cli("predict", "run", "--input", "in.jsonl")
    assert said.code == 0
    lines = said.out.split("\n")
    assert len(lines) == 3 and all(line.count("\t") == 1 for line in lines[:2])
    assert set(said.out.replace("\\t", "").replace("\\n", "")) <= {"\t", "\n"}, (
        "tabs and breaks of an answer are escaped"
    )
    assert cli("predict", "run", "--input", "in.jsonl", "--n-best", "1").out.split("\n")[0].startswith("c\t1\t-")


def test_score_prints_a_number_a_row_and_ranks_as_the_search_does(here, trained, cli, refused):
    said = cli("score", trained, "--input", "test.tsv")
    assert said.code == 0 and len([float(line) for line in said.out.splitlines()]) == 10
    found = cli("score", trained, "--input", "test.tsv", "--json").json["outputs"]["en"]
    assert [f"{one:.6f}" for one in found["log_probability"]] == said.out.splitlines()
    best = json.loads(cli("predict", trained, "ein", "--json").out)["outputs"]["en"][0]
    (here / "own.jsonl").write_text(json.dumps({"de": "ein", "en": best["value"]}) + "\n")
    assert float(cli("score", trained, "--input", "own.jsonl").out) == pytest.approx(best["log_probability"], abs=1e-4)
    (here / "half.csv").write_text("de\nein\n")
    refused("score", trained, "--input", "half.csv", says=["no column 'en'"])


def test_compare_says_whether_the_difference_is_real(trained, cli):
    found = cli("compare", trained, trained, "--json").json
    assert found["outputs"]["en"]["bleu"]["difference"] == 0 and not found["outputs"]["en"]["bleu"]["real"]
    assert "may be chance" in cli("compare", trained, trained).out


def test_check_counts_what_is_built_and_full_is_a_fixed_point(here, cli):
    found = cli("check", "tiny.yaml", "--json").json
    # One-bias-pair GRUs: 3((x + h) h + 2 h) each way, embeddings of 7 words and 3 special symbols.
    assert found["parameters"]["inputs.de.encoder"] == 10 * 8 + 2 * 3 * ((8 + 8) * 8 + 2 * 8)
    assert found["kernels"].keys() == {"inputs.de.encoder", "outputs.en.head"}
    assert found["look_ahead"] == {"de": None}
    weights = sum(found["parameters"].values())
    assert 2 * found["update_steps"] * weights / 2 < found["update_flops"] < 12 * found["update_steps"] * weights
    first = cli("check", "tiny.yaml", "--full").out
    assert "# outputs.en.reads: all inputs" in first
    (here / "full.yaml").write_text(first)
    second = cli("check", "full.yaml", "--full").out
    bare = [line for line in first.splitlines() if not line.startswith("#")]
    assert second.splitlines() == bare


def test_a_full_recipe_keeps_what_was_switched_off(here, cli):
    sets = [
        "outputs.en.head.decoder.attention=none",
        "training.clip_norm=null",
        "inputs.de.tokenizer={type: bpe, size: 300}",
    ]
    words = [word for one in sets for word in ("--set", one)]
    first = cli("check", "tiny.yaml", *words, "--full").out
    (here / "full.yaml").write_text(first)
    assert (
        cli("check", "full.yaml", "--json").json["parameters"]
        == cli("check", "tiny.yaml", *words, "--json").json["parameters"]
    )
    assert "clip_norm:\n" in first or "clip_norm: null" in first


@pytest.mark.parametrize("words", [("doctor",), ("list",), ("list", "cells"), ("schema",), ("data", "list")])
def test_what_needs_no_run_answers_with_text_and_with_json(cli, words):
    assert cli(*words).out
    assert cli(*words, "--json").json


def test_fetch_takes_the_first_of_several_data_folders(here, cli, monkeypatch):
    monkeypatch.setenv("OSTINATO_DATA", f"first{os.pathsep}second")
    said = cli("data", "fetch", "dates", "--json")
    assert said.code == 0 and said.json["name"] == "dates" and said.err.endswith("--data-root first\n")


def test_list_names_the_nearest_room(refused):
    refused("list", "cell", says=["no room is called 'cell'", "did you mean 'cells'"])


def test_an_unknown_command_and_option_exit_2_without_traceback(refused):
    refused("trian", says=["trian"])
    refused("train", "--bogus", says=["--bogus"])
    refused("data", "fetch", "no-such-set", says=["no-such-set"])


def test_run_is_the_run_folder_in_every_command_of_runs(trained, cli):
    from ostinato.cli.main import _runs_first

    plain = cli("predict", trained, "zwei drei").out
    assert (
        cli("predict", "zwei drei", "--run", trained).out
        == cli("predict", f"--run={trained}", "zwei drei").out
        == plain
    )
    assert cli("evaluate", "--run", trained, "--json").json == cli("evaluate", trained, "--json").json
    assert _runs_first(["--run", "a", "--run=b", "--json"]) == ["a", "b", "--json"] and _runs_first(["--run"]) == [
        "--run"
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "tiny.yaml", "--epochs", "3"], "--set 'training.epochs=3'"),
        (["train", "tiny.yaml", "--batch-size=8"], "--set 'training.batch_rows=8'"),
        (["train", "tiny.yaml", "--crf"], "--set 'outputs.NAME.head=crf'"),
        (["train", "tiny.yaml", "--time-limit", "60"], "that is --minutes 5"),
    ],
)
def test_an_option_that_is_a_setting_says_how_to_set_it(here, refused, words, says):
    refused(*words, says=[says])


def test_the_installed_command_starts_without_torch_and_keeps_its_exit_status(here):
    script = (
        "import sys; sys.argv[0] = 'ostinato'; from ostinato.cli.main import main\ntry: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    for words, code in ((["--help"], 0), (["list"], 0), (["train", "--help"], 0), (["predict"], 2)):
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
        assert done.returncode == code and done.stdout.splitlines()[-1] == "False", (words, done)


def test_predict_loads_only_what_it_needs(trained):
    """A cold answer takes as long as its imports."""
    code = (
        "import sys, ostinato.cli.main as cli\n"
        f"cli.group.main(['predict', {str(trained)!r}, 'zwei drei'], standalone_mode=False)\n"
        "heavy = ('scipy', 'sklearn', 'matplotlib', 'sacrebleu', 'pandas', 'polars')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    _, loaded = done.stdout.splitlines()
    assert loaded == "[]"


def test_python_measures_what_the_command_measures_baselines_included(here, cli):
    (here / "rows.csv").write_text("text,label\n" + "".join(f"a{row % 3} b,{'xy'[row % 2]}\n" for row in range(24)))
    (here / "r.yaml").write_text(
        "inputs: {text: {type: tokens, encoder: {hidden_size: 4}}}\noutputs: {label: category}\n"
        "data: {train: rows.csv, test: rows.csv}\ntraining: {epochs: 1}\n"
    )
    trained = cli("train", "r.yaml", "--out", "run", "--json").json
    report = cli("evaluate", "run", "--json").json
    assert len(report["baselines"]["label"]) >= 2 and {**report, "run": "run"} == {
        key: value for key, value in trained.items() if key not in ("training", "verdict", "next", "notes")
    }
    assert ostinato.load(here / "run").evaluate().to_json() == report
    other = ostinato.load("run").evaluate(here / "rows.csv").to_json()
    assert other == cli("evaluate", "run", "--data", "rows.csv", "--json").json and other["baselines"]


def test_python_streams_suggests_and_embeds_as_the_commands_do(here, cli):
    (here / "rows.txt").write_text("".join(f"the {word} sat\n" for word in ("cat", "dog", "cow") * 6))
    (here / "r.yaml").write_text(
        "inputs: {text: {type: text, tokenizer: word, encoder: {hidden_size: 4}}}\n"
        "outputs: {more: {of: text, align: next}}\n"
        "data: {train: rows.txt}\nsearch: greedy\ntraining: {epochs: 1, batch_rows: 4}\n"
    )
    assert cli("train", "r.yaml", "--out", "run").code == 0
    model, pieces = ostinato.load(here / "run"), []
    assert model.stream("the", pieces.append) == "".join(pieces)
    assert cli("predict", "run", "the", "--stream").out == "".join(pieces) + "\n"
    suggested = cli("suggest", "run", "the cat", "--words", "2", "--completions", "1", "--json").json["suggestions"]
    assert [each.to_json() for each in model.suggest(["the cat"], words=2, completions=1)] == suggested
    assert len(suggested[0]["words"]) == 2 and len(suggested[0]["completions"]) == 1
    embedded = cli("embed", "run", "the cat", "--json").json["rows"]
    assert embedded[0]["vector"] == pytest.approx(model.embed(["the cat"])[0].tolist())


def test_demo_shows_its_metric_answers_and_picture(here, cli, monkeypatch):
    builtin = catalogue.BUILTIN
    for split in ("train", "valid", "test"):
        lines = gzip.decompress((builtin / f"dates.{split}.tsv.gz").read_bytes()).decode().splitlines()
        short = [lines[0], *[line for line in lines[1:] if line.isascii()][:24]]
        (here / f"dates.{split}.tsv.gz").write_bytes(gzip.compress("\n".join(short).encode()))
    recipe = (builtin / "dates.yaml").read_text()
    (here / "dates.yaml").write_text(
        recipe.replace("epochs: 3", "epochs: 1").replace("hidden_size: 96", "hidden_size: 8")
    )
    monkeypatch.setattr(catalogue, "BUILTIN", here)
    said = cli("demo", "--out", "demo", "--json")
    assert (
        said.code == 0 and said.json["line"].startswith("exact match ") and "on 24 held-out dates" in said.json["line"]
    )
    assert (here / "demo" / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert "written" in cli("demo", "--run", "demo").out, "called again it shows the same run"


def test_demo_shapes_tells_how_many_captions_mean_the_picture(here, cli, monkeypatch):
    recipe = (catalogue.BUILTIN / "shapes.yaml").read_text()
    (here / "shapes.yaml").write_text(recipe.replace("epochs: 10", "epochs: 1").replace("size: 96", "size: 8"))
    monkeypatch.setattr(catalogue, "BUILTIN", here)
    monkeypatch.setattr(shapes, "SPLITS", dict.fromkeys(shapes.SPLITS, 12))
    said = cli("demo", "shapes", "--out", "demo", "--json")
    assert said.code == 0 and set(said.json["right_meaning"]) == {"test", "unseen"}
    assert "of 12 held-out pictures" in said.json["line"]
    assert (here / "demo" / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert cli(*shlex.split(said.json["next"])[1:]).code == 0


def test_errors_shows_the_worst_rows_and_writes_all_of_them(trained, tmp_path, cli, refused):
    shown = cli("errors", trained, "--top", "2", "--split", "valid", "--output", tmp_path / "rows.jsonl")
    assert (
        shown.code == 0 and "en: 8 rows of valid; loss in nats per target" in shown.out and "6 more rows" in shown.out
    )
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 8 and {"de", "en", "en_predicted", "en_loss"} <= rows[0].keys()
    assert len(cli("errors", trained, "--top", "2", "--json").json["rows"]) == 2
    refused("errors", trained, "--output", "rows.ods", says=["rows.ods", ".csv, .jsonl, .parquet"])


@pytest.mark.parametrize("number", [0, -1])
def test_no_answers_at_all_are_refused_in_python(trained, number):
    with pytest.raises(ConfigError, match=f"--n-best {number}: the number of answers to each row, 1 or more"):
        ostinato.load(trained).predict([{"de": "ein"}], n_best=number)


def test_a_run_whose_folder_is_gone_cannot_be_saved_elsewhere(trained, tmp_path):
    model = ostinato.load(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(BundleError, match="run: the folder of this run is gone.*fit again"):
        model.save(tmp_path / "other")


def test_the_recipe_that_a_run_keeps_finds_its_data_as_training_did(here, cli, monkeypatch):
    (here / "sets").mkdir()
    (here / "recipes").mkdir()
    (here / "train.tsv").rename(here / "recipes/train.tsv")
    (here / "test.tsv").rename(here / "recipes/test.tsv")
    (here / "valid.tsv").rename(here / "sets/valid.tsv")
    (here / "tiny.yaml").rename(here / "recipes/tiny.yaml")
    small = ("--set", "training.epochs=1", "--data-root", "sets")
    assert cli("train", "recipes/tiny.yaml", *small, "--run", "runs/a").code == 0
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    checked = cli("check", "../runs/a/recipe.yaml")
    assert checked.code == 0 and "recipe.yaml: good" in checked.out, checked.err
    again = cli("train", "../runs/a/recipe.yaml", "--run", "b")
    assert again.code == 0, again.err
    # A copy is a recipe like any other, and so is one whose folder is gone.
    (here / "elsewhere/recipe.yaml").write_text((here / "runs/a/recipe.yaml").read_text())
    assert cli("check", "recipe.yaml").code != 0
    (here / "recipes").rename(here / "moved")
    gone = cli("check", "../runs/a/recipe.yaml")
    assert gone.code != 0 and "no file train.tsv; looked at ../runs/a" in gone.err
