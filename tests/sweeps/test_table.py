"""The table of a sweep: pairs along each axis, what cannot be paired is said, bins by length hold every example
once."""

import hashlib
import itertools
import json

import numpy as np
import pytest

from ostinato.evaluation.intervals import difference
from ostinato.metrics.contract import Order
from ostinato.probes.pictures import picture
from ostinato.registry import make, settings_class
from ostinato.sweeps import pictures as comparison
from ostinato.sweeps import table as comparing
from ostinato.sweeps.report import Bin, Line
from ostinato.sweeps.sweep import Axis, Planned
from ostinato.sweeps.table import Measurements, Trial

CELL = Axis("inputs.x.encoder.cell", ("rnn", "gru", "lstm"), "cell")
PART = Axis("data.fraction", ("0.1", "1"), "fraction")


def shares(rate, seed, number=300):
    hits = np.random.default_rng(seed).random(number) < rate
    return np.stack([hits, np.ones(number)], 1).astype(float)


def trial(rate, seed, examples="same", steps="same", number=300, order=None):
    bits = np.stack([np.full(number, -rate), np.ones(number)], 1)
    return Trial(
        parameters=1000,
        split="test",
        training_rows=50 if rate < 0.5 else 500,
        outputs={
            "y": Measurements(
                {name: settings_class("metrics", name)() for name in ("exact_match", "perplexity")},
                {"exact_match": shares(rate, seed, number), "perplexity": bits},
                1 + np.arange(number) % 23,
                examples,
                steps,
                order,
            )
        },
    )


def made(folder, lines, trials, failed=()):
    """The report on trials by (values, seed)."""
    planned = []
    for (values, seed), _ in trials.items():
        name = f"{'-'.join(values)}-{seed}"
        run = folder / name
        run.mkdir(exist_ok=True)
        history = [{"event": "update"}, {"event": "epoch", "epoch": 2, "seconds": 4.0}]
        (run / "history.jsonl").write_text("\n".join(map(json.dumps, history)))
        planned.append(
            Planned(name, dict(zip((axis.label for axis in lines), values)), seed, None, ("train", name), run)
        )
    found = {one.name: each for one, each in zip(planned, trials.values()) if one.name not in failed}
    return comparing.report("a.yaml", lines, planned, found, dict.fromkeys(failed, "DataError: no rows"), folder)


def test_each_value_is_paired_with_the_first_of_its_axis_and_p_is_corrected_for_their_number(tmp_path):
    rates = {"rnn": 0.3, "gru": 0.6, "lstm": 0.62}
    names = itertools.product(rates, PART.values, (1, 2, 3))
    trials = {((cell, part), seed): trial(rates[cell], seed) for cell, part, seed in names}
    report = made(tmp_path, [CELL, PART], trials)
    matches = [one for one in report.differences if one.metric == "exact_match"]
    told = {(one.axis, one.first, one.second, *one.others.values()) for one in matches}
    assert told == {("cell", "rnn", other, part) for other in ("gru", "lstm") for part in PART.values} | {
        ("fraction", "0.1", "1", cell) for cell in CELL.values
    }
    cells = [one for one in matches if one.axis == "cell"]
    assert all(one.compared.real and one.compared.better == "second" and one.compared.difference > 20 for one in cells)
    apart = [
        trials[(cell, "1"), seed].outputs["y"].statistics["exact_match"]
        for cell in ("rnn", "gru")
        for seed in (1, 2, 3)
    ]
    known = difference(make("metrics", "exact_match"), apart[:3], apart[3:], shared=True).p_value
    (told,) = (one.compared.p_value for one in cells if one.second == "gru" and one.others == {"fraction": "1"})
    assert 4 * known <= told <= 7 * known, "corrected for seven differences"
    assert not any(one.compared.real for one in matches if one.axis == "fraction")
    row = report.rows[0]
    assert (row.seconds_per_epoch, row.epochs, row.parameters, len(row.runs)) == (2.0, 2.0, 1000, 3)
    assert "Student's t over 3 seeds" in row.outputs["y"]["exact_match"].method
    assert not any("one seed" in note for note in report.notes)


def test_what_is_real_stays_so_among_many(tmp_path):
    """With p of 2 / 1001 at least none of 26 differences could be real."""
    rates = {str(number): 0.3 for number in range(28)} | {"27": 0.6}
    trials = {((cell,), 1): trial(rate, int(cell)) for cell, rate in rates.items()}
    found = made(tmp_path, [Axis(CELL.path, tuple(rates), "cell")], trials).differences
    assert [one.second for one in found if one.metric == "exact_match" and one.compared.real] == ["27"]


