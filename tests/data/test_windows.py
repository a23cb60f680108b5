"""Windows: numbered as by hand, sliced from the series, drawn by seed and epoch, never past a border."""

import numpy as np
import pytest

from ostinato.data.cache import encode
from ostinato.data.examples import WindowExamples
from ostinato.data.read import Table
from ostinato.data.series import Frequency, Gathered
from ostinato.data.windows import Border, WindowBatches, Windows, borders, check_training, to_predict
from ostinato.errors import DataError
from ostinato.registry import make

NAN = float("nan")
COLUMNS = {"inputs.y": "y", "inputs.w": "w", "inputs.site": "site", "outputs.f": "y"}
REACH = {"inputs.y": "past", "inputs.w": "ahead", "inputs.site": "whole", "outputs.f": "target"}


def gathered(lengths=(12, 9), *, dated=False):
    ys = [100.0 * s + np.arange(n) for s, n in enumerate(lengths)]
    times = (
        [np.datetime64("2013-01-01T00", "s") + np.arange(n) * np.timedelta64(3600, "s") for n in lengths]
        if dated
        else None
    )
    cells = {"y": ys, "w": [-one for one in ys], "site": list("abcdef"[: len(lengths)])}
    return Gathered(
        "f.csv", list("abcdef"[: len(lengths)]), cells, times, Frequency("hour", 1) if dated else None, "hash"
    )


def windows(series=None, border=None, *, lookback=3, horizon=2, season=2):
    series = series or gathered()
    border = border or Border(np.array([0, 0]), np.array([12, 9]))
    return Windows(
        series,
        REACH,
        COLUMNS,
        border,
        lookback=lookback,
        horizon=horizon,
        season=season,
        where="data.train",
    )


def test_windows_are_those_that_a_loop_finds():
    border = Border(np.array([0, 5]), np.array([8, 9]))
    found = windows(border=border)
    expected = [
        (s, o) for s, (begin, end) in enumerate(zip(*border)) for o in range(begin, end) if o >= 3 and o + 2 <= end
    ]
    assert list(zip(*(one.tolist() for one in found.at(range(found.num_rows))))) == expected
    for row, (s, o) in zip(found.raw(), expected):
        y = found.series.cells["y"][s]
        assert row["inputs.y"].tolist() == y[o - 3 : o].tolist() and row["outputs.f"].tolist() == y[o : o + 2].tolist()
        assert row["inputs.w"].tolist() == (-y[o - 3 : o + 2]).tolist() and row["inputs.site"] == "ab"[s]
        assert np.shares_memory(row["inputs.y"], y), "a window is a view"
    assert found.place(0) == "f.csv series a, from step 4"
    assert found.column("site", [0, found.num_rows - 1]) == ["a", "b"]


def test_encoded_windows_are_the_raw_ones_encoded(tmp_path):
    series = gathered()
    modalities = {
        "inputs.y": make("modalities", "series"),
        "inputs.w": make("modalities", "series"),
        "outputs.f": make("modalities", "series"),
    }
    for place, modality in modalities.items():
        modality.fit(series.cells[COLUMNS[place]])
    modalities["inputs.site"] = make("modalities", "category")
    modalities["inputs.site"].fit(["a", "b"])
    dataset = encode(
        Table([series], series.columns, "data.train"), modalities, COLUMNS, tmp_path, settings=dict.fromkeys(COLUMNS)
    )
    found = windows()
    rows = [9, 0, 4]
    examples = WindowExamples(found, dataset=dataset)
    for place, modality in modalities.items():
        steps = examples.steps(place, rows)
        assert steps.layout.lengths.tolist() == examples.lengths(place)[rows].tolist()
        for row, values in zip(rows, steps.split()):
            (raw,) = found.raw([row])
            np.testing.assert_array_equal(values.numpy(), modality.encode(raw[place]))


def test_a_million_windows_take_no_room():
    series = Gathered(
        "f", ["a"], {"y": [np.zeros(1_000_000)], "w": [np.zeros(1_000_000)], "site": ["a"]}, None, None, ""
    )
    found = windows(series, Border(np.array([0]), np.array([1_000_000])), lookback=500, horizon=100)
    steps = [WindowExamples(found).lengths(place) for place in REACH if place != "inputs.site"]
    assert found.num_rows == 999_401 and all(one.strides == (0,) for one in steps)


