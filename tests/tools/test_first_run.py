"""The benchmark of first runs: its tables, that a set is measured once, its page."""

import gzip
import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
WORDS = {"good": ["fine", "great", "lovely"], "bad": ["awful", "dull", "poor"]}


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """benchmarks/first_run.py, with the modules beside it."""
    monkeypatch.syspath_prepend(str(HOME / "benchmarks"))
    monkeypatch.syspath_prepend(str(HOME / "tools"))
    for name in ("_first_run_sets", "_first_run_page", "prepare"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("first_run", HOME / "benchmarks" / "first_run.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "first_run", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    yield module
    for name in ("_first_run_sets", "_first_run_page", "prepare"):
        sys.modules.pop(name, None)


@pytest.fixture
def sets(tool):
    return sys.modules["_first_run_sets"]


def rows(count: int) -> list[tuple[str, str]]:
    return [
        (f"a {WORDS[label][number % 3]} film by {number}", label)
        for number, label in enumerate(["good", "bad"] * (count // 2))
    ]


def tiny(sets, **changes):
    """A set of 60 rows for training, 10 for valid and 10 for test."""
    parts = {"train": rows(60), "valid": rows(10), "test": rows(10)}
    tables = {part: (("text", "label"), listed) for part, listed in parts.items()}
    settings = {"name": "tiny", "task": "films", "tables": lambda _: tables, "inputs": ("text",)}
    return sets.Set(**{**settings, "outputs": ("label",), "measures": (sets.Measure("label"),), **changes})


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_state_of_a_package_without_git_is_its_version(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "PACKAGE", tmp_path)
    assert tool.state_of_package() == importlib.metadata.version("ostinato")


def test_rows_held_out_of_training_go_back_to_it_for_the_test(sets, tmp_path):
    held_out, standard = tiny(sets, held_out=True), tiny(sets)
    for chosen, part, expected in (
        (held_out, "valid", 60),
        (held_out, "test", 70),
        (standard, "valid", 60),
        (standard, "test", 60),
    ):
        files = sets.written(part, chosen, tmp_path, tmp_path / part)
        assert files.rows == (expected, 10)
        assert len(files.train.read_text().splitlines()) == 1 + expected


def test_fewer_rows_are_spread_over_a_file_that_is_sorted_by_label(sets, tmp_path):
    ordered = sorted(rows(60), key=lambda row: row[1])
    chosen = tiny(sets, tables=lambda _: dict.fromkeys(("train", "valid", "test"), (("text", "label"), ordered)))
    files = sets.written("valid", chosen, tmp_path, tmp_path, most=10)
    labels = [line.split("\t")[1] for line in files.train.read_text().splitlines()[1:]]
    assert labels == ["bad"] * 5 + ["good"] * 5


@pytest.mark.parametrize(("per_step", "form"), [(1, "tsv"), (2, "tsv"), (0, "jsonl")])
def test_the_table_of_a_forecast_holds_no_step_of_the_test_while_valid_is_measured(sets, tmp_path, per_step, form):
    steps = list(range(20))
    table = [("a", steps)] if not per_step else [(str(step), "x") for step in steps for _ in range(per_step)]
    chosen = tiny(
        sets, tables=lambda _: {"series": (("id", "value"), table)}, form=form, ends=sets.Ends(3, 4, rows=per_step)
    )
    for part, last, measured in (("valid", 15, 3), ("test", 19, 4)):
        files = sets.written(part, chosen, tmp_path, tmp_path)
        text = files.train.read_text()
        seen = (
            read(files.train)[0]["value"]
            if not per_step
            else [int(line.split("\t")[0]) for line in text.split("\n")[1:-1]]
        )
        assert max(seen) == last and files.measured is None
        assert files.settings == (f"data.split={{test: {measured}}}",)


def test_a_residue_that_is_not_resolved_has_no_label(sets, tmp_path):
    folder = tmp_path / "protein-secondary-structure"
    folder.mkdir()
    names = [
        f"p{number} SET={word}"
        for number, word in enumerate(("train VALIDATION=False", "test", "train VALIDATION=True"))
    ]
    for file, cells in (("sampled", "CHE"), ("sequences", "MKV"), ("mask", "011")):
        text = "".join(f">{name if file == 'sampled' else name.split()[0]}\n{cells}\n" for name in names)
        (folder / f"{file}.fasta.gz").write_bytes(gzip.compress(text.encode()))
    protein = next(chosen for chosen in sets.SETS if chosen.name == "protein-q3")
    tables = protein.tables(tmp_path)
    assert {part: listed for part, (_, listed) in tables.items()} == dict.fromkeys(
        ("train", "valid", "test"), [(["M", "K", "V"], [None, "H", "E"])]
    )


def test_a_cell_with_a_tab_is_refused_before_it_shifts_columns(sets, tmp_path):
    chosen = tiny(
        sets, tables=lambda _: dict.fromkeys(("train", "valid", "test"), (("text", "label"), [("a\tb", "c")]))
    )
    with pytest.raises(ValueError, match="jsonl"):
        sets.written("valid", chosen, tmp_path, tmp_path)


def run(tool, monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["first_run.py", *words])
    tool.main()


@pytest.mark.slow
def test_a_set_is_trained_measured_against_baselines_and_not_measured_again(tool, sets, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "SETS", (tiny(sets), tiny(sets, name="broken", inputs=("no",))))
    words = ["--data-root", str(tmp_path), "--out", str(tmp_path / "rows.jsonl"), "--work", str(tmp_path / "work")]
    words += ["--seeds", "1", "--threads", "1", "--minutes", "0.1"]
    run(tool, monkeypatch, *words)
    good, failed = read(tmp_path / "rows.jsonl")
    (figures,) = good["measures"]
    assert good["types"] == {"text": "text", "text_ngrams": "text", "label": "category"} and good["rows"] == [60, 10]
    assert figures["metric"] == "accuracy" and figures["low"] <= figures["value"] <= figures["high"]
    assert set(figures["baselines"]) == {"majority class", "n-gram logistic regression"}
    compared = figures["difference"]
    assert compared["first"] == figures["baselines"][figures["best"]] and compared["second"] == figures["value"]
    assert len(good["runs"]) == 1 and good["runs"][0]["epochs"] >= 1 and good["runs"][0]["seconds"] > 0
    assert "there is no column 'no'" in failed["error"]
    assert str(tmp_path) not in good["command"]
    capsys.readouterr()
    run(tool, monkeypatch, *words)
    assert capsys.readouterr().out == "tiny: there already\nbroken: there already\n"
    assert len(read(tmp_path / "rows.jsonl")) == 2


def test_the_minutes_of_training_are_estimated_from_two_epochs(tool, sets, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "SETS", (tiny(sets),))
    words = ["--data-root", str(tmp_path), "--out", str(tmp_path / "rows.jsonl"), "--work", str(tmp_path / "work")]
    run(tool, monkeypatch, *words, "--threads", "1", "--estimate", "--minutes", "1")
    (row,) = read(tmp_path / "rows.jsonl")
    assert row["kind"] == "estimate" and len(row["epoch_seconds"]) == 2 and row["epochs"] >= 2
    assert row["minutes"] > 0 and row["processor_minutes"] > 0
    assert "tiny: " in capsys.readouterr().out


def figures(value: float, baseline: float, p_value: float, real: bool) -> dict:
    difference = {"difference": value - baseline, "p_value": p_value, "real": real}
    about = {"output": "label", "metric": "accuracy", "unit": "%", "higher_is_better": True, "seeds": [value]}
    known = {"value": value, "low": value - 1, "high": value + 1, "baselines": {"counting": baseline}}
    return {**about, **known, "best": "counting", "difference": difference}


def row(name: str, shown: dict, seconds: float = 60.0) -> dict:
    timing = {
        "seconds": 9.0,
        "processor_seconds": seconds,
        "training_seconds": 1.0,
        "epochs": 5,
        "best_epoch": 3,
        "interrupted": False,
    }
    head = {
        "kind": "row",
        "set": name,
        "part": "test",
        "package": "abc",
        "most_rows": None,
        "minutes": 5.0 + (name == "two"),
        "rows": [60, 10],
    }
    on = {"machine": {"cores": 2, "threads": 1, "processor": "P", "torch": "2"}, "date": "2026-01-01"}
    return {**head, "runs": [timing], "measures": [shown], **on}


def test_the_page_counts_what_is_really_worse_after_holms_correction(tool, sets, monkeypatch):
    pages = sys.modules["_first_run_page"]
    monkeypatch.setattr(pages, "SETS", tuple(tiny(sets, name=name) for name in ("one", "two", "three", "four", "five")))
    rows = [
        row("one", figures(90.0, 80.0, 0.001, True), seconds=30.0),
        # 0.03 alone is real; the third smallest of four is 0.06.
        row("two", figures(70.0, 75.0, 0.03, True)),
        row("three", figures(60.0, 75.0, 0.002, True)),
        row("five", figures(75.0, 75.0, 0.9, False)),
        {"kind": "row", "set": "four", "part": "test", "package": "abc", "most_rows": None, "error": "no such file"},
        {"kind": "estimate", "set": "one", "part": "test", "package": "old", "processor_minutes": 4.0},
        {**row("one", figures(1.0, 2.0, 0.5, False)), "part": "valid"},
        {**row("one", figures(1.0, 2.0, 0.5, False)), "most_rows": 200},
    ]
    made = pages.page(rows, "test")
    assert "| no set on which the baseline is really better | three | missed |" in made
    # 1 - 10/20, 1 - 30/25, 1 - 40/25 and 1 - 25/25.
    assert "| mean relative reduction of the error >= 10 % | -7.5 % over 4 figures | missed |" in made
    assert "| minutes in all at most 50 % of those before | 0 of 4, 1 sets | met |" in made
    assert "+10.0 **better**" in made and "-5.0 |" in made and "-15.0 **worse**" in made
    assert "--part test --minutes 5 --threads 1\n" in made and "--minutes 6 --threads 1 --sets two\n" in made
    assert "Not measured yet" not in made
    assert "\nNot measured yet: three, four, five.\n" in pages.page(rows[:2], "test")
    again = [*rows, {**rows[0], "again": "the clock stood still"}]
    assert "Second looks" not in made
    assert "## Second looks" in (told := pages.page(again, "test")) and "\n- one: the clock stood still.\n" in told
    assert "- four: no such file" in made and "| 0.5 | 4.0 |" in made


def test_near_the_tuned_recipe_is_two_points_or_a_twentieth_of_the_error(tool, sets):
    pages = sys.modules["_first_run_page"]
    share = {"value": 78.1, "higher_is_better": True}
    assert pages.is_close(tiny(sets), share, 80.0) and not pages.is_close(tiny(sets), share, 80.2)
    mse = {"value": 0.42, "higher_is_better": False}
    forecast = tiny(sets, ends=sets.Ends(1, 1))
    assert pages.is_close(forecast, mse, 0.4) and not pages.is_close(forecast, mse, 0.39)


def test_every_set_has_names_of_its_own_and_tuned_recipes_that_are_there(sets):
    listed = [chosen for chosen in sets.SETS if chosen.listed]
    assert len(listed) >= 24 and len({chosen.name for chosen in sets.SETS}) == len(sets.SETS)
    for chosen in listed:
        for measure in chosen.measures:
            if measure.tuned is not None:
                output, key = measure.tuned
                result = json.loads((HOME / f"docs/results/{chosen.recipe}.json").read_text(encoding="utf-8"))
                assert "value" in result["outputs"][output][key], chosen.name
