"""`ostinato import`: the run of another tool's model is an ordinary one."""

import json

import pytest
from click.testing import CliRunner

from ostinato.cli.main import group
from tests.importers.made_by_joeynmt import KEPT

TABLE = "de\ten\n" + "".join(f"ein hund {word}\ta dog {said}\n" for word, said in zip("abcd", "wxyz")) * 3


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(group, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.mark.parametrize("name", ["joeynmt-recurrent", "joeynmt-transformer"])
def test_all_that_takes_a_run_takes_it(name, command, tmp_path):
    (tmp_path / "pairs.tsv").write_text(TABLE)
    made = json.loads(command("import", str(KEPT / name), "--out", "runs/joey", "--json"))
    assert made["run"] == "runs/joey" and made["notes"][0].startswith("imported from JoeyNMT: config.yaml, best.ckpt")
    assert command("predict", "runs/joey", "ein hund", "--set", "search.max_length=5")
    assert "bleu" in json.loads(command("evaluate", "runs/joey", "--data", "pairs.tsv", "--json"))["outputs"]["en"]
    nothing = CliRunner().invoke(group, ["evaluate", "runs/joey"])
    assert "this run knows no valid split; give --data FILE" in str(nothing.exception)
    assert command("report", "runs/joey", "--data", "pairs.tsv")
    assert len(command("score", "runs/joey", "--input", "pairs.tsv").splitlines()) >= 12
    assert command("embed", "runs/joey", "ein hund")
    recipe = {
        "data": {"train": "pairs.tsv", "valid": "pairs.tsv"},
        "inputs": {"de": {"type": "text", "encoder": name.removeprefix("joeynmt-")}},
        "outputs": {"en": "text"},
        "training": {"epochs": 1},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    command("train", "recipe.yaml", "--from", "runs/joey", "--run", "runs/tuned")
    tuned = json.loads((tmp_path / "runs/tuned/bundle.json").read_text())
    assert set(tuned["data"]["from"]["parts"]) == {"inputs.de.encoder", "outputs.en.head"}
    assert "imported from JoeyNMT" in (tmp_path / "runs/joey/README.md").read_text()


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("joeynmt-transformer", "de\ten\n" + "ein hund\ta dog\nwiese\tmeadow\n" * 9),
        ("opennmt-recurrent", "src\ttgt\n" + "ein hund\ta dog\nwiese\tmeadow\n" * 9),
        ("opennmt-transformer", "src\ttgt\n" + "ein hund\ta dog\nwiese\tmeadow\n" * 9),
        ("flair-tagger", "words\ttags\n" + "the dog\tOTHER NOUN\n" * 18),
        ("fastai-language-model", "text\n" + "the dog runs\na cat\n" * 9),
    ],
)
def test_training_goes_on_with_a_table_alone(name, table, command, tmp_path):
    """Its columns are the run's, although few rows look like categories; and resumed without the first run."""
    (tmp_path / "table.tsv").write_text(table)
    command("import", str(KEPT / name), "--out", "runs/first")
    made = ("train", "table.tsv", "--from", "runs/first", "--run", "runs/tuned")
    command(*made, "--set", "training.epochs=1")
    tuned = json.loads((tmp_path / "runs/tuned/bundle.json").read_text())
    parts = set(tuned["data"]["from"]["parts"])
    assert len(parts) == 2 and {part.rpartition(".")[2] for part in parts} == {"encoder", "head"}
    (tmp_path / "runs/first").rename(tmp_path / "elsewhere")
    command(*made, "--resume", "--set", "training.epochs=2")
    assert json.loads((tmp_path / "runs/tuned/bundle.json").read_text())["data"]["from"] == tuned["data"]["from"]


def test_without_a_name_the_run_is_called_as_the_folder(command, tmp_path):
    command("import", str(KEPT / "joeynmt-recurrent"))
    assert (tmp_path / "runs/joeynmt-recurrent/weights.safetensors").is_file()
