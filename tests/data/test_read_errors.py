"""Sources that cannot be read, and what is said of them."""

import gzip
import os

import polars
import pytest

from ostinato.data import files
from ostinato.data.read import open_table
from ostinato.errors import ConfigError, DataError
from ostinato.recipe import read as recipe_read
from tests.data.sources import Upper, opened, written


def test_a_line_or_a_field_of_many_megabytes_is_refused_by_its_size(tmp_path, monkeypatch):
    for name, content in (
        ("t.csv", b"de,en\na,b\nc," + b"x" * (5 << 20) + b"\n"),
        ("q.csv", b'de,en\na,b\nc,"' + b"x" * (5 << 20) + b'"\n'),
        ("t.txt.gz", b"a\nb\n" + b"x" * (5 << 20)),
        ("t.jsonl", b'{"de": 1, "en": 2}\n{}\n{"de": "' + b"x" * (5 << 20) + b'"}\n'),
    ):
        written(tmp_path, name, content)
        monkeypatch.setenv("OSTINATO_LINE_MB", "2")
        columns = ["x"] if name == "t.txt.gz" else ("de", "en")
        with pytest.raises(DataError, match=f"{name} line 3 is longer than 2 MB.*OSTINATO_LINE_MB=4"):
            opened(tmp_path, name, columns).num_rows
        monkeypatch.setenv("OSTINATO_LINE_MB", "8")
        assert opened(tmp_path, name, columns).num_rows >= 2
    monkeypatch.delenv("OSTINATO_LINE_MB")
    monkeypatch.setattr(files, "RECORD_BYTES", 2 << 20)
    with pytest.raises(DataError, match="t.csv line 3 is longer than 2 MB"):
        opened(tmp_path, "t.csv").num_rows
    written(tmp_path, "zeros.csv.gz", b"\0" * (64 << 20))
    with pytest.raises(DataError, match="zeros.csv.gz line 1 has a NUL byte"):
        opened(tmp_path, "zeros.csv.gz")


