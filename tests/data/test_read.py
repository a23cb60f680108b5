"""Tables: every form gives the same rows, every bad input says file, line and what to do."""

import csv
import hashlib
import importlib.util
import io
import json
import zipfile

import numpy
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import files, lines, memory, read
from ostinato.data.read import open_table
from ostinato.errors import DataError
from ostinato.registry import make, names
from tests.data.sources import Upper, opened, written

ROWS = [("Ein Hund.", "A dog."), ('Er sagt "ja".', "He says 'yes'."), ("नमस्ते \u2028 x", "🙂\x0b"), ("", "empty")]
CHANGES = [lambda b: b, lambda b: b.replace(b"\n", b"\r\n"), lambda b: b"\xef\xbb\xbf" + b, lambda b: b[:-1]]


def pairs(letters):
    """Lists of rows of two fields made of these letters."""
    field = st.text(st.sampled_from(letters), max_size=6)
    return st.lists(st.tuples(field, field), min_size=1, max_size=30)


class Words(Upper):
    """Raw values are lists."""

    def parse(self, field):
        return field.split()


def rows_of(table):
    return [row for block in table.blocks() for row in zip(*(block.columns[name] for name in table.columns))]


def as_csv(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("de", "en"), *rows])
    return text.getvalue()


def as_tsv(rows):
    return "".join("\t".join(row) + "\n" for row in [("de", "en"), *rows])


def as_jsonl(rows):
    return "".join(json.dumps({"de": de, "en": en}) + "\n" for de, en in rows)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind, make", [("csv", as_csv), ("tsv", as_tsv), ("jsonl", as_jsonl)])
def test_a_table_gives_its_rows_whatever_the_line_ends_and_byte_order_mark(tmp_path, kind, make, change, ending):
    name = written(tmp_path, f"t.{kind}{ending}", change(make(ROWS).encode()))
    table = opened(tmp_path, name)
    assert rows_of(table) == ROWS
    assert rows_of(table) == ROWS, "a table can be read again"
    assert table.num_rows == 4
    assert table.place(1) == f"{name} line {2 if kind == 'jsonl' else 3}"


@pytest.mark.parametrize("change", CHANGES)
def test_parallel_files_give_line_n_beside_line_n(tmp_path, change):
    rows = ROWS[:3]
    for at, name in enumerate(("t.de", "t.en.gz")):
        written(tmp_path, name, change("".join(row[at] + "\n" for row in rows).encode()))
    table = opened(tmp_path, {"de": "t.de", "en": "t.en.gz"})
    assert rows_of(table) == rows
    assert table.place(2) == "t.de + t.en.gz line 3"
    assert opened(tmp_path, {"de": "t.de", "en": "t.en.gz"}, ["en"]).column("en") == [row[1] for row in rows]


def test_parallel_lists_of_files_give_file_n_beside_file_n(tmp_path):
    for name, text in (("a.de", "eins\nzwei\n"), ("b.de", "drei\n"), ("a.en", "one\ntwo\n"), ("b.en", "three\n")):
        written(tmp_path, name, text)
    table = opened(tmp_path, {"de": ["a.de", "b.de"], "en": ["a.en", "b.en"]})
    assert rows_of(table) == [("eins", "one"), ("zwei", "two"), ("drei", "three")]
    assert table.place(2) == "b.de + b.en line 1"
    with pytest.raises(DataError, match="data.train: a.de has 2 lines, b.en has 1 lines"):
        opened(tmp_path, {"de": ["a.de", "b.de"], "en": ["b.en", "a.en"]}).num_rows
    with pytest.raises(DataError, match="as many files, and there are: de 2, en 1; file n of one"):
        opened(tmp_path, {"de": ["a.de", "b.de"], "en": ["a.en"]})
    with pytest.raises(DataError, match="de 1, en one that is in no list"):
        opened(tmp_path, {"de": ["a.de"], "en": "a.en"})


