"""More arguments than a command has: what it says of them, followed."""

import pytest


@pytest.mark.parametrize("verb", ["look", "train", "init"])
def test_parallel_files_are_named_in_one_argument_as_the_advice_writes_it(tmp_path, monkeypatch, cli, verb):
    monkeypatch.chdir(tmp_path)
    for ending in ("en", "de"):
        (tmp_path / f"train.{ending}").write_text("a b c\nd e f\n" * 20)
    said = cli(verb, "train.en", "train.de")
    assert (
        said.code == 2 and "train.de: one file or recipe at a time; name files whose lines belong together" in said.err
    )
    named = said.err.partition("in one argument: '")[2].partition("'")[0]
    assert named == "{en: train.en, de: train.de}"
    small = ["--set", "training.epochs=1", "--set", "training.max_updates=1"] * (verb == "train")
    assert cli(verb, named, *small).code == 0


def test_a_text_that_generate_gets_is_advised_to_be_continued_by_predict(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    said = cli("generate", "run", "once", "upon")
    assert said.code == 2
    assert "once upon: it starts from no text; to continue one use ostinato predict RUN TEXT" in said.err
    assert "there is no such folder" in cli("predict", "run", "once upon").err


def test_how_a_table_is_written_is_set_for_look_and_init_as_the_advice_says(tmp_path, monkeypatch, cli, refused):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("Export,\nreview,label\n" + "good one,pos\nbad one,neg\n" * 10)
    said = cli("look", "t.csv")
    assert (
        "line 1 names one column alone; if line 1 is a title and line 2 names the columns, set data.header: 2"
        in said.out
    )
    assert "review: category; 2 different" in cli("look", "t.csv", "--set", "data.header=2").out
    recipe = cli("init", "t.csv", "--set", "data.header=2").out
    assert "--set data.header=2`" in recipe.splitlines()[0] and "header: 2" in recipe
    (tmp_path / "r.yaml").write_text(recipe)
    assert cli("check", "r.yaml").code == 0
    advice = "a look at a file has no other settings than data.delimiter, "
    refused("look", "t.csv", "--set", "training.epochs=2", says=[advice, "data.header; leave it out"])