def test_the_advice_on_one_seed(tmp_path):
    report = made(tmp_path, [CELL], {((cell,), 1): trial(0.5, 1) for cell in CELL.values})
    advice = "one seed: these differences are between runs, not between methods; --seeds 3 tells them apart"
    assert advice in report.notes and "not between methods" in report.markdown()
    three = made(tmp_path, [CELL], {((cell,), seed): trial(0.5, seed) for cell in CELL.values for seed in (1, 2, 3)})
    assert not any("one seed" in note for note in three.notes)


def test_neighbours_in_time_are_drawn_in_blocks(tmp_path):
    order = Order([0] * 300, 20, "window", "series")
    report = made(
        tmp_path, [CELL], {((cell,), 1): trial(0.5, seed, order=order) for seed, cell in enumerate(CELL.values)}
    )
    assert (
        report.rows[0].outputs["y"]["exact_match"].method.startswith("block bootstrap over 15 blocks of 20 windows, ")
    )
    methods = [one.compared.method for one in report.differences]
    assert all(method.startswith("paired block bootstrap over 15 blocks of 20 windows, ") for method in methods)
    assert all("block bootstrap" in one.method for one in report.by_length["y"][0].bins)


def test_what_is_kept_of_a_run_is_what_was_judged():
    for time in (None, [*range(200), *range(100)]):
        whole = trial(0.5, 1, order=Order([0] * 200 + [3] * 100, 4, "window", "series", time))
        arrays, facts = comparing._packed(whole, "key")
        assert comparing._unpacked(json.loads(json.dumps(facts)), arrays).outputs["y"].order == whole.outputs["y"].order
    assert comparing._unpacked(*reversed(comparing._packed(trial(0.5, 1), "key"))).outputs["y"].order is None


def test_references_are_hashed_piece_by_piece_as_the_whole_was():
    values = [[np.array([[1.0, np.nan]]), "ä", ["a", None], np.float32(0.5)], None, [[], ["b"]]]
    plain = lambda one: one.tolist()  # noqa: E731
    known = hashlib.sha256(json.dumps(values, default=plain).encode()).hexdigest()
    assert comparing._hash(values) == known


def test_what_cannot_be_paired_is_left_out_and_told(tmp_path):
    report = made(
        tmp_path, [CELL], {(("rnn",), 1): trial(0.5, 1), (("gru",), 1): trial(0.6, 1, steps="another tokenizer")}
    )
    assert [one.metric for one in report.differences] == ["exact_match"]
    assert any(note.startswith("y.perplexity: ") and "one tokenizer" in note for note in report.notes)
    report = made(tmp_path, [CELL], {(("rnn",), 1): trial(0.5, 1), (("gru",), 1): trial(0.6, 1, examples="other")})
    assert not report.differences and any("different examples" in note for note in report.notes)


def test_bits_per_character_compare_runs_of_different_tokenizers(tmp_path):
    rows = np.stack([np.full(300, -9.0), np.full(300, 4.0)], 1)
    trials = {((cell,), 1): trial(0.5, at, steps=cell) for at, cell in enumerate(("rnn", "gru"))}
    for one in trials.values():
        one.outputs["y"].statistics["bits_per_character"] = rows
        one.outputs["y"].metrics["bits_per_character"] = settings_class("metrics", "bits_per_character")()
    report = made(tmp_path, [CELL], trials)
    assert {one.metric for one in report.differences} == {"exact_match", "bits_per_character"}
    assert len(report.notes) == 2 and report.notes[0].startswith("y.perplexity: ")


@pytest.mark.parametrize("cells", [("rnn", "gru", "lstm"), ("gru", "rnn", "lstm")])
def test_a_metric_that_some_combinations_lack_has_empty_cells_and_a_note(tmp_path, cells):
    """As with --over outputs.y.head.distribution=quantile,point: what has no quantiles has no CRPS."""
    trials = {((cell,), 1): trial(0.3 + 0.3 * at, at) for at, cell in enumerate(cells)}
    for (cell,), _ in trials:
        if cell != "gru":
            trials[(cell,), 1].outputs["y"].statistics["crps"] = np.stack([np.arange(300.0), np.ones(300)], 1)
            trials[(cell,), 1].outputs["y"].metrics["crps"] = settings_class("metrics", "crps")()
    report = made(tmp_path, [Axis(CELL.path, cells, "cell")], trials)
    assert ["crps" in row.outputs["y"] for row in report.rows] == [cell != "gru" for cell in cells]
    assert [(one.first, one.second) for one in report.differences if one.metric == "crps"] == [("rnn", "lstm")][
        cells[0] == "gru" :
    ]
    assert report.notes[0] == "y.crps: not every run has it; differences from those that have none are left out"
    (_, heads, rows), *_ = report.tables()
    assert heads[-1] == "crps" and [row[-1] == "" for row in rows] == [cell == "gru" for cell in cells]
    assert {line.metric for line in report.by_length["y"]} == {"exact_match"}
    assert comparison.draw(report, tmp_path) == ["quality_by_length.png"]


