"""The results driver: what it writes of results that it has, and a whole row run small."""

import dataclasses
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """tools/results.py with a home of its own."""
    monkeypatch.syspath_prepend(HOME / "tools")
    spec = importlib.util.spec_from_file_location("results_tool", HOME / "tools" / "results.py")
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "results_tool", tool)
    spec.loader.exec_module(tool)
    for name in ("HOME", "RESULTS", "PAGE", "PLOT", "SPEED"):
        monkeypatch.setattr(tool, name, tmp_path / getattr(tool, name).relative_to(HOME))
    return tool


def result(row, value: float) -> dict:
    one = {"value": value, "low": value - 1, "high": value + 1, "method": "wilson"}
    return {
        "row": row.name,
        "commands": [" ".join(words) for words in row.commands().values()],
        "seed": 1,
        "minutes": 12.3,
        "machine": {"cores": 2, "processor": "some processor", "capability": "AVX2", "threads": 2, "torch": "2.13.0"},
        "date": "2026-01-02",
        "split": "test",
        "examples": 4182,
        "outputs": {shown.output: {shown.metric: one} for shown in row.shown},
        "exact_by_length": {str(length): 1 / length for length in range(1, 61)},
    }


def test_every_row_has_a_recipe_with_its_outputs_and_none_is_left_out(results):
    from ostinato.recipe.read import load

    for row in results.ROWS:
        judged = {"generated", "halves", "synthetic", "recorded"} if row.judge else set()
        settings = load(HOME / "recipes" / f"{row.recipe or row.name}.yaml", row.sets).settings
        assert all(f"--set {change} " in " ".join(row.commands()["train"]) for change in row.sets)
        assert {shown.output for shown in row.shown} <= {*settings.outputs, *judged}, row.name
        assert str(settings.data.test or settings.data.file).count("prepared-") == (1 if row.prepared else 0), row.name


def test_a_row_without_a_result_says_so(results):
    page = results.page({}, None)
    assert page.count("| not yet run |") >= sum(len(row.shown) for row in results.ROWS)
    assert "bottleneck.png" not in page


def test_the_page_says_whether_the_bar_is_met_or_by_how_much_it_is_missed(results):
    row = next(row for row in results.ROWS if row.name == "scan-simple")
    met, missed = results.page({row.name: result(row, 99.4)}, None), results.page({row.name: result(row, 97.75)}, None)
    assert "| exact_match | >= 99 | 99.40 | 98.40 to 100.40 | met | 12 |" in met
    assert "| exact_match | >= 99 | 97.75 | 96.75 to 98.75 | missed by 1.25 | 12 |" in missed
    assert "2 cores (some processor, AVX2, 2 threads, torch 2.13.0), 2026-01-02" in met
    assert "Stopped early." in results.page({row.name: {**result(row, 97.0), "note": "Stopped early."}}, None)
    most = results.Shown("sounds", "sequence_error", most=31.0)
    assert (most.verdict(30.9), most.verdict(31.5)) == ("met", "missed by 0.50")


def test_the_speed_beside_the_peer_stands_on_the_page(results):
    ratios = {"training": {"median": 3.1, "low": 2.9, "high": 3.3}, "decoding": {"median": 3.5, "low": 3, "high": 4}}
    page = results.page({}, {name: {"ratio": ratio} for name, ratio in ratios.items()})
    assert (
        "| >= 2.5 | 3.10 | 2.90 to 3.30 | met |" in page and "| >= 4 | 3.50 | 3.00 to 4.00 | missed by 0.50 |" in page
    )


def test_the_plot_is_drawn_from_the_results_alone(results):
    copies = {row.name: result(row, 50.0) for row in results.ROWS if row.name in results.COPY}
    results.PLOT.parent.mkdir(parents=True)
    assert not results.draw({}) and not results.PLOT.exists()
    assert results.draw(copies) and results.PLOT.stat().st_size > 5000
    assert "| additive attention | 10 | 5 | 3 | 2 | 2 | 2 |" in results.page(copies, None)