def test_epochs_are_drawn_by_seed_and_stride_epochs_see_every_window_once():
    found = windows(gathered((200, 90)), Border(np.array([0, 0]), np.array([200, 90])))
    rows = np.arange(found.num_rows)
    steps = np.full(len(rows), 10)
    make_batches = lambda seed: WindowBatches(steps, stride=7, batch_steps=None, batch_rows=8, seed=seed)  # noqa: E731
    batches = make_batches(1)
    seen = [np.sort(np.concatenate(batches.epoch(number))) for number in range(7)]
    assert np.array_equal(np.sort(np.concatenate(seen)), rows) and all(set(np.diff(one)) == {7} for one in seen)
    again = make_batches(1).epoch(3)
    assert all(np.array_equal(one, other) for one, other in zip(batches.epoch(3), again, strict=True))
    firsts = {tuple(make_batches(seed).epoch(0)[0].tolist()) for seed in range(20)}
    assert len(firsts) > 5


def test_windows_without_a_target_are_left_out():
    series = gathered()
    series.cells["y"][0][4:9] = NAN
    kept = windows(series).with_target()
    _, origins = windows(series).at(kept[kept < 8])
    assert origins.tolist() == [3, 8, 9, 10]


def test_borders_divide_the_end_of_each_series():
    found, notes = borders(gathered((12, 9)), ["y"], {"valid": 2, "test": 3}, horizon=1)
    assert {name: (one.begins.tolist(), one.ends.tolist()) for name, one in found.items()} == {
        "train": ([0, 0], [7, 4]),
        "valid": ([7, 4], [9, 6]),
        "test": ([9, 6], [12, 9]),
    }
    assert not notes
    found, notes = borders(gathered((50, 40)), ["y"], {}, horizon=3)
    assert found["valid"].begins.tolist() == [45, 36] and "test" not in found
    assert notes[0].endswith("the last tenth of each series before its end, at least 3 steps, is kept for validation")


def test_borders_count_back_from_the_last_step_that_has_a_target():
    series = gathered((50, 40))
    series.cells["y"][0][30:] = np.nan
    splits, notes = borders(series, ["y"], {}, horizon=3)
    assert splits["train"].ends.tolist() == [27, 36] and splits["valid"].ends.tolist() == [30, 40]
    assert notes[0] == (
        "the last up to 20 steps of each series have no target: splits are counted back from the last step that has one"
    )
    splits, _ = borders(series, ["y"], {"valid": 4}, horizon=3)
    assert splits["valid"].begins.tolist() == [26, 36]


def test_borders_at_dates_and_what_is_wrong_with_them():
    found, _ = borders(
        gathered(dated=True), ["y"], {"valid": "2013-01-01 05:00", "test": "2013-01-01 08:00"}, horizon=1
    )
    assert found["valid"].begins.tolist() == [5, 5] and found["test"].ends.tolist() == [12, 9]
    with pytest.raises(DataError, match="data.split.valid: 2013-01-01 is a date, and nothing tells the dates"):
        borders(gathered(), ["y"], {"valid": "2013-01-01"}, horizon=1)
    with pytest.raises(DataError, match="test begins at 2013-01-01 03:00 before valid"):
        borders(gathered(dated=True), ["y"], {"valid": "2013-01-01 05:00", "test": "2013-01-01 03:00"}, horizon=1)
    for date, told in (
        ("2014-01-01", "comes after all steps"),
        ("2012-01-01", "leaves no step before it, since it comes before all steps"),
    ):
        with pytest.raises(
            DataError,
            match=f"data.split.valid: {date} {told}, which go from 2013-01-01 to 2013-01-01 11:00; name a date",
        ):
            borders(gathered(dated=True), ["y"], {"valid": date}, horizon=1)
    with pytest.raises(DataError, match="data.split.test: 'May' is no date"):
        borders(gathered(dated=True), ["y"], {"test": "May"}, horizon=1)


def test_windows_of_test_look_back_over_the_border():
    found = windows(border=Border(np.array([9, 6]), np.array([12, 9])))
    assert [row["inputs.y"].tolist() for row in found.raw()][:1] == [[6, 7, 8]]


def test_a_series_shorter_than_its_window_is_named():
    short = windows(border=Border(np.array([0, 0]), np.array([8, 4])))
    with pytest.raises(
        DataError,
        match=r"f.csv series b: has 9 steps, 4 of them for training, and lookback 3 \+ horizon 2 need 5 \(1 series.*at "
        r"most 2",
    ):
        check_training(short)
    none = windows(border=Border(np.array([0, 0]), np.array([0, 0])), horizon=20)
    with pytest.raises(
        DataError,
        match="f.csv series a: has 12 steps, 0 of them for training, .*; set a smaller horizon, or let valid begin "
        "later, or leave",
    ):
        check_training(none)


