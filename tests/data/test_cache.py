"""The cache: what was encoded comes back, is made once, and is never half there."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
import torch

from ostinato.data import cache
from ostinato.data.cache import LeftOut, encode, encode_values, to_steps
from ostinato.data.read import open_table
from ostinato.errors import DataError
from ostinato.modalities.contract import Symbols, Values


class Letters:
    """Enough of a modality: a letter is a symbol."""

    spec = Symbols(0x110000, 1, 2, 3)

    def __init__(self):
        self.calls, self.fitted = 0, "one"

    def parse(self, field):
        return field

    def take(self, raw):
        return raw

    def encode(self, raw):
        self.calls += 1
        if "!" in raw:
            raise DataError("'!' is no letter")
        return numpy.array([ord(letter) for letter in raw], dtype=numpy.int32)

    def remark(self, raw):
        return None

    def facts(self):
        return {"fitted": self.fitted}


class Points(Letters):
    """Steps of two numbers, from a list of pairs."""

    spec = Values(2)

    def parse(self, field):
        return [[float(part) for part in pair.split(",")] for pair in field.split()]

    def encode(self, raw):
        return numpy.array(raw, dtype=numpy.float32).reshape(-1, 2)


TEXTS = ["abc", "", "é🙂", "x" * 50_000, None, "last"]
POINTS = [[[1, 2]], [[3, 4], [5, 6]], None, [], [[7, 8]] * 9, [[0.5, -1]]]
COLUMNS = {"a": "text", "b": "points"}
SETTINGS = {"a": {"lower_case": False}, "b": {}}


def table_of(rows, columns=("text", "points")):
    return open_table(rows, columns=list(columns), base=Path("."), data_root=None, where="data.train")


def rows_of(texts=TEXTS, points=POINTS):
    return [{"text": text, "points": point} for text, point in zip(texts, points)]


def encoded(folder, rows=None, letters=None, columns=COLUMNS, settings=SETTINGS):
    modalities = {"a": letters or Letters(), "b": Points()}
    return encode(table_of(rows_of() if rows is None else rows), modalities, columns, folder, settings=settings)


def test_what_was_encoded_comes_back_in_any_order_and_company(tmp_path):
    data = encoded(tmp_path)
    assert data.num_rows == 6
    assert data.lengths["a"].tolist() == [3, 0, 2, 50_000, 0, 4]
    for rows in ([0], [5, 3, 1, 0, 2, 4], [2, 2], [1, 4], []):
        steps = data.steps("a", rows)
        assert steps.values.dtype == torch.int64
        assert steps.layout.lengths.tolist() == [len(TEXTS[row] or "") for row in rows]
        assert "".join(map(chr, steps.values.tolist())) == "".join(TEXTS[row] or "" for row in rows)
        points = data.steps("b", numpy.array(rows, dtype=numpy.int64))
        assert points.values.dtype == torch.float32
        assert points.values.tolist() == [pair for row in rows for pair in POINTS[row] or []]


def test_a_batch_may_be_changed_and_the_cache_stays(tmp_path):
    data = encoded(tmp_path)
    data.steps("a", [0]).values.zero_()
    data.steps("b", [1]).values.zero_()
    assert data.steps("a", [0]).values.tolist() == [97, 98, 99]
    assert data.steps("b", [1]).values.tolist() == [[3, 4], [5, 6]]


def test_rows_over_many_blocks_are_all_there(tmp_path, monkeypatch):
    from ostinato.data import memory

    monkeypatch.setattr(memory, "BLOCK_ROWS", 3)
    texts = [None if at % 7 == 0 else "x" * (at % 5) for at in range(100)]
    data = encoded(tmp_path, rows_of(texts, [[[at, at]] for at in range(100)]))
    assert data.lengths["a"].tolist() == [len(text or "") for text in texts]
    assert data.steps("b", range(100)).values[:, 0].tolist() == list(range(100))
    _, left_out = data.usable(["a"], max_steps=None)
    assert left_out["a is missing"] == LeftOut(15, "data.train row 1", "a")


def test_usable_rows_and_the_reasons_of_the_others(tmp_path):
    data = encoded(tmp_path)
    rows, left_out = data.usable(["a", "b"], max_steps=49_999)
    assert rows.tolist() == [0, 5]
    assert left_out == {
        "a is missing": LeftOut(1, "data.train row 5", "a"),
        "a is empty": LeftOut(1, "data.train row 2"),
        "b is missing": LeftOut(1, "data.train row 3", "b"),
        "b is empty": LeftOut(1, "data.train row 4"),
    }
    assert data.usable(["a"], max_steps=None)[0].tolist() == [0, 2, 3, 5]
    rows, left_out = data.usable(["a"], max_steps=3, rows=numpy.array([2, 3, 5]))
    assert rows.tolist() == [2]
    assert left_out == {"a is longer than max_steps 3": LeftOut(2, "data.train row 4")}
    assert data.usable(["a"], max_steps=4, rows=numpy.array([5]))[0].tolist() == [5], "max_steps itself is allowed"


def test_an_entry_is_made_once_and_survives_its_writer(tmp_path):
    letters = Letters()
    first = encoded(tmp_path, letters=letters)
    calls = letters.calls
    second = encoded(tmp_path, letters=letters)
    assert letters.calls == calls and second.folder == first.folder
    assert torch.equal(second.steps("a", [0, 2]).values, first.steps("a", [0, 2]).values)
    assert second.usable(["a"], max_steps=None)[1] == first.usable(["a"], max_steps=None)[1]
    assert [path.name for path in tmp_path.iterdir()] == [first.folder.name], "nothing temporary is left"


def test_the_key_follows_content_facts_settings_and_columns(tmp_path):
    changed = Letters()
    changed.fitted = "two"
    swapped = [{"text": text, "other": text, "points": point} for text, point in zip(TEXTS, POINTS)]
    wide = ("text", "other", "points")
    folders = [
        encoded(tmp_path).folder,
        encoded(tmp_path, rows_of(["abd", *TEXTS[1:]])).folder,
        encoded(tmp_path, letters=changed).folder,
        encoded(tmp_path, settings={"a": {"lower_case": True}, "b": {}}).folder,
        encode(table_of(swapped, wide), {"a": Letters()}, {"a": "text"}, tmp_path, settings={"a": {}}).folder,
        encode(table_of(swapped, wide), {"a": Letters()}, {"a": "other"}, tmp_path, settings={"a": {}}).folder,
    ]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("name", ["0.values.bin", "1.offsets.bin", "0.missing.bin", "entry.json"])
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
        lambda path: path.write_text("{}"),
    ],
    ids=["gone", "short", "one bit", "emptied"],
)
def test_an_entry_that_was_damaged_is_made_again(tmp_path, damage, name):
    damage(encoded(tmp_path).folder / name)
    assert encoded(tmp_path).steps("a", [0]).values.tolist() == [97, 98, 99]


def test_a_cell_that_cannot_be_encoded_names_its_place_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="data.train row 3, column 'text': '!' is no letter"):
        encoded(tmp_path, rows_of(["a", "b", "c!", "d"], POINTS))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "number, message", [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the folder is read-only")]
)
def test_a_full_disk_and_a_read_only_folder_are_told_and_leave_nothing(tmp_path, monkeypatch, number, message):
    def refuse(path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache, "sync", refuse)
    with pytest.raises(DataError, match=message):
        encoded(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_device_is_told_while_writing(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    mkdir = Path.mkdir

    def with_full_values(path, *arguments, **options):
        mkdir(path, *arguments, **options)
        if path.suffix == ".tmp":
            (path / "0.values.bin").symlink_to("/dev/full")

    monkeypatch.setattr(Path, "mkdir", with_full_values)
    with pytest.raises(DataError, match="could not be written: the disk is full"):
        encoded(tmp_path)


SLOW_WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_cache
class Slow(test_cache.Letters):
    def encode(self, raw):
        print("writing", flush=True)
        time.sleep(60)
Slow.__module__, Slow.__qualname__ = sys.argv[3], "Letters"
test_cache.Points.__module__ = sys.argv[3]
test_cache.encoded(Path(sys.argv[2]), letters=Slow())
"""


