"""What a message on data recommends, followed: the mended file, rows or setting are read."""

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest
from click.testing import CliRunner

from ostinato.cli.main import group
from ostinato.data import files, write
from ostinato.data.batches import Batches
from ostinato.data.catalogue import find
from ostinato.data.contract import Dialect
from ostinato.data.read import as_columns, open_table
from ostinato.data.series import long_table, whole_series
from ostinato.data.split import in_order
from ostinato.data.windows import to_predict
from ostinato.data.word_vectors import read as read_vectors
from ostinato.data.write import write_table
from ostinato.errors import OstinatoError
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.read import from_arguments
from tests.advice import follow
from tests.data.test_read import workbook

PAIRS = b"de,en\na,b\n"
SAVED = io.BytesIO()
np.save(SAVED, np.eye(2))
FRAME = polars.DataFrame({"de": [f"word {number}" for number in range(50)]})
PACKED = io.BytesIO()
FRAME.write_parquet(PACKED, compression="uncompressed")
WHOLE = PACKED.getvalue()
DAMAGED = WHOLE[:8] + b"\xff" * 300 + WHOLE[308:]
TREE = "\t".join(["1", "a", *"_" * 8]) + "\n"
SERIES = "@problemName a\n@classLabel true a b\n@data\n1,2:3,4:a\n"
STAMPED = [{"t": f"2023-01-0{day}", "site": "a", "y": day, "size": 3} for day in range(1, 5)]
LISTS = [{"y": [1.0, 2, 3], "w": [1.0, 2, 3, 4]}]
NORMAL, BY_BLANK = Dialect(), Dialect(rows="blank")


class Text:
    """A class that no table holds."""


def pairs(name, content=PAIRS):
    return ({name: content}, name)