def test_sweeps_of_few_labels_and_of_architectures_are_one_table_each(results, tmp_path):
    import _sweep_rows as rows

    def swept(row, least: float) -> dict:
        values = [{"value": bar.value, "each": [least + place] * row.seeds} for place, bar in enumerate(row.bars)]
        return {"rows": values}

    known = {"ag-news": swept(rows.FEW[0], 70.0), "parity": swept(rows.PARITY, 50.0)}
    few, reviews = rows.FEWS
    assert few.verdict({}) == "" and few.verdict(known) == " Missed."
    assert few.verdict({"ag-news": swept(few.rows[0], 77.0)}) == " Met."
    first, second = reviews.rows[:2]
    for least, verdict in ((69.0, " Met."), (68.0, " Missed.")):
        assert reviews.verdict({first.name: swept(first, least), second.name: swept(second, 67.0)}) == verdict
    assert reviews.verdict({first.name: swept(first, 90.0)}) == ""
    assert (
        "| accuracy, worst seed |  | 70 | 70 to 72, 3 seeds |"
        in first.overview({"rows": [{"value": first.bars[0].value, "each": [72.0, 70.0, 71.0]}], "minutes": 1})[0]
    )
    lines = few.section(known)
    assert "| [a frozen MiniLM](#ag-news) | 70.0 (70.0 to 70.0) | 71.0 (71.0 to 71.0)" in "\n".join(lines)
    assert "not yet run" in lines[-5] and "few_labels.png" in lines[-1]
    assert [line.count("not yet run") for line in reviews.section(known)[6:10]] == [2] * len(reviews.rows)
    assert "| LSTM | not yet run | 51 | not yet run |" in rows.reach(known)
    few.draw({}, tmp_path)
    assert not (tmp_path / few.plot).exists()
    few.draw(known, tmp_path)
    assert (tmp_path / few.plot).stat().st_size > 5000


def test_a_row_of_several_runs_trains_each_and_measures_them_as_one(results):
    from _rows import Member

    row = dataclasses.replace(
        next(row for row in results.ROWS if row.name == "copy-none"),
        members=(Member("again", sets=("training.seed=2",)), Member("reversed", "copy-reversed")),
    )
    commands = {step: " ".join(words) for step, words in row.commands().items()}
    assert list(commands) == ["prepare", "train", "train again", "train reversed", "evaluate"]
    assert "recipes/copy-none.yaml --set training.seed=2 --out runs/results/copy-none-again" in commands["train again"]
    assert "recipes/copy-reversed.yaml --out runs/results/copy-none-reversed" in commands["train reversed"]
    runs = "runs/results/copy-none runs/results/copy-none-again runs/results/copy-none-reversed"
    assert commands["evaluate"].startswith(f"ostinato evaluate {runs} --split test")
    of_one = result(row, 90.0)
    several = {**{key: value for key, value in of_one.items() if key != "seed"}, "seeds": [1, 2, 1]}
    page = results.page({row.name: several}, None)
    assert "4,182 examples, 3 runs of seeds 1, 2, 1, 12.3 minutes" in page
    for row in results.ROWS:
        for member in row.members:
            assert (HOME / "recipes" / f"{member.recipe or row.recipe or row.name}.yaml").is_file()


def test_a_row_with_a_language_model_trains_it_and_measures_the_run_of_another_row_with_it(results):
    from ostinato.recipe.read import load

    rows = [row for row in results.ROWS if row.language]
    assert rows
    for row in rows:
        commands = {step: " ".join(words) for step, words in row.commands().items()}
        assert list(commands) == ["prepare", "train", "train language", "evaluate"]
        language, run = row.language.recipe, f"runs/results/{row.language.recipe}"
        own = next(other for other in results.ROWS if other.name == row.of)
        assert commands["train"] == " ".join(own.commands()["train"])
        assert commands["train language"].startswith(f"ostinato train recipes/{language}.yaml --out {run} --data-root")
        judged = f"--language-model {run} --language-weight {row.language.weight:g} --set search=beam"
        assert (
            commands["evaluate"].startswith(f"ostinato evaluate {own.runs()[0]} --split test")
            and judged in commands["evaluate"]
        )
        assert load(HOME / "recipes" / f"{language}.yaml").settings.outputs