def test_parquet_gives_its_rows_and_none_for_null(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PARQUET_ROWS", 2)
    frame = polars.DataFrame({"x": [1, 2, 3, 4], "de": ["a", None, "c", "d"], "en": [["x"], ["y", "z"], [], None]})
    frame.write_parquet(tmp_path / "t.parquet")
    table = opened(tmp_path, "t.parquet")
    assert rows_of(table) == [("a", ["x"]), (None, ["y", "z"]), ("c", []), ("d", None)]
    assert table.num_rows == 4 and table.place(3) == "t.parquet row 4"
    assert opened(tmp_path, "t.parquet", None).columns == ("x", "de", "en")


def test_blocks_of_parquet_hold_so_many_values_of_lists_at_most(tmp_path, monkeypatch):
    lengths = [3, 0, 50, 7, 100, 1, 1, 1] * 20
    frame = polars.DataFrame({
        "x": [list(range(one)) for one in lengths],
        "two": [[[1.0, 2.0]] * one for one in lengths],
        "array": polars.Series([[1, 2]] * len(lengths), dtype=polars.Array(polars.Int64, 2)),
        "n": lengths,
    })  # fmt: skip
    frame.write_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(files, "LIST_ROWS", 5)
    monkeypatch.setattr(files, "LIST_VALUES", 1000)
    monkeypatch.setattr(files, "BLOCK_VALUES", 60)
    for columns, each in ((("x",), 1), (("two",), 2), (("x", "two", "array"), 3), (("array",), 0)):
        table = opened(tmp_path, "t.parquet", [*columns, "n"])
        blocks = list(table.blocks())
        assert rows_of(table) == list(zip(*(frame[column].to_list() for column in columns), lengths))
        assert max(each * sum(one.columns["n"]) for one in blocks if len(one) > 1) <= 60
        assert table.place(100) == "t.parquet row 101"
    assert max(map(len, opened(tmp_path, "t.parquet", ["array"]).blocks())) == 30
    assert len(list(opened(tmp_path, "t.parquet", ["n"]).blocks())) == 1


def test_lists_of_a_frame_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_VALUES", 1000)
    frame = polars.DataFrame({"n": range(400), "x": [[float(row)] * 100 for row in range(400)]})
    table = opened(tmp_path, frame, ["n", "x"])
    assert rows_of(table) == list(zip(frame["n"].to_list(), frame["x"].to_list()))
    assert [len(one) for one in table.blocks()][1:] == [10] * 33 + [6]
    assert [len(one) for one in opened(tmp_path, frame, ["n"]).blocks()] == [64, 256, 80]


def test_the_digest_of_rows_in_memory_is_what_runs_have_kept(tmp_path, monkeypatch):
    rows = [{"b": [row, None, "é"], "a": numpy.float32(row), "c": {"z": 1, "y": row}} for row in range(300)]
    for size in (100, 1 << 14):
        monkeypatch.setattr(memory, "BLOCK_ROWS", size)
        kept = hashlib.sha256()
        for start in range(0, 300, size):
            cells = {name: [row[name] for row in rows[start : start + size]] for name in "bac"}
            kept.update(json.dumps(cells, default=lambda one: one.item(), sort_keys=True).encode())
        assert memory.Memory(rows, "data").digest(["b", "a", "c"]) == json.dumps(["memory", kept.hexdigest()])


def test_a_text_file_is_one_column_of_any_name(tmp_path):
    written(tmp_path, "a.txt", "one\n\ntwo")
    written(tmp_path, "b.corpus.gz", "three\n")
    table = opened(tmp_path, ["a.txt", "b.corpus.gz"], ["text"])
    assert table.column("text") == ["one", "", "two", "three"]
    assert [table.place(row) for row in range(4)] == [
        "a.txt line 1",
        "a.txt line 2",
        "a.txt line 3",
        "b.corpus.gz line 1",
    ]
    with pytest.raises(DataError, match=r"data.train: a.txt .*2 are asked for \(de, en\).*one text file per column"):
        opened(tmp_path, "a.txt")


@given(rows=pairs('",\n\raé ;\t'), size=st.integers(1, 60))
@settings(max_examples=150)
def test_csv_in_blocks_of_any_size_equals_the_csv_module(tmp_path_factory, rows, size):
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("de", "en"), *rows])
    written(folder, "t.csv", text.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK_BYTES", size)
        patch.setattr(files, "GLANCE_BYTES", size)
        table = opened(folder, "t.csv")
        assert rows_of(table) == rows
        lines = [2 + sum(1 + (a + b).count("\n") for a, b in rows[:at]) for at in range(len(rows))]
        assert [table.place(at) for at in range(len(rows))] == [f"t.csv line {line}" for line in lines]


@given(rows=pairs('",aé \u2028\x1c'), size=st.integers(1, 60))
@settings(max_examples=75)
def test_every_other_form_gives_the_same_rows_in_blocks_of_any_size(tmp_path_factory, rows, size):
    folder = tmp_path_factory.mktemp("rows")
    written(folder, "t.tsv", as_tsv(rows))
    written(folder, "t.jsonl", as_jsonl(rows))
    written(folder, "t.de", "".join(de + "\n" for de, _ in rows))
    written(folder, "t.en", "".join(en + "\n" for _, en in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK_BYTES", size)
        patch.setattr(files, "GLANCE_BYTES", size)
        patch.setattr(memory, "BLOCK_ROWS", size)
        for source in ("t.tsv", "t.jsonl", {"de": "t.de", "en": "t.en"}, [{"de": de, "en": en} for de, en in rows]):
            table = opened(folder, source)
            assert rows_of(table) == rows
            assert table.num_rows == len(rows)


def test_a_block_is_no_longer_than_asked_and_a_longer_line_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 1000)
    lines = ["x" * 90] * 50 + ["y " * 50_000] + ["z"] * 3
    written(tmp_path, "t.txt", "\n".join(lines) + "\n")
    table = opened(tmp_path, "t.txt", ["text"])
    assert table.column("text") == lines
    sizes = [sum(map(len, block.columns["text"])) for block in table.blocks()]
    assert sorted(sizes)[-2] <= 1000 < max(sizes)
    assert table.place(50) == "t.txt line 51"


def test_a_name_in_quotes_holds_any_sign(tmp_path):
    written(tmp_path, "t.csv", '"a;b"\n"x;y"\n')
    assert opened(tmp_path, "t.csv", None).column("a;b") == ["x;y"]


def test_a_blank_line_is_a_row_of_empty_fields_so_that_lines_still_match(tmp_path):
    for kind, separator in (("csv", ","), ("tsv", "\t")):
        written(tmp_path, f"t.{kind}", f"de{separator}en\na{separator}b\n\r\n\nc{separator}d\n")
        table = opened(tmp_path, f"t.{kind}")
        assert rows_of(table) == [("a", "b"), ("", ""), ("", ""), ("c", "d")]
        assert table.place(3) == f"t.{kind} line 5"
    written(tmp_path, "t.jsonl", '{"de": "a", "en": null}\n\n{"de": "b"}\n')
    assert rows_of(opened(tmp_path, "t.jsonl")) == [("a", None), (None, None), ("b", None)]


def test_a_key_that_comes_late_is_found_and_one_that_never_comes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "GLANCE_BYTES", 10)
    written(tmp_path, "t.jsonl", '{"de": "a"}\n' * 5 + '{"en": "x"}\n')
    assert opened(tmp_path, "t.jsonl", ["en"]).column("en") == [None] * 5 + ["x"]
    with pytest.raises(DataError, match="t.jsonl has no column 'ne'"):
        opened(tmp_path, "t.jsonl", ["ne"])


def test_paths_are_looked_for_beside_the_recipe_and_then_under_the_data_root(tmp_path):
    recipe, root = tmp_path / "recipes", tmp_path / "root"
    for folder in (recipe, root / "set"):
        folder.mkdir(parents=True)
    written(root / "set", "train.txt", "far\n")
    assert opened(recipe, "set/train.txt", ["x"], root).column("x") == ["far"]
    (recipe / "set").mkdir()
    written(recipe / "set", "train.txt", "near\n")
    assert opened(recipe, "set/train.txt", ["x"], root).column("x") == ["near"]
    with pytest.raises(DataError) as error:
        opened(recipe, "set/tain.txt", ["x"], root)
    for place in (recipe / "set/tain.txt", root / "set/tain.txt"):
        assert str(place) in str(error.value)
    assert "data.train: no file set/tain.txt" in str(error.value) and "did you mean 'set/train.txt'?" in str(
        error.value
    )
    assert opened(tmp_path, "set/train.txt", ["x"], [tmp_path / "none", root]).column("x") == ["far"]
    with pytest.raises(DataError, match="name the folder of the data sets with --data-root"):
        opened(recipe, "nothing.txt", ["x"])
    assert opened(recipe, "set", ["x"]).column("x") == ["near"], "the only text of a folder"


DETECTED = {
    "semicolons": ("t.csv", b"de;en\nx y;p, q\nz;r\n", "divided by ';'"),
    "semicolons and quotes": ("t.csv", b'"de";"en"\n"x y";"p, q"\nz;r\n', "divided by ';'"),
    "tabs in csv": ("t.csv", b"de\ten\nx y\tp, q\nz\tr\n", r"divided by '\t'"),
    "bars": ("t.csv", b"de|en\nx y|p, q\nz|r\n", "divided by '|'"),
    "UTF-16 of a spreadsheet": ("t.tsv", "\ufeffde\ten\nx y\tp, q\nz\tr\n".encode("utf-16-le"), "read as UTF-16"),
}


@pytest.mark.parametrize("case", DETECTED)
def test_delimiters_and_encodings_that_a_file_shows_are_read_and_told(tmp_path, case):
    name, content, note = DETECTED[case]
    written(tmp_path, name, content)
    table = opened(tmp_path, name)
    assert table.column("de") == ["x y", "z"] and table.column("en") == ["p, q", "r"]
    assert len(table.notes) == 1 and note in table.notes[0]
    assert table.place(1) == f"{name} line 3"


def test_western_text_in_one_byte_a_letter_is_read_with_an_example_and_any_encoding_as_named(tmp_path):
    written(tmp_path, "t.csv", "de,en\nM\xfcller,p\n\x80 5,q\n".encode("latin-1"))
    table = opened(tmp_path, "t.csv")
    assert table.column("de") == ["Müller", "€ 5"] and "'Müller'" in table.notes[0]
    named = opened(tmp_path, "t.csv", encoding="cp437")
    assert named.column("de")[0] == "Mⁿller" and named.notes == [] and named.digest() != table.digest()
    written(tmp_path, "r.txt", "привет\nмир\n".encode("cp1251"))
    assert opened(tmp_path, "r.txt", ["x"], encoding="cp1251").column("x") == ["привет", "мир"]
    written(tmp_path, "far.csv", b"de,en\n" + b"a,b\n" * 20_000 + b"caf\xe9,b\n")
    with pytest.raises(DataError, match="far.csv line 20002 is not UTF-8.*data.encoding"):
        opened(tmp_path, "far.csv").column("de")
    assert opened(tmp_path, "far.csv", encoding="cp1252").column("de")[-1] == "café"
    written(tmp_path, "wrong.txt", "ü\n".encode("latin-1"))
    with pytest.raises(DataError, match="wrong.txt after line 1 is no text of its encoding.*data.encoding"):
        opened(tmp_path, "wrong.txt", ["x"], encoding="shift_jis").column("x")


def test_a_delimiter_that_is_named_makes_a_table_of_any_text(tmp_path):
    written(tmp_path, "t.dat", b'de~en\n"x ~ y"~p\n')
    assert opened(tmp_path, "t.dat", delimiter="~").column("de") == ["x ~ y"]
    written(tmp_path, "t.tsv", b"de,en\nx,p\n")
    assert opened(tmp_path, "t.tsv", delimiter=",").column("en") == ["p"]


def test_numbers_are_read_as_the_dialect_has_them_and_texts_stay(tmp_path):
    written(tmp_path, "t.csv", "de;en\n1.234,5;1,5 l\n-0,25;\n\u22127;x\n(64,50);x\n32,0 %;x\n;x\n".encode())
    number, table = make("modalities", "number"), opened(tmp_path, "t.csv", decimal=",", thousands=".")
    assert list(table.values("de", number)) == [1234.5, -0.25, -7.0, -64.5, 32.0, None]
    assert table.column("en")[0] == "1,5 l" and list(table.values("en", make("modalities", "text")))[0] == "1,5 l"
    with pytest.raises(
        DataError, match=r"t.csv line 2, column 'de': a number with ',' before its decimals and nothing.*'1.234,5'"
    ):
        list(opened(tmp_path, "t.csv", decimal=",").values("de", number))
    written(tmp_path, "s.csv", "de;en\n1\u202f234 567,5;1\n".encode())
    assert list(opened(tmp_path, "s.csv", decimal=",", thousands=" ").values("de", number)) == [1234567.5]


def test_rows_of_a_text_file_are_lines_what_lies_between_blank_lines_or_the_file(tmp_path):
    written(tmp_path, "t.txt", b"a\nb\n\n \nc\n")
    assert opened(tmp_path, "t.txt", ["x"]).column("x") == ["a", "b", "", " ", "c"]
    blank = opened(tmp_path, "t.txt", ["x"], rows="blank")
    assert blank.column("x") == ["a\nb", "c"] and blank.place(1) == "t.txt text 2"
    assert opened(tmp_path, ["t.txt", "t.txt"], ["x"], rows="file").column("x") == ["a\nb\n\n \nc"] * 2
    passages = opened(tmp_path, "t.txt", ["x"], rows="file", passage=3)
    assert passages.column("x") == ["a\nb\n", "\n \n", "c\n"] and passages.place(2) == "t.txt passage 3"
    written(tmp_path, "w.txt", b"a long line of words\nend")
    assert opened(tmp_path, "w.txt", ["x"], rows="file", passage=6).column("x") == [
        "a ",
        "long ",
        "line ",
        "of words\n",
        "end\n",
    ]
    assert passages.digest() != opened(tmp_path, "t.txt", ["x"], rows="file").digest()
    written(tmp_path, "u.txt", b"one\n\ntwo\n")
    both = opened(tmp_path, {"de": "t.txt", "en": "u.txt"}, rows="blank")
    assert list(both.rows()) == [{"de": "a\nb", "en": "one"}, {"de": "c", "en": "two"}]
    written(tmp_path, "v.txt", b"one\n")
    with pytest.raises(DataError, match="t.txt has 2 texts, v.txt has 1 texts"):
        opened(tmp_path, {"de": "t.txt", "en": "v.txt"}, rows="blank").num_rows


def test_a_folder_of_texts_is_a_text_a_row_and_its_subfolders_are_labels(tmp_path):
    for name, text in (("reel/b.abc", "b2\nc"), ("reel/a.abc", "a"), ("jig/x.abc", "x")):
        (tmp_path / "tunes" / name).parent.mkdir(parents=True, exist_ok=True)
        written(tmp_path / "tunes", name, text.encode())
    table = opened(tmp_path, "tunes", None)
    assert list(table.rows()) == [
        {"text": "x", "label": "jig"}, {"text": "a", "label": "reel"}, {"text": "b2\nc", "label": "reel"}
    ]  # fmt: skip
    assert opened(tmp_path, "tunes", ["tune", "label"]).column("tune") == ["x", "a", "b2\nc"]
    assert opened(tmp_path, "tunes", ["text", "dance"]).column("dance") == ["jig", "reel", "reel"]
    assert opened(tmp_path, "tunes/reel", ["tune"]).column("tune") == ["a", "b2\nc"]
    before = table.digest()
    written(tmp_path, "tunes/reel/a.abc", b"other")
    assert opened(tmp_path, "tunes", None).digest() != before
    written(tmp_path, "tunes/reel/read.me", b"x")
    with pytest.raises(DataError, match=".abc, .me; move reel/read.me out of it: files of one kind.*manifest.csv"):
        opened(tmp_path, "tunes", None)
    written(tmp_path, "tunes/top.abc", b"x")
    with pytest.raises(DataError, match="at 1 and 2 levels; move reel/read.me, top.abc out of it: "):
        opened(tmp_path, "tunes", None)
    (tmp_path / "tunes/top.abc").unlink()
    (tmp_path / "tunes/reel/read.me").rename(tmp_path / "read.me")
    assert opened(tmp_path, "tunes", None).num_rows == 3
    (tmp_path / "even").mkdir()
    for name in ("a.abc", "b.txt"):
        written(tmp_path, f"even/{name}", b"x")
    with pytest.raises(DataError, match="even is a folder with files of .abc, .txt; files of one kind"):
        opened(tmp_path, "even", None)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="none is a folder without a file"):
        opened(tmp_path, "none", None)