ROWS = [
    # files by name, and what names the data: refused | what the message recommends | the same with the advice followed
    (
        *pairs("t.csv", b'de,en\n"a,b\n'),
        ': a quote (") opens a field here and is never closed; close it',
        pairs("t.csv", b'de,en\n"a",b\n'),
    ),
    (
        {"f/manifest.csv": b"x\na\n", "f/manifest.jsonl": b'{"x": "a"}\n'},
        "f",
        "f is a folder with manifest.csv and manifest.jsonl; keep one of them",
        ({"f/manifest.csv": b"x\na\n"}, "f"),
        ({"f/manifest.jsonl": b'{"x": "a"}\n'}, "f"),
    ),
    (
        {"f/a.txt": b"a", "f/b.png": b"b"},
        "f",
        "is a table of the rows, whose columns NAME:file hold paths of files; or name a file in the folder",
        ({"f/a.txt": b"a", "f/manifest.csv": b"x:file\na.txt\n"}, "f"),
        ({"f/a.txt": b"a"}, "f/a.txt"),
    ),
    (
        *pairs("t.jsonl", b'{"de": "\\ud83d"}\n'),
        "'de' holds half of a surrogate pair, which is no Unicode text; write the whole pair, or the character itself",
        pairs("t.jsonl", b'{"de": "\\ud83d\\ude42"}\n'),
        pairs("t.jsonl", '{"de": "\U0001f642"}\n'.encode()),
    ),
    (
        *pairs("t.csv", b'de,en\na,""\r;\n'),
        "t.csv lines 2 to 2: Polars cannot read them ( ... ); mend them",
        pairs("t.csv", b"de,en\na,\n"),
    ),
    (
        {"t.csv": PAIRS},
        "tt.csv",
        "did you mean 't.csv'? paths are relative to the recipe, or name the folder of the data sets with --data-root",
        ({"t.csv": PAIRS}, "t.csv"),
    ),
    (
        *pairs("t.conll", b"\n\n"),
        "has no rows; give a file with at least one line of columns",
        ({"t.conll": b"# global.columns = word\na\n"}, "t.conll"),
    ),
    (
        {"t.conll": b"a N\n"},
        "{_ _: t.conll}",
        "every column is _; name at least one",
        ({"t.conll": b"a N\n"}, "{_ tag: t.conll}"),
    ),
    (
        {"t.conll": b"a\tN\nb\t\n"},
        "{word tag: t.conll}",
        "the column 'tag' is empty; fill it in, or leave the whole line blank where a row ends",
        ({"t.conll": b"a\tN\nb\tV\n"}, "{word tag: t.conll}"),
        ({"t.conll": b"a\tN\n\n"}, "{word tag: t.conll}"),
    ),
    (
        *pairs("t.conllu", TREE.replace("1\ta", "x\ta").encode()),
        "the id 'x' is not like 1, 2-3 or 4.1; mend it",
        pairs("t.conllu", TREE.encode()),
    ),
    (
        *pairs("t.ts", f"@timeStamps true\n{SERIES}".encode()),
        "series with time stamps are not read; give equal steps without stamps",
        pairs("t.ts", f"@timeStamps false\n{SERIES}".encode()),
    ),
    (
        *pairs("t.ts", SERIES.replace(":a", "").replace(":3,4", "").encode()),
        "has no label after its last `:`; write channel:channel:label",
        pairs("t.ts", SERIES.encode()),
    ),
    (
        *pairs("t.ts", SERIES[: SERIES.index("1,2")].encode()),
        "has no rows; give at least one series after @data",
        pairs("t.ts", SERIES.encode()),
    ),
    (
        *pairs("t.csv", b"a\rb,c\nx,y\n"),
        "the header cannot be read ( ... ); mend it",
        pairs("t.csv", b"ab,c\nx,y\n"),
    ),
    (*pairs("t.parquet", b"PAR1"), "write or fetch it again", pairs("t.parquet", WHOLE)),
    (*pairs("t.parquet", DAMAGED), "write or fetch the file again", pairs("t.parquet", WHOLE)),
    (
        *pairs("t.parquet", lambda file: FRAME.clear().write_parquet(file)),
        "t.parquet has no rows in it; give a file with at least one row",
        pairs("t.parquet", WHOLE),
    ),
    (
        {"t.csv": "de,en\né,b\n".encode()},
        ("t.csv", Dialect(encoding="ascii")),
        "is no text of its encoding: ... ; name another by data.encoding",
        ({"t.csv": "de,en\né,b\n".encode()}, ("t.csv", Dialect(encoding="utf-8"))),
    ),
    (
        *pairs("t.sav"),
        "t.sav is of a kind (.sav) that is not read; save it as .csv or .tsv",
        pairs("t.csv"),
        pairs("t.tsv", b"de\ten\na\tb\n"),
    ),
    (
        *pairs("t.arrow", lambda file: FRAME.write_ipc(file)),
        "t.arrow is of a kind (.arrow) that is not read; write it as .parquet",
        pairs("t.parquet", lambda file: FRAME.write_parquet(file)),
    ),
    (
        {"t.npy": SAVED.getvalue()},
        "t.npy",
        "t.npy is of a kind (.npy) that is not read; name it in a folder's manifest, or give the array from Python",
        ({"f/t.npy": SAVED.getvalue(), "f/manifest.csv": b"x:file\nt.npy\n"}, "f"),
        ({}, [{"x": np.eye(2)}]),
    ),
    (
        *pairs("t.csv.zip"),
        "is of a kind (.zip) that is not read; unpack it, or pack it with gzip",
        pairs("t.csv"),
        pairs("t.csv.gz", lambda file: __import__("gzip").open(file, "wb").write(PAIRS)),
    ),
    (
        *pairs("t.pdf"),
        "is of a kind (.pdf) that is not read; save it as plain text",
        ({"t.txt": b"a\n"}, {"text": "t.txt"}),
    ),
    ({}, {}, "data.train names no file; give {column: text file}", ({"t.txt": b"a\n"}, {"text": "t.txt"})),
    (
        {"a.fasta": b">one\nACGT\n", "b.txt": b"AC\n"},
        {"a": "a.fasta", "b": "b.txt"},
        "names FASTA files beside text with one example a line; give all of them in one form",
        ({"a.fasta": b">one\nACGT\n", "b.fasta": b">one\nAC\n"}, {"a": "a.fasta", "b": "b.fasta"}),
        ({"a.txt": b"ACGT\n", "b.txt": b"AC\n"}, {"a": "a.txt", "b": "b.txt"}),
    ),
    (
        {},
        {"text": ["one", "two"], "label": 5},
        "data.train: each column needs a list of as many files",
        ({}, [{"text": "one", "label": 5}, {"text": "two", "label": 5}]),
    ),
    (
        {},
        {"text": 5},
        "{column: ...} names one text file per column; give data in memory as a list of dicts or a frame",
        ({}, [{"text": 5}]),
        ({}, polars.DataFrame({"text": [5]})),
    ),
    (
        {"a.conll": b"a N\n", "b.conll": b"a\n"},
        {"word tag": "a.conll", "other": "b.conll"},
        "in CoNLL's form, and 2 files are given; name the columns of one alone, or give each file one column",
        ({"a.conll": b"a N\n"}, {"word tag": "a.conll"}),
        ({"a.txt": b"a\n", "b.txt": b"a\n"}, {"word": "a.txt", "other": "b.txt"}),
    ),
    (
        {"f/t.txt": b"a\n"},
        {"text": "f"},
        "f is a folder; name a file in it",
        ({"f/t.txt": b"a\n"}, {"text": "f/t.txt"}),
    ),
    (
        {"pipe": os.mkfifo},
        {"text": "pipe"},
        "pipe is a pipe or a device, and rows are read several times; write them into a file",
        ({"t.txt": b"a\n"}, {"text": "t.txt"}),
    ),
    (
        {"f/manifest.csv": b"x:file\n../t.txt\n", "t.txt": b"a\n"},
        "f",
        "../t.txt lies outside the manifest's folder; name files in it, by paths relative to the manifest",
        ({"f/manifest.csv": b"x:file\nt.txt\n", "f/t.txt": b"a\n"}, "f"),
    ),
    (
        {"f/manifest.csv": b"x,x:file\na,t.txt\n", "f/t.txt": b"a\n"},
        "f",
        "the column 'x' exists beside 'x:file'; rename one of them",
        ({"f/manifest.csv": b"y,x:file\na,t.txt\n", "f/t.txt": b"a\n"}, "f"),
    ),
    (
        {"f/manifest.csv": b"x:file\nt.npy\n", "f/t.npy": SAVED.getvalue()[:-9]},
        "f",
        "write it again with numpy.save",
        ({"f/manifest.csv": b"x:file\nt.npy\n", "f/t.npy": lambda file: np.save(file, np.eye(2))}, "f"),
    ),
    (
        {"f/manifest.csv": b"x:file\nt.json\n", "f/t.json": b"[1, 2"},
        "f",
        "t.json is no JSON: Expecting ',' delimiter: line 1 column 6 (char 5); give a list, such as [1, 2.5, null]",
        ({"f/manifest.csv": b"x:file\nt.json\n", "f/t.json": b"[1, 2.5, null]"}, "f"),
    ),
    (
        {},
        [{"x": Text()}],
        "give text, numbers, dates, bytes, lists, dicts, numpy arrays or tensors",
        ({}, [{"x": "a"}]),
        ({}, [{"x": np.eye(2)}]),
    ),
    ({}, [], "has no rows; give at least one row", ({}, [{"x": "a"}])),
    (
        {},
        [{"x": "\ud83d"}],
        "column 'x': half of a surrogate pair, which is no Unicode text; write the whole pair, or the character itself",
        ({}, [{"x": "\ud83d\ude42".encode("utf-16", "surrogatepass").decode("utf-16")}]),
        ({}, [{"x": "\U0001f642"}]),
    ),
    (
        {},
        5,
        "give a file, a list of files, {column: text file}, an iterable of dicts, a pandas or Polars DataFrame",
        ({"t.csv": PAIRS}, "t.csv"),
        ({"t.csv": PAIRS}, ["t.csv", "t.csv"]),
        ({"t.txt": b"a\n"}, {"text": "t.txt"}),
        ({}, ({"x": text} for text in "ab")),
        ({}, FRAME),
        ({}, pandas.DataFrame({"x": ["a"]})),
    ),
]