def test_a_killed_writer_leaves_no_entry_and_its_remains_are_swept(tmp_path, monkeypatch):
    program = [sys.executable, "-c", SLOW_WRITER, str(Path(__file__).parent), str(tmp_path), Letters.__module__]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "writing\n"
        writer.send_signal(signal.SIGKILL)
    left = list(tmp_path.iterdir())
    assert [path.suffix for path in left] == [".tmp"]
    data = encoded(tmp_path)
    assert data.steps("a", [0]).values.tolist() == [97, 98, 99]
    assert left[0].exists(), "what another process may still be writing is left alone"
    for path in (left[0], *left[0].iterdir()):
        os.utime(path, (time.time() - 4000,) * 2)
    encoded(tmp_path)
    assert not left[0].exists()


def test_two_processes_may_make_one_entry_at_once(tmp_path, monkeypatch):
    write, depth = cache._write, []

    def other_is_faster(*entry):
        if not depth:
            depth.append(1)
            encoded(tmp_path)
        write(*entry)

    monkeypatch.setattr(cache, "_write", other_is_faster)
    assert encoded(tmp_path).steps("a", [0]).values.tolist() == [97, 98, 99]
    assert len(list(tmp_path.iterdir())) == 1


def test_training_and_prediction_share_one_encoder_of_values(tmp_path):
    values, lengths = encode_values(Letters(), TEXTS, "example {}".format)
    steps, kept = to_steps(values, lengths), encoded(tmp_path).steps("a", range(6))
    assert torch.equal(steps.values, kept.values) and steps.layout == kept.layout
    with pytest.raises(DataError, match="^example 1: '!' is no letter"):
        encode_values(Letters(), ["a", "!"], "example {}".format)
    with pytest.raises(DataError, match="^'!' is no letter"):
        encode_values(Letters(), ["a", "!"])
    empty, none = encode_values(Points(), [], str)
    assert empty.shape == (0, 2) and none.shape == (0,)
