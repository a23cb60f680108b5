"""Words by a pen that follows the letters of fonts, on letters of one line."""

import itertools
import json
import random
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from tests.scripts import script

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    loaded = script("tools/prepare.py")
    sizes = {"train": 40, "valid": 10, "test": 10, "unseen": 10, "many": 60}
    monkeypatch.setattr(sys.modules["_letters"], "WORDS", sizes)
    monkeypatch.setitem(sys.modules, "HersheyFonts", types.SimpleNamespace(HersheyFonts=Fonts))
    yield loaded
    sys.modules.pop("_letters")


def listed(folder, split):
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


class Fonts:
    """Letters of one line each, and a dot."""

    def load_default_font(self, name):
        self.name = name

    def strokes_for_text(self, word):
        every = ([[(9 * place, 0), (9 * place, ord(letter))], [(9 * place, -1)]] for place, letter in enumerate(word))
        return itertools.chain.from_iterable(every)


def test_words_by_pen_and_their_font_are_new_in_later_splits(tmp_path, tool, monkeypatch):
    letters = sys.modules["_letters"]
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "HersheyFonts", None)
        with pytest.raises(SystemExit, match="pen-words follow the fonts .*; pip install Hershey-Fonts"):
            tool.prepare("pen-words", None, tmp_path)
    assert list(tool.prepare("pen-words", None, tmp_path).values()) == [40, 10, 10, 10, 60]
    rows = {name: listed(tmp_path / "prepared-pen-words", name) for name in letters.WORDS}
    words = [{row["word"] for row in own} for own in rows.values()]
    assert all(not one & other for one, other in itertools.combinations(words, 2))
    assert {row["font"] for row in rows["unseen"]} == {letters.UNSEEN_FONT}
    assert {row["font"] for name in ("train", "test", "many") for row in rows[name]} <= set(letters.FONTS)
    row = rows["train"][0]
    assert [up for *_, up in row["strokes"]] == [0, 1, 1] * len(row["word"])
    across = sum(x for x, *_ in row["strokes"])
    assert len(row["word"]) * 5 < across + 10 < len(row["word"]) * 30 + 40


def test_each_font_in_turn_is_in_test_alone(tmp_path, tool, monkeypatch):
    letters = sys.modules["_letters"]
    monkeypatch.setattr(letters, "IN_TURN", {"train": 200, "valid": 20, "test": 10})
    assert list(tool.prepare("unseen-font-timesi", None, tmp_path).values()) == [200, 20, 10]
    rows = {name: listed(tmp_path / "prepared-unseen-font-timesi", name) for name in letters.IN_TURN}
    assert {row["font"] for row in rows["test"]} == {"timesi"}
    assert {row["font"] for row in rows["train"]} == {*letters.EVERY_FONT} - {"timesi"}
    words = [{row["word"] for row in own} for own in rows.values()]
    assert all(not one & other for one, other in itertools.combinations(words, 2))


def font(folder, without=""):
    """Letters of a line upwards from their foot to 500, x from 0 to 300, and a dot on the line; 600 apart."""
    folder.mkdir(exist_ok=True)
    glyphs = "".join(
        f'<glyph unicode="{letter}" horiz-adv-x="600" d="M 0 0 L 300 500 M 300 0" />'
        for letter in "abcdefghijklmnopqrstuvwxyz"
        if letter not in without
    )
    text = f'<svg xmlns="http://www.w3.org/2000/svg"><defs><font>{glyphs}</font></defs></svg>'
    (folder / "Plain.svg").write_text(text)


def test_words_in_fonts_of_files_are_beside_those_of_training(tmp_path, tool, monkeypatch):
    letters = sys.modules["_letters"]
    monkeypatch.setattr(letters, "MORE_WORDS", 20)
    monkeypatch.setattr(letters, "DRESSED", 0.0)
    folder = tmp_path / letters.FOLDER
    with pytest.raises(SystemExit, match=f"{letters.FOLDER}: no fonts .*; npm pack hersheytext"):
        tool.prepare("pen-words-more", tmp_path, tmp_path)
    font(folder, without="q")
    with pytest.raises(SystemExit, match="Plain.svg: has no letter q; take the file away"):
        tool.prepare("pen-words-more", tmp_path, tmp_path)
    (folder / "Plain.svg").write_text("no font")
    with pytest.raises(SystemExit, match="Plain.svg: this is no SVG: .*; take the file away"):
        tool.prepare("pen-words-more", tmp_path, tmp_path)
    font(folder)
    tool.prepare("pen-words", None, tmp_path)
    assert list(tool.prepare("pen-words-more", tmp_path, tmp_path).values()) == [60, 10, 10, 10, 60]
    rows = {name: listed(tmp_path / "prepared-pen-words-more", name) for name in letters.WORDS}
    plain = {name: listed(tmp_path / "prepared-pen-words", name) for name in letters.WORDS}
    assert rows.pop("train")[:40] == plain["train"] and rows == {name: plain[name] for name in rows}

    more = listed(tmp_path / "prepared-pen-words-more", "train")[40:]
    assert {row["font"] for row in more} == {"Plain"}
    assert not {row["word"] for row in more} & {row["word"] for own in plain.values() for row in own}
    offsets = [np.array(row["strokes"]) for row in more]
    assert all([up for *_, up in steps] == [0, 1, 1] * len(row["word"]) for row, steps in zip(more, offsets))
    # The line of a letter climbs by the height of an x, and letters stand 600 / 500 of that apart.
    climbs = np.concatenate([steps[1::3, 1] for steps in offsets])
    assert abs(climbs.mean() + letters.X_HEIGHT) < 1
    apart = np.concatenate([steps[3::3, 0] for steps in offsets])
    assert abs(apart.mean() - 300 / 500 * letters.X_HEIGHT) < 1


def test_a_broad_pen_writes_twice_and_serifs_cross_the_ends_that_go_up_or_down(tool):
    letters = sys.modules["_letters"]
    stem, bar, dot = np.array([[0.0, 0], [1, 9]]), np.array([[0.0, 4], [5, 5]]), np.array([[2.0, 2]])
    seen = set()
    for seed in range(40):
        dressed = letters._dressed([stem, bar, dot], random.Random(seed))
        assert all(np.array_equal(one, other) for one, other in zip(dressed, (stem, bar, dot)))
        broad = len(dressed) in (6, 10)
        half = len(dressed) // 2 if broad else len(dressed)
        serifs = dressed[3:half]
        assert [line[0, 1] for line in serifs] in ([], [0, 9]) and all(len(line) == 2 for line in serifs)
        assert all(0 < np.ptp(line[:, 0]) <= 2 * letters.SERIF[1] and not np.ptp(line[:, 1]) for line in serifs)
        shifts = [other - one for one, other in zip(dressed[:half], dressed[half:])]
        low, high = letters.BROAD
        assert all((low <= shift[:, 0]).all() and (shift[:, 0] <= high).all() for shift in shifts)
        seen.add((broad, bool(serifs)))
    assert len(seen) == 4