def opened(folder, contents, source):
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        content(path) if callable(content) else path.write_bytes(content)
    source, dialect = source if isinstance(source, tuple) else (source, NORMAL)
    is_text = isinstance(source, str) and source.endswith((".txt", ".npy"))
    return open_table(
        as_columns(source),
        base=folder,
        data_root=None,
        where="data.train",
        columns=["text"] if is_text else None,
        dialect=dialect,
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2][:60])
def test_data_that_follow_the_advice_are_read(tmp_path, row):
    files, source, advice, *mended = row
    with pytest.raises(OstinatoError) as refusal:
        table = opened(tmp_path, files, source)
        assert list(table.blocks()) and table.digest()
    assert all(part in " ".join(str(refusal.value).split()) for part in advice.split(" ... "))
    for number, (files, source) in enumerate(mended):
        folder = tmp_path / str(number)
        folder.mkdir()
        table = opened(folder, files, source)
        assert list(table.blocks()) and table.digest()


@pytest.mark.parametrize("line", ["a", "a N", "a DT B-NP N"])
def test_columns_are_named_as_the_advice_writes_them(tmp_path, line):
    with pytest.raises(OstinatoError, match="nothing names them; name them from left to right, _ for each") as refusal:
        opened(tmp_path, {"t.conll": f"{line}\n".encode()}, "t.conll")
    named, header = re.search(
        r"that is not needed, such as '(\{.*\})' in place of the file, or in its first line: (# global.columns = .*)$",
        str(refusal.value),
    ).groups()
    columns = ["word", "tag"][: len(line.split())]
    assert opened(tmp_path, {}, named).columns == tuple(columns)
    assert opened(tmp_path, {"t.conll": f"{header}\n{line}\n".encode()}, "t.conll").columns == tuple(columns)


