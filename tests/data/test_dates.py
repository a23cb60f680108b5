"""The built-in data set `dates`: what the demonstration promises about it."""

import csv
import datetime
import gzip
import io
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import ostinato

FOLDER = Path(ostinato.__file__).parent / "builtin"
TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_dates.py"
SPLITS = {"train": 36000, "valid": 1000, "test": 2000}
NOT_SCRIPTS = {"DIGIT", "MODIFIER", "COMBINING", "FEMININE", "MASCULINE"}


def read(split: str) -> list[dict[str, str]]:
    text = gzip.decompress((FOLDER / f"dates.{split}.tsv.gz").read_bytes()).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict[str, str]]]:
    return {split: read(split) for split in SPLITS}


@pytest.fixture(scope="module")
def rows(splits) -> list[dict[str, str]]:
    return [row for part in splits.values() for row in part]


def test_the_splits_have_their_sizes_and_columns(splits):
    for split, count in SPLITS.items():
        assert len(splits[split]) == count
        assert list(splits[split][0]) == ["written", "iso", "language", "form"]
        assert all(all(row.values()) and None not in row for row in splits[split])


def test_the_package_grows_by_less_than_one_megabyte():
    assert sum((FOLDER / f"dates.{split}.tsv.gz").stat().st_size for split in SPLITS) < 1_000_000


def test_every_split_speaks_at_least_thirty_languages_evenly(splits):
    for part in splits.values():
        counts = Counter(row["language"] for row in part)
        assert len(counts) >= 30
        assert max(counts.values()) - min(counts.values()) <= 1


def test_at_least_four_scripts_are_written(rows):
    letters = {letter for row in rows for letter in row["written"] if letter.isalpha()}
    scripts = {unicodedata.name(letter).split(" ")[0] for letter in letters} - NOT_SCRIPTS
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "CJK", "HANGUL"} <= scripts


def test_no_day_stands_in_two_splits(splits):
    days = {split: {row["iso"] for row in part} for split, part in splits.items()}
    assert not days["train"] & days["valid"]
    assert not days["train"] & days["test"]
    assert not days["valid"] & days["test"]


def test_every_answer_is_an_iso_date_of_the_two_centuries(rows):
    for row in rows:
        day = datetime.date.fromisoformat(row["iso"])
        assert day.isoformat() == row["iso"] and 1900 <= day.year <= 2099


def test_every_year_is_written_with_four_digits(rows):
    for row in rows:
        assert re.findall(r"\d{3,}", row["written"]) == [row["iso"][:4]], row


def test_the_day_of_the_month_is_written_in_digits(rows):
    for row in rows:
        numbers = [int(number) for number in re.findall(r"\d+", row["written"])]
        assert int(row["iso"][8:]) in numbers, row


def test_no_form_leaves_day_and_month_to_be_swapped(rows):
    for row in rows:
        assert any(letter.isalpha() for letter in row["written"]), row
        assert not re.search(r"(?<!\d)\d{1,2}[\s./,-]+\d{1,2}(?!\d)", row["written"]), row


def test_one_written_form_names_one_day(rows):
    iso_of: dict[str, str] = {}
    assert all(iso_of.setdefault(row["written"], row["iso"]) == row["iso"] for row in rows)


def test_every_month_of_every_form_is_seen_in_training(splits):
    months = {(row["language"], row["form"], row["iso"][5:7]) for row in splits["train"]}
    kinds = {(language, form) for language, form, _ in months}
    assert len(months) == 12 * len(kinds)


def test_written_forms_hold_what_a_keyboard_types(rows):
    unusual = {
        letter for row in rows for letter in row["written"] if unicodedata.category(letter) in ("Cc", "Zs", "Zl", "Zp")
    }
    assert unusual == {" "}
    assert not any(letter in row["written"] for row in rows for letter in "\u200e\u200f\u061c")


def test_the_recipe_names_columns_and_files_that_exist():
    recipe = YAML(typ="safe", pure=True).load(FOLDER / "dates.yaml")
    assert {name: (FOLDER / file).exists() for name, file in recipe["data"].items()} == dict.fromkeys(SPLITS, True)
    assert {*recipe["inputs"], *recipe["outputs"]} == {"written", "iso"}


def test_the_tool_makes_the_same_rows_again():
    babel = pytest.importorskip("babel")
    if babel.__version__ != "2.18.0":
        pytest.skip(f"Babel {babel.__version__} brings other names than 2.18.0")
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