BAD = {
    "empty": ("t.tsv", b"", "data.train: t.tsv is empty"),
    "empty gz": ("t.txt.gz", b"", "data.train: t.txt.gz is empty"),
    "only a byte order mark": ("t.txt", b"\xef\xbb\xbf", "t.txt is empty"),
    "header only": ("t.csv", b"de,en\r\n", r"t.csv has a header \(de, en\) and no rows"),
    "blank header": ("t.csv", b"\nde,en\na,b\n", "t.csv line 1 is blank"),
    "missing column": ("t.tsv", b"dee\ten\na\tb\n", "t.tsv has no column 'de'; did you mean 'dee'"),
    "column twice": ("t.csv", b"de,en,de\na,b,c\n", "t.csv line 1: the header names column 'de' twice; rename"),
    "key twice": ("t.jsonl", b'{"de": 1, "en": 1, "de": 2}\n', "t.jsonl line 1 has the key 'de' twice"),
    "short row": (
        "t.tsv",
        b"de\ten\na\tb\nc\n",
        r"t.tsv line 3 has 1 field, and the header names 2 \(de, en\).*empty field",
    ),
    "long row": ("t.tsv", b"de\ten\na\tb\n\nc\td\te\n", "t.tsv line 4 has 3 fields"),
    "long row after a break": ("t.csv", b'de,en\n"a\n\nb",c\n1,2,3\n', "t.csv line 5 has 3 fields.*quote a field"),
    "semicolons around a comma": ("t.csv", b"de,en,a;b\nx;p\n", "t.csv line 2 has 1 field.*set data.delimiter: ';'"),
    "stray quote": ("t.csv", b'de,en\na,b\n5" pipe,x\n', "t.csv line 3: a quote .* inside a field"),
    "text after a quote": ("t.csv", b'de,en\n"a"b,x\n', "t.csv line 2: a quote .* inside a field"),
    "open quote": ("t.csv", b'de,en\na,b\nc,"d\ne,f\n', "t.csv line 3: a quote .* never closed"),
    "open quote in the header": ("t.csv", b'de,"en\na,b\n', "t.csv line 1: a quote .* never closed"),
    "NUL": ("t.tsv", b"de\ten\na\tb\nc\x00\td\n", "t.tsv line 3 has a NUL byte"),
    "NUL in text": ("t.txt", b"a\nb\n\x00\n", "t.txt line 3 has a NUL byte"),
    "damaged UTF-8": (
        "t.csv",
        "de,en\na,b\nc\xe9d,\xfc\n".encode() + b"c\xe9d,e\n",
        "t.csv line 4 is not UTF-8: byte 2 of the line is 0xe9.*data.encoding: cp1252",
    ),
    "Russian in cp1251": ("t.txt.gz", "a\nпривет\n".encode("cp1251"), "t.txt.gz line 2 is not UTF-8.*cp1251"),
    "cut-off UTF-16": ("t.txt", "\ufeffa\nb\n".encode("utf-16-le")[:-1], "t.txt after line 1 is no text of its enc"),
    "bad JSON": ("t.jsonl", b'{"de": 1, "en": 2}\n{"de": 1, "en": 2\n', "t.jsonl line 2 is no JSON: .*character 18"),
    "a JSON list": ("t.jsonl", b'{"de": 1, "en": 2}\n\n[1, 2]\n', "t.jsonl line 3 is a JSON list"),
    "half a surrogate pair": (
        "t.jsonl",
        b'{"de": "\\ud83d\\ude42", "en": ""}\n{"de": "\\ud83d", "en": ""}\n',
        "t.jsonl line 2: 'de' holds half",
    ),
    "no parquet": ("t.parquet", b"de,en\na,b\n", "t.parquet is no whole parquet file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_the_file_the_line_and_what_to_do(tmp_path, case):
    name, content, message = BAD[case]
    written(tmp_path, name, content)
    columns = ["text"] if ".txt" in name else ["de", "en"]
    with pytest.raises(DataError, match=message) as error:
        opened(tmp_path, name, columns).num_rows
        list(opened(tmp_path, name, columns).blocks())
    assert str(error.value).startswith("data.train: t.")


@pytest.mark.parametrize("case", [name for name in BAD if name not in ("half a surrogate pair",)])
def test_bad_input_is_found_while_rows_are_only_counted(tmp_path, case):
    name, content, message = BAD[case]
    written(tmp_path, name, content)
    with pytest.raises(DataError, match=message):
        opened(tmp_path, name, ["text"] if ".txt" in name else ["de", "en"]).num_rows


DAMAGED = {
    "no gzip at all": b"no gzip at all\n",
    "the end is missing": gzip.compress(b"text\n" * 100)[:-9],
    "little more than the header": gzip.compress(b"abc" * 999)[:12],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_gzip_file_is_told(tmp_path, content):
    (tmp_path / "t.txt.gz").write_bytes(content)
    with pytest.raises(DataError, match="t.txt.gz is no whole gzip file"):
        opened(tmp_path, "t.txt.gz", ["x"]).num_rows


def test_parallel_files_of_unequal_length_name_both_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 7)
    written(tmp_path, "t.de", "a\n" * 40)
    written(tmp_path, "t.en", "a\n" * 1234)
    with pytest.raises(DataError, match="t.de has 40 lines, t.en has 1,234 lines"):
        opened(tmp_path, {"de": "t.de", "en": "t.en"}).num_rows


@pytest.mark.parametrize(
    "source, message",
    [
        ({"de": "t.tsv"}, "data.train.de: t.tsv is a table"),
        ({"de": "t.de", "fr": "t.de"}, "data.train has no column 'en'"),
        ({"de": [1], "en": [2]}, "data.train.de is a int.*list of dicts or a frame"),
        ([], "data.train has no rows"),
        ([{"de": "a", "en": "b"}, "c"], "data.train row 2 is a str"),
        ([{"de": "a"}], "has no column 'en'"),
        ([{1: "a"}], "a column 1; names of columns must be strings"),
        (7, "data.train is a builtins.int"),
        (polars.Series([1]), "data.train is a polars.*Series"),
        ("t.parquet.gz", "parquet is compressed already"),
    ],
)
def test_a_source_of_the_wrong_kind_is_refused(tmp_path, source, message):
    for name in ("t.de", "t.tsv", "t.parquet.gz"):
        written(tmp_path, name, "a\n")
    with pytest.raises(DataError, match=message):
        opened(tmp_path, source)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("data.json", "write one JSON object a line, {column: value}, and name the file .jsonl"),
        ("data.JSON.gz", "write one JSON object a line"),
        ("data.sav", "save it as .csv or .tsv"),
        ("data.arrow", "write it as .parquet"),
        ("data.npy", "name it in a folder's manifest"),
        ("data.txt.zip", "unpack it, or pack it with gzip"),
    ],
)
def test_what_is_neither_a_table_nor_text_is_refused_with_what_to_do(tmp_path, name, advice):
    written(tmp_path, name, '[{"de": "a"}]\n')
    with pytest.raises(
        DataError, match=f"data.train: {name} is of a kind .* that is not read; {advice}.*; read are tables .*jsonl"
    ):
        opened(tmp_path, name, ["de"])
    with pytest.raises(DataError, match=f"data.train.de: {name} is of a kind"):
        opened(tmp_path, {"de": name}, ["de"])