def test_the_plain_forecasts_repeat_the_last_step_and_the_last_season():
    series = gathered()
    series.cells["y"][0][:] = [1, 2, 3, NAN, 5, 6, 7, 8, 9, 10, 11, 12]
    found = windows(series)
    rows = [0, 2]  # origins 3 and 5
    assert [one.tolist() for one in found.naive("outputs.f", rows, 1)] == [[3, 3], [5, 5]]
    assert [one.tolist() for one in found.naive("outputs.f", rows, 2)] == [[2, 3], [2, 5]]
    assert found.scales("outputs.f", [0])[0] == 2


def test_windows_of_one_series_are_neighbours():
    found = windows().order([0, 1, 2, 8])
    series = windows().at([0, 1, 2, 8])[0].tolist()
    assert (found.stretch, found.least, found.unit, found.whole) == (series, 2, "window", "series")
    assert len(set(series)) == 2, "windows of both"


def test_a_past_that_repeats_itself_has_no_scale():
    series = gathered()
    series.cells["y"][0][:] = 5
    found = windows(series)
    assert found.scales("outputs.f", [0]) is None
    (first, last) = found.scales("outputs.f", [0, found.num_rows - 1])
    assert np.isnan(first) and last == 2


def predicted(series, reach=None, **more):
    reach = reach or REACH
    return to_predict(
        series, reach, COLUMNS, of="inputs.y", **{"lookback": 3, "horizon": 2, "season": 1, "where": "--input", **more}
    )


def test_a_forecast_begins_after_the_last_known_step():
    series = gathered(dated=True)
    for values in series.cells["y"]:
        values[-2:] = NAN
    rows = list(predicted(series).raw())
    assert [row["inputs.y"].tolist() for row in rows] == [[7, 8, 9], [104, 105, 106]]
    assert rows[0]["inputs.w"].tolist() == [-7, -8, -9, -10, -11] and "outputs.f" not in rows[0]


def test_without_what_is_known_ahead_it_begins_at_the_end_and_dates_go_on():
    series = gathered(dated=True)
    series.cells["w"] = series.times
    (first, _) = predicted(series).raw()
    assert first["inputs.y"].tolist() == [9, 10, 11] and str(first["inputs.w"][-1]) == "2013-01-01T13:00:00"


def test_the_first_missing_date_of_what_is_known_ahead_is_named():
    series = gathered(dated=True)
    with pytest.raises(
        DataError, match="series a: inputs.w is known ahead and missing at 2013-01-01 12:00; give it for 2 steps"
    ):
        predicted(series)
    for values in series.cells["y"]:
        values[-2:] = NAN
    series.cells["w"][1][-1] = NAN
    with pytest.raises(
        DataError,
        match="series b: inputs.w is known ahead and missing at 2013-01-01 08:00; give it for 2 steps from 2013-01-01 "
        "07:00",
    ):
        predicted(series)


def test_too_short_a_past_is_named():
    with pytest.raises(DataError, match="series b: has 9 steps, and the forecast looks back at 10"):
        predicted(gathered(), {place: one for place, one in REACH.items() if place != "inputs.w"}, lookback=10)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("known", [(), ("times",)])
def test_empty_cells_at_the_end_are_forecast_without_anything_known_ahead(dated, known):
    if known and not dated:
        return
    series = gathered((12, 9), dated=dated)
    series.cells["y"][0][-4:] = NAN
    reach = {place: one for place, one in REACH.items() if place != "inputs.w" or known}
    if known:
        series.cells["w"] = series.times
    found = predicted(series, reach)
    rows = list(found.raw())
    assert [row["inputs.y"].tolist() for row in rows] == [[5, 6, 7], [106, 107, 108]]
    assert [found.place(at) for at in range(2)] == (
        ["f.csv series a, from 2013-01-01 08:00", "f.csv series b, from 2013-01-01 09:00"]
        if dated
        else ["f.csv series a, from step 9", "f.csv series b, from step 10"]
    )
    if known:
        assert [str(row["inputs.w"][-1]) for row in rows] == ["2013-01-01T09:00:00", "2013-01-01T10:00:00"]
