"""Examples: rows, windows and streams keep the same laws; each also does what is its own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ostinato.data import examples as data_examples
from ostinato.data.cache import encode
from ostinato.data.examples import RowExamples, WindowExamples
from ostinato.data.read import Table, open_table
from ostinato.data.series import Gathered
from ostinato.data.windows import Border, Windows
from ostinato.registry import derive, make
from ostinato.training.loop import Training
from tests.data import example_laws as laws

WORDS = ["ab", "b", "", "abba", "aa", "babab", "bb", "a" * 9, "baa", "abab", "b" * 5]


def training(**options):
    return derive(Training, {})(**options)


def rows_of(tmp_path, edited=False):
    words = [*WORDS[:-1], "edited"] if edited else WORDS
    path = tmp_path / f"rows{edited}.jsonl"
    path.write_text("".join(json.dumps({"x": list(x), "y": list(x) or None}) + "\n" for x in words))
    columns = {"inputs.x": "x", "outputs.y": "y"}
    modalities = {place: make("modalities", "tokens") for place in columns}
    for modality in modalities.values():
        modality.fit([list("abedit")])
    table = open_table(path, columns=["x", "y"], base=tmp_path, data_root=(), where="data.train")
    dataset = encode(table, modalities, columns, tmp_path / "cache", settings=dict.fromkeys(columns))
    return RowExamples(table, columns, modalities, dataset=dataset)


def windows_of(tmp_path, edited=False):
    series = [100.0 * number + np.arange(steps) for number, steps in enumerate((12, 9, 14))]
    series[1][3] += edited
    columns, reach = {"inputs.y": "y", "inputs.site": "site", "outputs.f": "y"}, ("past", "whole", "target")
    cells = {"y": series, "site": ["a", "b", "a"]}
    gathered = Gathered("f.csv", ["i", "j", "k"], cells, None, None, f"content {edited}")
    modalities = {place: make("modalities", "category" if place == "inputs.site" else "series") for place in columns}
    for place, modality in modalities.items():
        modality.fit(cells[columns[place]])
    table = Table([gathered], gathered.columns, "data.train")
    dataset = encode(table, modalities, columns, tmp_path, settings=dict.fromkeys(columns))
    border = Border(np.zeros(3, dtype=np.int64), np.array([12, 9, 14]))
    size = {"lookback": 3, "horizon": 2, "season": 1}
    windows = Windows(gathered, dict(zip(columns, reach)), columns, border, **size, where="data.train")
    return WindowExamples(windows, dataset=dataset, stride=3), modalities


def test_rows_keep_the_laws(tmp_path):
    examples = rows_of(tmp_path)
    laws.all_of(lambda edited: rows_of(tmp_path, edited), training(batch_rows=3), examples.modalities)
    laws.all_of(lambda edited: rows_of(tmp_path, edited), training(batch_steps=12), examples.modalities)
    some = np.array([0, 3, 4, 7, 8, 10])
    laws.all_of(lambda edited: rows_of(tmp_path, edited).pick(some), training(batch_rows=2), examples.modalities)


@pytest.mark.parametrize("steps", [3, 20])
def test_streams_keep_the_laws(tmp_path, steps):
    examples = rows_of(tmp_path)
    laws.all_of(
        lambda edited: replace(rows_of(tmp_path, edited), streamed="inputs.x"),
        training(batch_rows=3, tbptt=steps),
        examples.modalities,
    )


def test_windows_keep_the_laws(tmp_path):
    _, modalities = windows_of(tmp_path)
    laws.all_of(lambda edited: windows_of(tmp_path, edited)[0], training(batch_rows=4), modalities, epochs=3)


def test_the_laws_find_what_breaks_them(tmp_path, monkeypatch):
    examples = rows_of(tmp_path)
    modalities = examples.modalities
    monkeypatch.setattr(RowExamples, "place", lambda self, number: "somewhere")
    with pytest.raises(AssertionError):
        laws.check_places(examples)
    monkeypatch.setattr(RowExamples, "part_rows", lambda self, part: np.asarray(part) // 2)
    with pytest.raises(AssertionError):
        laws.check_steps(examples, modalities)
    monkeypatch.setattr(data_examples.Batches, "epoch", lambda self, number: [np.arange(4)])
    with pytest.raises(AssertionError):
        laws.check_epochs(examples, training(batch_rows=3), 1)
    with pytest.raises(AssertionError):
        laws.check_order(examples, examples, training(batch_rows=3))


def test_rows_have_no_order_and_no_scale_and_windows_do(tmp_path):
    rows, (windows, _) = rows_of(tmp_path), windows_of(tmp_path)
    assert rows.order([0, 1]) is None and rows.scales("outputs.y", [0]) is None and rows.windows is None
    order = windows.order([0, 7, 8])
    assert order.stretch == [0, 0, 1] and order.least == 2 and order.unit == "window"
    assert windows.scales("outputs.f", [0, 9]) == [1.0, 1.0]


def test_a_batch_gives_targets_of_the_examples_that_have_one(tmp_path):
    batch = rows_of(tmp_path).batch(np.array([1, 2, 3]))
    assert len(batch) == 3 and batch.targets["y"].layout.lengths.tolist() == [1, 4]
    assert batch.given["y"].tolist() == [0, 2]


def test_groups_are_cells_of_a_column(tmp_path):
    windows, _ = windows_of(tmp_path)
    picked = windows.pick(np.array([0, 8, len(windows) - 1]))
    assert picked.column("site") == ["a", "b", "a"] and rows_of(tmp_path).pick([3]).column("x") == [list("abba")]
