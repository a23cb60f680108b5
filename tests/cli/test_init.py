"""The commands that begin with a file: `init` writes a recipe and `train DATA` trains it, the guesses told on standard
error."""

import pytest

from ostinato.recipe.read import load


@pytest.fixture
def orders(here):
    lines = [
        f"{verb} {times}\t{' '.join([verb.upper()] * number)}"
        for verb in "abcdefgh"
        for times, number in (("twice", 2), ("thrice", 3))
    ]
    (here / "orders.tsv").write_text("\n".join(["order\tactions", *lines]) + "\n")
    return here


def test_the_recipe_goes_to_standard_output_and_the_reasons_beside_it(orders, cli):
    said = cli("init", "orders.tsv", "--in", "order:tokens", "--out", "actions:tokens")
    assert said.code == 0 and "input order: tokens (as told)" in said.err and "#" not in said.err
    (orders / "own.yaml").write_text(said.out)
    assert cli("check", "own.yaml").code == 0
    found = cli("init", "orders.tsv", "--json").json
    assert found["file"] is None and "NOT SURE" in found["recipe"]


def test_a_recipe_is_written_beside_and_never_over(orders, cli, refused):
    said = cli("init", "orders.tsv", "--recipe", "recipes/one.yaml")
    assert (said.code, said.out) == (0, "") and "next: ostinato train recipes/one.yaml" in said.err
    assert "../orders.tsv" in (orders / "recipes/one.yaml").read_text(), "paths are relative to the recipe"
    assert cli("check", "recipes/one.yaml").code == 0
    (orders / "mine.yaml").write_text("precious")
    refused("init", "orders.tsv", "--recipe", "mine.yaml", says=["mine.yaml", "exists already", "overwrites nothing"])
    assert (orders / "mine.yaml").read_text() == "precious"
    refused("init", "none.tsv", says=["no file none.tsv"])
    refused("init", "orders.tsv", "--out", "action", says=["did you mean 'actions'"])


def test_one_line_trains_what_init_would_write(orders, cli, refused):
    sets = ["training.epochs=1", "inputs.order.encoder.hidden_size=4", "search=greedy"]
    words = [
        "train",
        "orders.tsv",
        "--in",
        "order:tokens",
        "--out",
        "actions:tokens",
        *(word for one in sets for word in ("--set", one)),
    ]
    said = cli(*words)
    assert said.code == 0 and "output actions: tokens (as told)" in said.err
    assert (orders / "runs/orders/weights.safetensors").is_file()
    assert cli("predict", "runs/orders", "a twice").code == 0
    assert "this run is finished" in cli(*words, "--resume").err
    refused(*words, says=["holds a run already", "--resume"])
    assert cli(*words, "--run", "elsewhere").code == 0 and (orders / "elsewhere/bundle.json").is_file()
    refused("train", "orders.tsv", "--out", "runs/here", says=["--run DIR"])
    refused("train", "orders.tsv", "--set", "training.epochz=1", says=["epochz", "did you mean"])


def test_a_recipes_out_is_still_its_folder(here, refused):
    refused("train", "tiny.yaml", "--out", "a", "--out", "b", says=["one run folder"])
    refused("train", "tiny.yaml", "--out", "a", "--run", "b", says=["one run folder"])
    refused("train", "nowhere", says=["there is no recipe nowhere"])


def test_columns_whose_names_a_recipe_cannot_have_are_named_beside(here, cli, refused):
    heads = ["sepal.length", "sepal_length", "values", "type"]
    lines = [f"{number / 7:.3f},{number * 37 % 100},{number % 5},{'ab'[number % 2]}" for number in range(100)]
    (here / "iris.csv").write_text("\n".join([",".join(heads), *lines]) + "\n")
    said = cli("init", "iris.csv", "--recipe", "iris.yaml")
    assert said.code == 0, said.err
    found = load(here / "iris.yaml").settings
    columns = {name: one.column for name, one in [*found.inputs.items(), *found.outputs.items()]}
    assert columns == {"sepal_length_": "sepal.length", "sepal_length": None, "values_": "values", "type_": "type"}
    words = ("train", "iris.csv", "--in", "sepal.length", "--in", "values:number", "--out", "type")
    assert cli(*words, "--set", "inputs.sepal_length.encoder.hidden_size=4", "--set", "training.epochs=1").code == 0
    (here / "asked.jsonl").write_text('{"sepal.length": 1.5, "values": 3}\n')
    said = cli("predict", "runs/iris", "--input", "asked.jsonl")
    assert said.out.strip() in ("a", "b"), said.err
    refused("init", "iris.csv", "--in", "sepal_lenght", says=["did you mean 'sepal_length'"])