def test_fasta_is_known_by_all_its_endings_and_refused_as_text(tmp_path):
    for kind in ("fasta", "fa", "faa", "fna", "ffn", "fas", "faa.gz"):
        written(tmp_path, f"a.{kind}", ">one\nACGT\nAC\n>two\nMK*\n")
        assert opened(tmp_path, f"a.{kind}", ["sequence"]).column("sequence") == ["ACGTAC", "MK*"]
    for source in ("a.seq", {"x": "a.seq"}):
        written(tmp_path, "a.seq", ">one\nACGT\n>two\nAC\n")
        with pytest.raises(
            DataError, match="a.seq begins as FASTA does .'>one'., and would be read as text.*name it .fasta"
        ):
            opened(tmp_path, source, ["x"])


def test_a_field_that_cannot_be_parsed_names_its_place(tmp_path):
    written(tmp_path, "t.tsv", "de\ten\na\tb\nbad\tb\n")
    with pytest.raises(DataError, match="t.tsv line 3, column 'de': 'bad' is no text"):
        list(opened(tmp_path, "t.tsv").values("de", Upper()))
    with pytest.raises(DataError, match="t.tsv line 3, column 'de': 'bad' is no text"):
        list(opened(tmp_path, "t.tsv").values("de", Upper(), [1]))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"a": "x"}\n{"a": ' + "9" * 6000 + "}\n", "a.jsonl line 2 holds a number that is too long"),
        ("a.csv", "x" * 140_000 + ",b\ny,p\n", "a.csv line 1: the header cannot be read"),
    ],
)
def test_what_is_too_long_for_its_readers_is_named_with_its_line(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=says):
        list(open_table(tmp_path / name, columns=None, base=tmp_path, data_root=None, where="data.train").blocks())


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match="a.csv is a pipe or a device, and rows are read several times"):
        open_table(tmp_path / "a.csv", columns=None, base=tmp_path, data_root=None, where="data.train")
    os.mkfifo(tmp_path / "r.yaml")
    with pytest.raises(ConfigError, match="r.yaml: a pipe or a device"):
        recipe_read.load(tmp_path / "r.yaml")


def test_a_damaged_page_of_parquet_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    polars.DataFrame({"a": [f"t{row}" for row in range(30)]}).write_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(byte ^ 255 for byte in data[4:60])
    path.write_bytes(data)
    table = open_table(path, columns=["a"], base=tmp_path, data_root=None, where="data.train")
    with pytest.raises(DataError, match="a.parquet rows 1 to 30: damaged"):
        table.column("a")


def test_half_of_a_surrogate_pair_in_memory_is_named_by_its_row(tmp_path):
    with pytest.raises(DataError, match="data.train row 2, column 'de': half of a surrogate pair"):
        opened(tmp_path, [{"de": "🙂", "en": None}, {"de": "\ud800", "en": "b"}]).column("de")


def test_arguments_that_hold_themselves_are_refused():
    inner = {}
    inner["a"] = inner
    with pytest.raises(ConfigError, match="arguments: one of them holds itself"):
        recipe_read.from_arguments(inner, {"b": "category"})