def test_columns_named_from_left_to_right_are_taken_in_one_string_too(tmp_path):
    written(tmp_path, "t.txt", b"Bonn NNP x B-LOC\n\nja UH y O\n")
    table = opened(tmp_path, "{word _ _ tag: t.txt}", ["word", "tag"])
    assert table.column("tag") == [["B-LOC"], ["O"]] and read.is_table("{ word _ _ tag : t.txt }")


def test_two_files_of_lines_are_named_in_one_string_too(tmp_path):
    written(tmp_path, "a,b.de", "ein\nzwei\n")
    written(tmp_path, "a.en", "one\ntwo\n")
    table = opened(tmp_path, "{de: a,b.de, en: a.en}")
    assert (table.column("de"), table.column("en")) == (["ein", "zwei"], ["one", "two"])
    assert read.as_columns(r"{de: C:\a.de, en: b}") == {"de": r"C:\a.de", "en": "b"}


def workbook(path, rows):
    """The least that a spreadsheet program writes."""
    main, office = "http://schemas.openxmlformats.org", "application/vnd.openxmlformats-"
    document, kind = f"{main}/officeDocument/2006/relationships", f"{office}officedocument.spreadsheetml"

    def cell(value):
        return f"<c><v>{value}</v></c>" if isinstance(value, float) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    def related(name, target):
        relation = f'<Relationship Id="r" Type="{document}/{name}" Target="{target}"/>'
        return f'<Relationships xmlns="{main}/package/2006/relationships">{relation}</Relationships>'

    def override(name, of):
        return f'<Override PartName="/xl/{name}.xml" ContentType="{kind}.{of}+xml"/>'

    relations = f'<Default Extension="rels" ContentType="{office}package.relationships+xml"/>'
    types = f"{relations}{override('workbook', 'sheet.main')}{override('s', 'worksheet')}"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{main}/package/2006/content-types">{types}</Types>',
        "_rels/.rels": related("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{main}/spreadsheetml/2006/main" xmlns:r="{document}"><sheets>'
        '<sheet name="one" sheetId="1" r:id="r"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": related("worksheet", "s.xml"),
        "xl/s.xml": f'<worksheet xmlns="{main}/spreadsheetml/2006/main"><sheetData>'
        + "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        + "</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_blank_line_is_a_row_of_empty_fields_wherever_a_block_begins(tmp_path, monkeypatch, end):
    lines = ["x,y", "", "a,b", "", "", "c,d", ""]
    written(tmp_path, "t.csv", "".join(line + end for line in lines).encode())
    for size in (1, 8, 1 << 20):
        monkeypatch.setattr(files, "BLOCK_BYTES", size)
        table = opened(tmp_path, "t.csv", ["x", "y"])
        assert list(zip(table.column("x"), table.column("y"))) == [
            tuple(line.split(",")) if line else ("", "") for line in lines[1:]
        ]


def test_spreadsheets_are_tables_by_their_extra(tmp_path):
    workbook(tmp_path / "t.xlsx", [("de", "en"), ("Hund", 1.5), ("Katze", 2.0)])
    if importlib.util.find_spec("fastexcel") is None:
        with pytest.raises(
            DataError, match=r"t.xlsx: spreadsheets are read by the extra `excel`: pip install 'ostinato\[excel\]'"
        ):
            opened(tmp_path, "t.xlsx")
        return
    table = opened(tmp_path, "t.xlsx")
    assert table.column("de") == ["Hund", "Katze"] and table.column("en") == [1.5, 2.0]
    assert table.place(0) == "t.xlsx row 2"
    written(tmp_path, "u.xlsx", b"no workbook")
    with pytest.raises(DataError, match="u.xlsx is no whole workbook"):
        opened(tmp_path, "u.xlsx")


@pytest.mark.parametrize("name", ["a.en", "a.de", "a.src", "a", "a.2", "corpus.v1.5", "a.tok.bpe", "> a.log"])
def test_text_is_read_whatever_its_ending(tmp_path, name):
    written(tmp_path, name, "> said he\nand she\n>\nno\n")
    assert opened(tmp_path, name, ["x"]).column("x") == ["> said he", "and she", ">", "no"]


class Dataset:
    """Speaks as a Hugging Face data set does, whose package need not be installed."""

    def __init__(self, columns):
        self.columns, self.column_names = columns, list(columns)

    def __len__(self):
        return len(self.columns["de"])

    def __getitem__(self, rows):
        return {name: cells[rows] for name, cells in self.columns.items()}


Dataset.__module__ = "datasets.arrow_dataset"
COLUMNS = {"de": ["a", None, "c"], "en": ["x", "y", "z"]}
DICTS = [{"de": "a", "en": "x"}, {"de": None, "en": "y"}, {"de": "c", "en": "z"}]


@pytest.mark.parametrize(
    "make",
    [
        lambda: DICTS,
        lambda: tuple(DICTS),
        lambda: (row for row in DICTS),
        lambda: [DICTS[0], {"en": "y"}, DICTS[2]],
        lambda: pandas.DataFrame(COLUMNS),
        lambda: pandas.DataFrame(COLUMNS, index=[5, 5, 0]),
        lambda: polars.DataFrame(COLUMNS),
        lambda: polars.LazyFrame(COLUMNS),
        lambda: Dataset(COLUMNS),
    ],
)
def test_data_in_memory_gives_the_same_rows_again_and_again(tmp_path, make):
    table = opened(tmp_path, make())
    assert rows_of(table) == rows_of(table) == [("a", "x"), (None, "y"), ("c", "z")]
    assert table.num_rows == 3
    assert table.place(1).startswith("data.train") and table.place(1).endswith("row 2")
    assert table.digest() == opened(tmp_path, DICTS).digest()


def test_an_iterator_is_kept_in_memory_and_says_so(tmp_path):
    assert opened(tmp_path, iter(DICTS)).notes == ["data.train: the 3 rows of this list_iterator are kept in memory"]
    assert opened(tmp_path, DICTS).notes == []


def test_the_digest_follows_the_content(tmp_path):
    digest = lambda source, columns=("de", "en"): opened(tmp_path, source, columns).digest()  # noqa: E731
    written(tmp_path, "a.tsv", as_tsv(ROWS))
    first = digest("a.tsv")
    assert digest("a.tsv") == first
    written(tmp_path, "b.tsv", as_tsv(ROWS))
    assert digest("b.tsv") == first, "a file's name is no content"
    assert digest(["a.tsv", "b.tsv"]) != first
    written(tmp_path, "a.tsv", as_tsv(ROWS[:3]))
    assert digest("a.tsv") != first
    arrays = [{"de": numpy.arange(3), "en": "x"}]
    assert digest(arrays) != digest([{"de": numpy.arange(4), "en": "x"}])
    assert digest(arrays) == digest([{"de": numpy.arange(3), "en": "x"}])
    with pytest.raises(DataError, match="holds a value of type builtins.object"):
        digest([{"de": object(), "en": 1}])


def test_a_file_is_hashed_once_until_it_changes(tmp_path):
    lines._digest.cache_clear()
    written(tmp_path, "a.tsv", as_tsv(ROWS))
    for _ in range(3):
        opened(tmp_path, "a.tsv").digest()
    assert lines._digest.cache_info().misses == 1


def test_columns_and_values_of_some_rows_are_those_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 40)
    written(tmp_path, "t.tsv", as_tsv([(f"de {at}", f"en {at}") for at in range(100)]))
    table = opened(tmp_path, "t.tsv", ["de", "en"])
    assert table.column("en", [7, 3, 99, 3]) == ["en 3", "en 7", "en 99"]
    assert list(table.values("de", Upper(), [50, 2, 99])) == ["DE 2", "DE 50", "DE 99"]
    assert list(table.values("de", Upper())) == [f"DE {at}" for at in range(100)]
    assert list(table.values("de", Upper(), [])) == []