def test_a_sweep_changes_its_recipe_before_it_varies_it(results):
    import _sweep_rows as rows

    words = rows.REVIEWS[0].commands("RUN")["sweep"]
    at = words.index("--set")
    assert words[at : at + 2] == ["--set", "data.train=prepared-imdb/train.tsv"] and at < words.index("--over")


@pytest.mark.slow
def test_a_row_is_prepared_trained_and_measured_once_and_names_no_folder_of_this_machine(
    results, tmp_path, monkeypatch, capfd
):
    row = next(row for row in results.ROWS if row.name == "copy-none")
    (tmp_path / "recipes").mkdir()
    recipe = (HOME / "recipes/copy-none.yaml").read_text().replace("hidden_size: 256", "hidden_size: 8")
    (tmp_path / "recipes/copy-none.yaml").write_text(recipe.replace("epochs: 8", "epochs: 1") + "  batch_steps: 200\n")
    folder = tmp_path / results.RUNS / "prepared-copy"
    folder.mkdir(parents=True)
    lines = ["given\tcopied\tlength", *(f"{text}\t{text}\t{len(text.split())}" for text in ("a", "b a") * 20)]
    longer = [" ".join("ab"[place % 2] for place in range(length)) for length in range(10, 61, 10)]
    lines += [f"{text}\t{text}\t{len(text.split())}" for text in longer]
    for split in ("train", "test"):
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(sys, "argv", ["results.py", "--only", "copy-none", "--data-root", str(tmp_path)])
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))

    assert results.main() == 0
    written = (results.RESULTS / "copy-none.json").read_text()
    found = json.loads(written)
    assert found["outputs"]["copied"]["exact_match"]["high"] <= 100 and found["examples"] == 46 and found["seed"] == 1
    assert set(found["exact_by_length"]) == {"1", "2", "10", "20", "30", "40", "50", "60"}
    assert found["exact_by_length"]["60"] == 0
    assert found["commands"] == [" ".join(words) for words in row.commands().values()]
    assert str(tmp_path) not in written and str(tmp_path) not in results.PAGE.read_text() and results.PLOT.is_file()

    shutil.rmtree(tmp_path / results.RUNS)
    capfd.readouterr()
    assert results.main() == 0 and "+" not in capfd.readouterr().out


def test_a_row_that_fails_is_told_and_leaves_no_result(results, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["results.py", "--only", "multi30k-en-fr", "--data-root", str(tmp_path)])
    results.PAGE.parent.mkdir(parents=True)
    assert results.main() == 1
    assert not (results.RESULTS / "multi30k-en-fr.json").exists() and "not yet run" in results.PAGE.read_text()


def test_a_sweep_meets_a_bar_only_with_all_its_seeds(results):
    row = results.SWEEPS[0]
    each = {bar.value: [0.001, 0.002, 0.02 if bar.value == "gru" else 0.003] for bar in row.bars}
    rows = [{"value": value, "parameters": 7, "seconds_per_epoch": 2.0, "each": one} for value, one in each.items()]
    machine = result(results.ROWS[0], 1.0)["machine"]
    page = results.page(
        {
            row.name: {
                "rows": rows,
                "seeds": [1, 2, 3],
                "minutes": 4.0,
                "machine": machine,
                "date": "2026-01-02",
                "note": "A note.",
            }
        },
        None,
    )
    assert "2026-01-02.\n\nA note.\n" in page
    assert (
        "| [adding](#adding), LSTM | mean squared error, worst seed | < 0.01 | 0.003 | 0.001 to 0.003, 3 seeds | met | "
        "4 |" in page
    )
    assert "| GRU | 7 | 2 | 0.001 | 0.002 | 0.02 | < 0.01 | missed by 1 of 3 seeds |" in page
    assert "> 0.1 | 0.001 | 0.001 to 0.003, 3 seeds | missed by 3 of 3 seeds |" in page
    assert "not yet run" in "\n".join(row.section(None, "runs/adding"))