def test_columns_of_a_text_in_conll_form_are_named_as_the_advice_writes_them(tmp_path):
    (tmp_path / "t.txt").write_text("a DT N\nb DT N\n\n" * 3)
    where = {"base": tmp_path, "data_root": None, "where": "data.train"}
    with pytest.raises(OstinatoError, match="or name the columns of its lines as CoNLL's: ") as refusal:
        open_table("t.txt", columns=["word", "tag"], **where)
    named = str(refusal.value).rpartition("data.train: ")[2]
    assert open_table(as_columns(named), columns=["word", "tag"], **where).num_rows == 3


def test_a_long_line_is_read_with_the_limit_that_the_advice_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_LINE_MB", "0.001")
    files = {"t.jsonl": b'{"x": "%s"}\n' % (b"a" * 1500)}
    with pytest.raises(OstinatoError, match="MB; break it into rows, or set ") as refusal:
        opened(tmp_path, files, "t.jsonl")
    opened(tmp_path, {"u.jsonl": b'{"x": "%s"}\n' % (b"a" * 500) * 3}, "u.jsonl")
    monkeypatch.setenv(*re.search(r"or set (\w+)=([\d.]+) where so long a line is meant", str(refusal.value)).groups())
    opened(tmp_path, files, "t.jsonl")