def test_some_rows_that_are_read_again_and_again_are_read_from_the_file_once(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 40)
    written(tmp_path, "t.tsv", as_tsv([(f"de {at}", f"en {at}") for at in range(100)]))
    table, passes = opened(tmp_path, "t.tsv", ["de", "en"]), []
    blocks = files.Delimited.blocks
    monkeypatch.setattr(files.Delimited, "blocks", lambda self, names: passes.append(names) or blocks(self, names))
    chosen = [7, 3, 60]
    for _ in range(3):
        assert list(table.values("de", Upper(), chosen)) == ["DE 3", "DE 7", "DE 60"]
        pairs = list(zip(table.cells("de", chosen), table.cells("en", chosen)))
        assert pairs == [("de 3", "en 3"), ("de 7", "en 7"), ("de 60", "en 60")]
    assert passes == [("de",), ("en",)]
    monkeypatch.setattr(read, "KEPT_VALUES", 3)  # three rows of a value each are as many
    for _ in range(2):
        assert table.column("en", [1, 2, 3]) == ["en 1", "en 2", "en 3"]
    assert passes == [("de",), ("en",), ("en",), ("en",)]
    monkeypatch.setattr(read, "KEPT_VALUES", 100)
    for at in range(read.KEPT + 1):
        table.column("en", [at])
    del passes[:]
    assert table.column("en", [0]) == ["en 0"] and passes == [("en",)]