def test_what_a_combination_cannot_be_measured_by_is_told(tmp_path):
    trials = {((cell,), 1): trial(0.5, 1) for cell in ("rnn", "gru")}
    trials[("gru",), 1].outputs["y"].statistics["perplexity"] = np.stack([np.full(300, -1e6), np.ones(300)], 1)
    report = made(tmp_path, [CELL], trials)
    assert [list(row.outputs["y"]) for row in report.rows] == [["exact_match", "perplexity"], ["exact_match"]]
    assert report.notes[0].startswith("y.perplexity: cell gru: perplexity: the mean of 1e+06 nats a step is too large")


def test_a_run_that_failed_is_named_and_the_others_stand(tmp_path):
    trials = {((cell,), seed): trial(0.5, seed) for cell in CELL.values for seed in (1, 2)}
    report = made(tmp_path, [CELL], trials, failed=("gru-1", "lstm-1", "lstm-2"))
    assert [(row.values["cell"], len(row.runs)) for row in report.rows] == [("rnn", 2), ("gru", 1)]
    assert "3 of 6 runs failed and are left out" in report.notes
    assert "lstm-2 failed: DataError: no rows" in report.markdown()
    nothing = made(tmp_path, [CELL], {(("rnn",), 1): trial(0.5, 1)}, failed=("rnn-1",))
    assert nothing.rows == [] and nothing.tables()[0][2] == []


@pytest.mark.parametrize("examples", ["same", "by seed"])
def test_bins_by_length_hold_every_example_once(tmp_path, examples):
    trials = {
        ((cell,), seed): trial(0.5, seed, examples if examples == "same" else str(seed))
        for cell in CELL.values
        for seed in (1, 2)
    }
    report = made(tmp_path, [CELL], trials)
    for line in report.by_length["y"]:
        assert sum(one.examples for one in line.bins) == 300 and len(line.bins) == 5
        ends = [(one.first, one.last) for one in line.bins]
        assert (
            ends[0][0] == 1
            and ends[-1][1] == 23
            and all(high + 1 == low for (_, high), (low, _) in zip(ends, ends[1:]))
        )


def test_where_data_are_varied_lengths_are_of_the_most_data_alone_and_both_pictures_are_drawn(tmp_path):
    trials = {
        ((cell, part), 1): trial(0.4 if part == "0.1" else 0.7, 1) for cell in ("rnn", "gru") for part in PART.values
    }
    report = made(tmp_path, [CELL, PART], trials)
    assert [line.values for line in report.by_length["y"]] == [
        {"cell": cell, "fraction": "1"} for cell in ("rnn", "gru")
    ]
    assert comparison.draw(report, tmp_path) == ["quality_by_data.png", "quality_by_length.png"]
    for name in (comparison.BY_DATA, comparison.BY_LENGTH):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    alone = made(tmp_path, [CELL], {(("rnn",), 1): trial(0.5, 1)})
    assert comparison.draw(alone, tmp_path) == ["quality_by_length.png"]


def test_a_line_without_a_number_for_one_bin_has_a_gap_there_and_no_axis_ends_below_zero(tmp_path):
    bins = [Bin(start, start + 1, 9, 1.0, -5.0, 7.0, "") for start in (1, 3, 5)]
    lines = [Line({"cell": "rnn"}, "mae", bins), Line({"cell": "gru"}, "mae", bins[::2])]
    with picture(tmp_path / "one.png", (5, 4)) as (_, (axes,)):
        comparison._by_length(axes, "y", lines, {})
        assert [[round(place) for place in one.lines[0].get_xdata()] for one in axes.containers] == [[0, 1, 2], [0, 2]]
        assert [text.get_text().split("\n")[0] for text in axes.get_xticklabels()] == ["1–2", "3–4", "5–6"]
        assert axes.get_ylim()[0] == 0 and [text.get_text() for text in axes.get_legend().get_texts()] == [
            "cell rnn",
            "cell gru",
        ]


def test_pictures_are_of_a_metric_that_every_combination_has(tmp_path):
    trials = {
        ((cell, part), 1): trial(0.4 if part == "0.1" else 0.7, 1) for cell in ("rnn", "gru") for part in PART.values
    }
    for part in PART.values:
        del (
            trials[("gru", part), 1].outputs["y"].statistics["exact_match"],
            trials[("gru", part), 1].outputs["y"].metrics["exact_match"],
        )
    report = made(tmp_path, [CELL, PART], trials)
    assert comparison.draw(report, tmp_path) == ["quality_by_data.png", "quality_by_length.png"]
    assert {line.metric for line in report.by_length["y"]} == {"perplexity"}


def test_inputs_of_one_length_have_no_picture_by_length(tmp_path):
    one = trial(0.5, 1)
    one.outputs["y"].lengths[:] = 1
    report = made(tmp_path, [CELL], {(("rnn",), 1): one})
    assert report.by_length == {} and comparison.draw(report, tmp_path) == []