def test_a_file_that_may_be_read_is_given_as_the_advice_asks():
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, path = Path(name), Path(name, "t.csv")
        folder.chmod(0o755)
        path.write_bytes(PAIRS)
        path.chmod(0)
        if not os.geteuid():  # root may read all
            os.seteuid(65534)
            stack.callback(os.seteuid, 0)
        with pytest.raises(OstinatoError, match="cannot be opened: Permission denied; give a file that you may read"):
            opened(folder, {}, "t.csv")
        stack.close()
        path.chmod(0o644)
        opened(folder, {}, "t.csv")


def test_a_workbook_that_follows_the_advice_is_read(tmp_path):
    pytest.importorskip("fastexcel")
    workbook(tmp_path / "empty.xlsx", [("de", "en")])
    workbook(tmp_path / "t.xlsx", [("de", "en"), ("a", "b")])
    with pytest.raises(OstinatoError, match="has no rows below its first; give a sheet with at least one row"):
        opened(tmp_path, {}, "empty.xlsx")
    with pytest.raises(OstinatoError, match=r"t.xlsx is no whole workbook \(.*\); save it again, or as .csv"):
        opened(tmp_path, {"bad/t.xlsx": b"no workbook"}, "bad/t.xlsx")
    opened(tmp_path, {}, "t.xlsx")
    opened(tmp_path, {"t.csv": PAIRS}, "t.csv")


def test_a_split_of_a_hugging_face_data_set_is_given_as_the_advice_asks(tmp_path):
    datasets = pytest.importorskip("datasets")
    source = datasets.DatasetDict({"train": datasets.Dataset.from_list([{"x": "a"}])})
    with pytest.raises(
        OstinatoError, match=r"is a datasets DatasetDict; give one split of it, such as source"
    ) as refusal:
        opened(tmp_path, {}, source)
    (split,) = re.findall(r"source\['(\w+)'\]", str(refusal.value))
    opened(tmp_path, {}, source[split])


def table_of(rows):
    return open_table(rows, columns=None, base=None, data_root=(), where="data.file")


def long(rows, constants=("size",), numbers=("y",)):
    columns = {number: [number] for number in numbers}
    return long_table(table_of(rows), time="t", series="site", numbers=columns, constants=constants)


def whole(rows, ahead=("w",)):
    table = table_of(rows)
    columns = {column: iter(table.column(column)) for column in ("y", "w")}
    return whole_series(table, columns, series=None, numbers=("y", "w"), ahead=ahead)


def of_text(folder, text):
    """Series of a file with one after each blank line."""
    (folder / "t.txt").write_text(text)
    table = open_table({"y": "t.txt"}, columns=None, base=folder, data_root=(), where="data.file", dialect=BY_BLANK)
    raws = (text.split() for text in table.column("y"))
    return whole_series(table, {"y": ([float(number) for number in raw] for raw in raws)}, series=None, numbers=("y",))


def forecast(rows=STAMPED, ahead=False, **size):
    gathered = long(rows, constants=(), numbers=("y", "size"))
    if ahead == "dates":
        gathered.cells["size"] = [times for times in gathered.times]
    reach = {"inputs.y": "past", "outputs.f": "target", **({"inputs.w": "ahead"} if ahead else {})}
    columns = {"inputs.y": "y", "outputs.f": "y", "inputs.w": "size"}
    return to_predict(
        gathered, reach, columns, of="outputs.f", where="data", **{"lookback": 2, "horizon": 1, "season": 1, **size}
    )


def changed(row, **cells):
    return [{**own, **(cells if at == row else {})} for at, own in enumerate(STAMPED)]