def test_fields_are_parsed_and_raw_values_stand_for_themselves(tmp_path):
    written(tmp_path, "t.tsv", "de\ten\na b\tc\n")
    assert list(opened(tmp_path, "t.tsv").values("de", Upper())) == ["A B"]
    rows = [{"de": None, "en": ["c"]}, {"de": "a b", "en": "x y"}]
    assert list(opened(tmp_path, rows).values("de", Upper())) == [None, "a b"]
    assert list(opened(tmp_path, rows).values("en", Words())) == [["c"], ["x", "y"]]


@pytest.mark.parametrize("first", ["a", "", None, 3, float("nan")])
def test_each_cell_is_read_alike_whatever_stands_beside_it(tmp_path, first):
    cells = ["a", "", float("nan"), None, 7, "b"]
    for kind, expected in (("category", ["a", None, None, None, 7, "b"]), ("text", ["a", "", None, None, 7, "b"])):
        table = opened(tmp_path, [{"x": first}, *({"x": cell} for cell in cells)], ["x"])
        assert list(table.values("x", make("modalities", kind)))[1:] == expected


@pytest.mark.parametrize("kind", [kind for kind in names("modalities") if kind != "calendar"])
def test_nan_stands_for_a_missing_value_in_every_column(tmp_path, kind):
    cells = [None, float("nan"), numpy.float64("nan"), numpy.float32("nan")]
    table = opened(tmp_path, [{"x": cell} for cell in cells], ["x"])
    assert list(table.values("x", make("modalities", kind))) == [None] * 4


def test_a_step_of_tags_is_missing_where_a_list_has_nan():
    assert make("modalities", "tags").take(["A", float("nan"), 3]) == ["A", None, "3"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_lines_that_end_with_cr_alone_are_lines(tmp_path, name):
    sign = {"a.csv": ",", "a.tsv": "\t"}.get(name)
    rows = ["good", "bad", "fine"]
    lines_ = [f"text{sign}n", *(f"{row}{sign}1" for row in rows)] if sign else rows
    lines_ = [json.dumps({"text": row}) for row in rows] if name == "a.jsonl" else lines_
    (tmp_path / name).write_bytes("\r".join([*lines_, ""]).encode())
    table = open_table(tmp_path / name, columns=["text"], base=tmp_path, data_root=None, where="data.train")
    assert table.column("text") == rows