def test_a_seed_that_failed_keeps_its_column_and_misses_the_bar(results, tmp_path):
    row, names = dataclasses.replace(results.SWEEPS[0], squared=False), ("a_seed-1", "a_seed-3")
    for name, value in zip(names, (0.25, 0.5)):
        (tmp_path / name).mkdir()
        metrics = {"test": {"outputs": {row.output: {row.metric: {"value": value}}}}}
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    swept = {
        "values": {"cell": "lstm"},
        "runs": names,
        "parameters": 7,
        "epochs": 6,
        "seconds_per_epoch": 5.0,
        "peak_memory": None,
    }
    (tmp_path / "sweep.json").write_text(json.dumps({"seeds": [1, 2, 3], "split": "test", "rows": [swept]}))
    found = row.found(tmp_path)
    assert found["rows"][0]["each"] == [0.25, None, 0.5] and found["minutes"] == 1.0
    page = results.page(
        {row.name: {**found, "machine": result(results.ROWS[0], 1.0)["machine"], "date": "2026-01-02"}}, None
    )
    assert "| LSTM | 7 | 5 | 0.25 | diverged | 0.5 | < 0.01 | missed by 3 of 3 seeds |" in page
    assert "| 0.25 to 0.5, 2 of 3 seeds, the others diverged | missed by 3 of 3 seeds |" in page


def test_a_sweep_with_a_run_that_diverged_is_a_result_and_one_without_a_table_is_none(results, tmp_path, monkeypatch):
    row, made = results.SWEEPS[0], tmp_path / results.RUNS / results.SWEEPS[0].name
    (tmp_path / results.RUNS / f"prepared-{row.name}").mkdir(parents=True)
    (tmp_path / results.RUNS / f"prepared-{row.name}/test.jsonl").touch()
    made.mkdir()
    (made / "sweep.json").write_text("of another time")
    writes = False

    def run(words, data_root):
        if writes:
            (made / "sweep.json").write_text(json.dumps({"seeds": [1], "split": "test", "rows": []}))
        raise subprocess.CalledProcessError(2, words)

    monkeypatch.setattr(results, "_run", run)
    with pytest.raises(subprocess.CalledProcessError):
        results.measure_sweep(row, "")
    writes = True
    assert results.measure_sweep(row, "")["rows"] == []


@pytest.mark.slow
def test_a_sweep_is_measured_seed_by_seed(results, tmp_path, monkeypatch):
    row = dataclasses.replace(
        results.SWEEPS[0], name="sums", seeds=2, bars=results.SWEEPS[0].bars[1:3], over="inputs.numbers.encoder.cell"
    )
    monkeypatch.setattr(results, "SWEEPS", (row,))
    (tmp_path / "recipes").mkdir()
    (tmp_path / "docs").mkdir()
    recipe = (HOME / "recipes/sums.yaml").read_text()
    (tmp_path / "recipes/sums.yaml").write_text(re.sub(r"epochs: \d+", "epochs: 1", recipe))
    folder = tmp_path / results.RUNS / "prepared-sums"
    folder.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        rows = [{"numbers": [place, 1], "sum": place + 1.0, "length": 2} for place in range(20)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    monkeypatch.setattr(sys, "argv", ["results.py", "--only", "sums", "--data-root", str(tmp_path)])
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(results, "ROWS", ())
    assert results.main() == 0
    written = (results.RESULTS / "sums.json").read_text()
    found = json.loads(written)
    assert [one["value"] for one in found["rows"]] == ["gru", "{type: rnn}"] and found["seeds"] == [1, 2]
    own = json.loads((tmp_path / results.RUNS / "sums/cell-gru_seed-2/metrics.json").read_text())["test"]["outputs"][
        "sum"
    ]["rmse"]["value"]
    assert found["rows"][0]["each"][1] == own**2 and str(tmp_path) not in written