HOURS = [{"t": f"2023-01-01 0{hour}:00", "site": "b", "y": hour, "size": 3} for hour in range(1, 5)]
CALLS = [
    # what is refused | what the message recommends | calls that follow it
    (
        lambda: whole([{"y": [1.0, 2], "w": [1.0]}], ahead=()),
        "'w' has 1 steps, and 'y' 2; give both as many, null where a number is missing",
        lambda: whole([{"y": [1.0, 2], "w": [1.0, None]}], ahead=()),
    ),
    (
        lambda: Batches(np.ones(3)),
        "batches need one limit; give batch_steps (steps of a batch) or batch_rows (its rows)",
        lambda: Batches(np.ones(3), batch_steps=2),
        lambda: Batches(np.ones(3), batch_rows=2),
    ),
    (lambda: in_order(1, 0), "1 row cannot be divided; give at least 2 rows, or name `valid`", lambda: in_order(2, 1)),
    (
        lambda: long(changed(2, site="")),
        "'site' is empty, and it names the series of the row; fill it in",
        lambda: long(STAMPED),
    ),
    (
        lambda: long(changed(2, size=4)),
        "an input that is no series has one value for a whole series; make it a series, or mend the row",
        lambda: long(changed(2, size=4), constants=(), numbers=("y", "size")),
        lambda: long(STAMPED),
    ),
    (
        lambda: long(STAMPED + HOURS),
        "series 'b' has one step each hour, and series 'a' each day; train them apart",
        lambda: long(STAMPED),
        lambda: long(HOURS),
    ),
    (
        lambda: whole([{"y": None, "w": [1.0]}]),
        "'y' is empty, and a series is needed; leave that row out",
        lambda: whole(LISTS),
    ),
    (
        lambda: whole([{"y": [1.0, np.inf], "w": [1.0, 2]}]),
        "the number of step 2 is infinite; mend it, or leave it out (null) where it is missing",
        lambda: whole([{"y": [1.0, 2], "w": [1.0, 2]}]),
        lambda: whole([{"y": [1.0, None], "w": [1.0, 2]}]),
    ),
    (
        lambda: whole([{"y": [1.0, 2], "w": [1.0]}]),
        "'w' is known ahead and has 1 steps, and 'y' 2; give at least as many",
        lambda: whole(LISTS),
    ),
    (
        lambda: forecast(lookback=9),
        "has 4 steps, and the forecast looks back at 9; give a longer past",
        lambda: forecast([{**STAMPED[0], "t": f"2023-01-{day:02}"} for day in range(1, 10)], lookback=9),
    ),
    (
        lambda: forecast(STAMPED[:1], "dates", lookback=1),
        "has one step, and nothing tells how far the next one is; give at least two",
        lambda: forecast(STAMPED[:2], "dates", lookback=1),
    ),
    (
        lambda: forecast(STAMPED, True),
        "inputs.w is known ahead and missing at 2023-01-05; give it for 1 steps from 2023-01-05",
        lambda: forecast([*STAMPED, {"t": "2023-01-05", "site": "a", "y": None, "size": 3}], True),
    ),
]


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row[1][:60])
def test_a_call_that_follows_the_advice_works(row):
    follow(*row)


def test_a_field_that_is_closed_as_the_advice_asks_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "RECORD_BYTES", 1 << 20)
    long_field = b"a\n" * (1 << 20)
    with pytest.raises(OstinatoError, match=r"a quote \(\"\) opens a field of more than 1 MB; close it"):
        list(opened(tmp_path, {"t.csv": b'de,en\n"a,b\n' + long_field + b'"\n'}, "t.csv").blocks())
    assert list(opened(tmp_path, {"t.csv": b'de,en\n"a",b\n'}, "t.csv").blocks())


def test_series_are_given_as_the_advice_asks(tmp_path):
    with pytest.raises(OstinatoError, match="data.file: has no rows; give at least one series"):
        of_text(tmp_path, "\n\n")
    assert len(of_text(tmp_path, "1\n2\n\n3\n4\n")) == 2