def test_a_single_column_whose_name_a_recipe_cannot_have_goes_on(here, cli):
    (here / "one.csv").write_text("\n".join(["items", *(f"a {'b' * number} c." for number in range(60))]) + "\n")
    assert cli("init", "one.csv", "--recipe", "one.yaml").code == 0
    found = load(here / "one.yaml").settings
    assert found.inputs["items_"].column == "items" and (
        found.outputs["going_on"].of,
        found.outputs["going_on"].column,
    ) == ("items_", "items")


def test_a_table_by_date_is_forecast_in_one_line(here, cli, refused):
    lines = [f"2024-01-{1 + row // 24:02d} {row % 24:02d}:00,{10 + row % 24},{row % 7}" for row in range(400)]
    (here / "load.csv").write_text("\n".join(["hour,load,heat", *lines]) + "\n")
    sets = ["training.epochs=1", "outputs.forecast.horizon=6", "inputs.load.encoder.hidden_size=4"]
    said = cli(
        "train", "load.csv", "--in", "load,heat", "--out", "load", *(word for one in sets for word in ("--set", one))
    )
    assert said.code == 0 and "the time is hour, one hour from row to row" in said.err
    assert len(cli("predict", "runs/load", "--input", "load.csv").out.split()) == 6
    refused(
        "train",
        "load.csv",
        "--in",
        "load",
        "--out",
        "load",
        "--set",
        "data.time=heat",
        "--run",
        "b",
        says=["sort the rows by 'heat'"],
    )


def test_a_forecast_is_one_option_which_the_note_names(here, cli):
    hours = [f"2024-01-{day:02} {hour:02}:00" for day in range(1, 10) for hour in range(24)]
    (here / "load.csv").write_text(
        "\n".join(["date,site,load", *(f"{date},x,{int(date[8:10]) * int(date[11:13])}.5" for date in hours)])
    )
    said = cli("init", "load.csv", "--out", "load")
    assert "write --forecast load" in said.err and "horizon" not in said.out
    assert cli("init", "load.csv", "--forecast", "load").out == cli("init", "load.csv", "--out", "load:series").out
    train = ("train", "load.csv", "--forecast", "load", "--set", "training.epochs=1", "--minutes", "1")
    assert "forecast" in cli(*train, "--json").json["outputs"]


def test_a_table_of_a_spreadsheet_and_columns_from_left_to_right_are_taken_by_every_verb(here, cli):
    rows = "".join(f"Möbel {row};1.00{row % 10},5;{'groß' if row % 3 else 'klein'}\n" for row in range(30))
    (here / "items.csv").write_bytes(f"Titel;Preis;Art\n{rows}".encode("cp1252"))
    sets = ("--set", "training.epochs=1", "--set", "inputs.Titel.encoder.hidden_size=4")
    said = cli("train", "items.csv", "--out", "Art", *sets)
    assert said.code == 0 and "'.' between thousands" in said.err and "as cp1252 (Western Europe)" in said.err
    assert set(cli("predict", "runs/items", "--input", "items.csv").out.split()) <= {"groß", "klein"}
    assert cli("evaluate", "runs/items", "--data", "items.csv").code == 0
    (here / "words.txt").write_text("Bonn NNP x B-LOC\nist VB y O\n\n" * 30)
    named = "{word _ _ tag: words.txt}"
    sets = ("--set", "training.epochs=1", "--set", "inputs.word.encoder.hidden_size=4")
    assert cli("train", named, "--out", "tag", *sets).code == 0
    assert cli("predict", "runs/words", "--input", named).code == 0
    assert cli("evaluate", "runs/words", "--data", named).code == 0
