"""The modality series: channels scaled, gaps told, units given back."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import ostinato
from ostinato.cli.main import group
from ostinato.errors import ConfigError, DataError
from ostinato.layers.embedding import Embedding
from ostinato.modalities.contract import Values
from ostinato.registry import make
from ostinato.steps import Layout, Steps

NAN = float("nan")
TWO = [[[1.0, 10.0], [2.0, 30.0]], [[3.0, 20.0]]]


def fitted(column, **options):
    series = make("modalities", "series", (), options)
    series.fit(iter(column))
    return series


@given(st.lists(st.one_of(st.none(), st.integers(-1000, 1000).map(lambda number: number / 8))))
def test_numbers_and_gaps_come_back(raw):
    series = fitted([[-125.0, None, 125.0]], scale="none")
    encoded = series.encode(raw)
    assert encoded.dtype == np.float32 and encoded.shape == (len(raw), 2) and not np.isinf(encoded).any()
    assert series.decode(encoded) == raw and len(series.labels(encoded)) == len(raw)
    parsed = series.parse(series.write(raw))
    assert (
        np.array_equal(series.encode(parsed), encoded, equal_nan=True)
        and [None if one != one else one for one in parsed] == raw
    )


def test_each_channel_has_its_own_mean_and_deviation():
    series = fitted(TWO)
    assert series.spec == Values(2) and fitted(TWO, scale="none").spec == Values(2, unscaled=True)
    values = np.concatenate(TWO)
    expected = (values - values.mean(0)) / values.std(0)
    np.testing.assert_allclose(np.concatenate([series.encode(row) for row in TWO]), expected, rtol=1e-6)
    np.testing.assert_allclose(series.decode(series.encode(TWO[0])), TWO[0], rtol=1e-6)
    assert series.labels(series.encode(TWO[0])) == ["1 10", "2 30"]


def test_moments_over_many_rows_are_those_of_all_values_together():
    draw = np.random.default_rng(0)
    rows = [1e9 + draw.normal(size=(length, 3)) * [1, 10, 0.01] for length in (1, 0, 7, 300, 2)]
    facts = fitted(rows).facts()
    whole = np.concatenate(rows)
    np.testing.assert_allclose(facts["mean"], whole.mean(0), rtol=1e-14)
    np.testing.assert_allclose(facts["deviation"], whole.std(0), rtol=1e-4)


def test_gaps_are_missing_and_a_sign_where_training_had_any():
    series = fitted([[[1, 5], [None, 6], [3, 7]]])
    assert series.spec == Values(3, signs=1) and series.spec.channels == 2
    assert series.facts()["gaps"] == [True, False] and series.facts()["mean"] == [2, 6]
    encoded = series.encode([[None, 6], [3, NAN], None, ["NA", "?"]])
    np.testing.assert_array_equal(encoded, [[NAN, 0, 1], [1, NAN, 0], [NAN, NAN, 1], [NAN, NAN, 1]])
    assert series.decode(encoded) == [[None, 6], [3, None], [None, None], [None, None]]
    assert series.labels(encoded)[0] == "NA 6"


def test_an_encoder_reads_a_gap_as_zero():
    read = Embedding(Values(2), 3)
    steps = Steps(torch.tensor([[1.0, NAN], [1.0, 0.0]]), Layout([2]))
    assert torch.equal(*read(steps).values.detach())


def test_a_row_is_scaled_by_itself():
    series = fitted([[1.0, 3.0], [100.0, 300.0]], scale="row")
    assert series.encode([10, 30]).tolist() == series.encode([-7, 5]).tolist() == [[-1], [1]]
    assert series.encode([4]).tolist() == [[0]] and series.encode([]).shape == (0, 1)
    assert series.decode(series.encode([10, 30])) == [-1, 1]


@pytest.mark.parametrize("scale", ["dataset", "row", "none"])
def test_a_channel_that_never_changes_is_not_divided_by_zero(scale):
    series = fitted([[[0.1, 1], [0.1, 2]]] * 3, scale=scale)
    encoded = series.encode([[0.1, 1], [0.1, 2]])
    assert np.isfinite(encoded).all() and (scale == "none" or not encoded[:, 0].any())


def test_one_channel_is_one_number_or_a_list_of_one():
    series = fitted([[1, 2, 3]])
    for raw in (
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2]),
        [[1], [2]],
        np.array([[1.0], [2.0]]),
        "1 2",
        "[1, 2]",
        " 1\t2 ",
        "[[1], [2]]",
    ):
        assert series.encode(raw).tolist() == series.encode([1, 2]).tolist()
    assert series.encode([]).shape == series.encode("").shape == (0, 1) and series.decode(series.encode("")) == []


def test_fields_are_split_at_the_separator_and_lists_are_json():
    assert make("modalities", "series", (), {"separator": ","}).parse("1, 2.5,NA,") == pytest.approx(
        [1, 2.5, NAN, NAN], nan_ok=True
    )
    series = fitted(TWO)
    assert series.write([[1, None]]) == "[[1.0, null]]" and series.parse("[[1.0, null]]") == [[1, None]]
    assert series.encode("[[1, 10], [2, 30]]").tolist() == series.encode(TWO[0]).tolist()
    assert make("modalities", "series", (), {"separator": ";"}).write([1, NAN]) == "1.0;NA"


@pytest.mark.parametrize("drawing", [[[1.0, 2.0], [3.0, 4.5]], [1.0, 2.0, 3.0]])
def test_a_field_without_its_closing_begins_the_field_of_every_longer_value(drawing):
    series = make("modalities", "series")
    series.fit([drawing])
    fields = [series.write(drawing[:length]).removesuffix(series.closing()) for length in range(1, len(drawing) + 1)]
    assert all(longer.startswith(field) for field, longer in zip(fields, fields[1:]))


def test_facts_through_json_make_a_fresh_object_behave_alike():
    for scale in ("dataset", "row", "none"):
        before, after = fitted([[[1, 2], [None, 4]]], scale=scale), make("modalities", "series", (), {"scale": scale})
        after.restore(json.loads(json.dumps(before.facts())))
        assert after.spec == before.spec and after.facts() == before.facts()
        assert after.encode([[5, 6], [7, 9]]).tolist() == before.encode([[5, 6], [7, 9]]).tolist()


@pytest.mark.parametrize(
    "raw, message",
    [
        (None, "a list of numbers, .* not a missing value"),
        (5, "a list of numbers, .* not int 5"),
        (np.array(5.0), "a list of numbers"),
        ([1, 2], "each step has 1 channel, and rows of the training split have 2 channels"),
        ([[1, 2, 3]], "each step has 3 channels, and rows of the training split have 2"),
        ([[1, 2], [3]], "step 2 has 1 numbers, and others have 2; each needs one per channel"),
        ([[1, 2], 3], "step 2 is no list, and others are lists"),
        ([[1, 2], [3, "1,5"]], "step 2, channel 2: a number is needed, not '1,5'; write a decimal point"),
        ([["1", True]], "step 1, channel 2: a number is needed, not bool"),
        ([[1, [2]]], "step 1, channel 2: a number is needed, not list"),
        (np.zeros((2, 2, 2)), "step 1, channel 1: a number is needed, not list"),
        ([[1, 2], [3, float("inf")]], "step 2, channel 2 is an infinite number"),
        ([[1, 2], [3, "-inf"]], "step 2, channel 2: a number is infinite"),
        ([[1, 2], [3, 1e300]], "step 2, channel 2: 1e[+]300 is too far from the others"),
        ("[[1, 2], [3, 4]", "a list of lists is needed as JSON"),
        ("1 two", "number 2: a number is needed, not 'two'"),
    ],
)
def test_what_is_no_series_is_a_data_error_with_its_step(raw, message):
    with pytest.raises(DataError, match=message):
        fitted(TWO).encode(raw)


@pytest.mark.parametrize(
    "column, message",
    [
        ([], "no row of the training split has a step"),
        ([None, [], ""], "no row of the training split has a step"),
        ([[[1, None], [2, None]]], "channel 2 has no number in the training split"),
        ([[[], []]], "each step has 0 channels, and at least one is needed"),
        ([[[1, 2]], [[1, 2, 3]]], "each step has 3 channels, and rows of the training split have 2"),
        ([[1e308, -1e308]], "channel 1 has numbers too far apart"),
    ],
)
def test_training_values_that_cannot_be_learnt_from_are_a_data_error(column, message):
    with pytest.raises(DataError, match=message):
        fitted(column)


@pytest.mark.parametrize("separator", ["", ".", "-", "e", "N", "1", "["])
def test_a_separator_that_could_be_part_of_a_number_is_refused(separator):
    with pytest.raises(ConfigError, match="could be a part of a number"):
        make("modalities", "series", (), {"separator": separator})


def test_a_zero_is_shown_as_a_zero_after_scaling():
    promo = make("modalities", "series", (), {})
    promo.fit([[0.0, 1, 0, 0, 1, 0, 0]])
    assert promo.labels(promo.encode([0.0, 1, 0])) == ["0", "1", "0"]


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_frames_made_elsewhere_are_read_from_files_in_a_folder_and_by_name(kind, tmp_path):
    lines, random = ["frames:file,label"], np.random.default_rng(0)
    for place in range(20):
        array = random.normal(size=(5 + place % 3, 3)) + 9 * (place % 2)
        (np.save if kind == "npy" else np.savez)(tmp_path / f"{place}.{kind}", array)
        lines.append(f"{place}.{kind},{'ab'[place % 2]}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    model = ostinato.Model({"frames": "series"}, {"label": "category"}, training={"epochs": 3})
    model.fit(str(tmp_path), str(tmp_path), device="cpu", folder=tmp_path / "run")
    paths = [str(tmp_path / f"{place}.{kind}") for place in range(20)]
    shown = CliRunner().invoke(group, ["predict", str(tmp_path / "run"), *paths, "--device", "cpu"])
    assert shown.stdout.split() == [model.predict([np.array(array)])[0] for array in arrays_of(paths)], shown.output


def arrays_of(paths):
    for path in paths:
        loaded = np.load(path)
        yield loaded if path.endswith("npy") else loaded["arr_0"]