def test_times_are_written_with_their_zone_as_the_advice_says():
    times = ["2023-10-29 01:30", "2023-10-29 02:00", "2023-10-29 02:30", "2023-10-29 02:00", "2023-10-29 02:30"]
    with pytest.raises(OstinatoError, match="where clocks went back, write times with their zone: ") as refusal:
        long([{"t": time, "site": "a", "y": 1} for time in times], constants=())
    (zoned,) = re.findall(r"with their zone: ([-\d]+ \d\d:\d\d[+]\d\d:\d\d)", str(refusal.value))
    summer = [f"{time}+02:00" for time in times[:3]]
    rows = [{"t": time, "site": "a", "y": 1} for time in [*summer, zoned, zoned.replace("02:00+", "02:30+")]]
    assert long(rows, constants=()).frequency.count == 30


def test_files_are_found_below_the_folder_that_the_advice_names(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/t.csv").write_bytes(PAIRS)
    with pytest.raises(OstinatoError, match="or name the folder of the data sets with --data-root"):
        open_table("t.csv", columns=None, base=tmp_path, data_root=(), where="data.train")
    assert open_table("t.csv", columns=None, base=tmp_path, data_root=tmp_path / "root", where="data.train").columns


def test_a_table_is_written_with_an_ending_that_the_advice_names(tmp_path):
    with pytest.raises(OstinatoError, match="the ending is that of a text, not of a table; give ") as refusal:
        write_table(tmp_path / "t.abc", [{"x": 1}])
    for ending in re.findall(r"\.\w+", str(refusal.value).rpartition("; give ")[2]):
        assert write_table(tmp_path / f"t{ending}", [{"x": 1}]) == 1


@pytest.mark.parametrize(
    ("content", "advice", "mended"),
    [
        ("a\nb\n", "line 1 has no numbers; give text with a word and its vector a line", "a 1 2\nb 3 4\n"),
        (
            "3 2\na 1 2\nb 3 4\n",
            "promises 3 words in line 1, and there are 2; fetch it again, or mend its first line",
            "2 2\na 1 2\nb 3 4\n",
        ),
    ],
)
def test_word_vectors_that_follow_the_advice_are_read(tmp_path, content, advice, mended):
    path = tmp_path / "v.txt"
    path.write_text(content)
    with pytest.raises(OstinatoError, match=advice):
        read_vectors(path, "v.txt", ["a"], seed=1)
    path.write_text(mended)
    assert read_vectors(path, "v.txt", ["a"], seed=1)[0].shape == (1, 2)


def test_more_than_a_sheet_holds_is_written_as_the_advice_says(tmp_path, monkeypatch):
    pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(write, "SHEET_ROWS", 2)
    for rows in ([{"x": "a"}] * 3, [{"x": "a" * 40_000}]):
        with pytest.raises(OstinatoError, match="characters in a cell, and here are .*; give .csv or .parquet"):
            write_table(tmp_path / "t.xlsx", rows)
        assert write_table(tmp_path / "t.csv", rows) == write_table(tmp_path / "t.parquet", rows) == len(rows)
    assert write_table(tmp_path / "t.xlsx", [{"x": "=1+1", "y": [1, 2], "z": None}]) == 1


def test_the_catalogue_lists_the_data_sets_as_the_advice_says():
    with pytest.raises(
        OstinatoError, match="the catalogue has no data set 'nope'.*`ostinato data list` tells what each is"
    ) as refusal:
        find("nope")
    (command,) = re.findall("; `ostinato (.*)` tells what each is", str(refusal.value))
    known = re.search("allowed here: (.*);", str(refusal.value))[1].split(", ")
    listed = CliRunner().invoke(group, command.split())
    assert not listed.exit_code and all(name in listed.output and find(name) for name in known)


def test_encoded_rows_are_kept_where_the_advice_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "t.csv").write_text("x,y\n" + "a,a\nb,b\n" * 5)
    recipe = from_arguments(data={"train": "t.csv"}, inputs={"x": "text"}, outputs={"y": "category"})
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "file"))
    with pytest.raises(OstinatoError, match="Encoded rows are kept there: set OSTINATO_CACHE to another folder"):
        prepare(recipe)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "folder"))
    assert prepare(recipe).splits
