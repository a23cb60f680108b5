"""A folder with a manifest: its rows hold the content of the files that they name, read row by row; every bad path with
its line."""

import gzip
import json

import numpy as np
import polars
import pytest

from ostinato.data import manifest as manifest_form
from ostinato.data.contract import PLAIN
from ostinato.data.read import open_table
from ostinato.errors import DataError
from ostinato.registry import make

TEXTS = {"a.txt": "Ein Hund.\nEr rennt.\n", "sub/b.txt.gz": "zwei\r\n", "empty.txt": ""}


def opened(folder, columns=None, source="set"):
    return open_table(source, columns=columns, base=folder, data_root=None, where="data.train")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set/sub").mkdir(parents=True)
    for name, text in TEXTS.items():
        (tmp_path / "set" / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return tmp_path


def manifest(folder, content, name="manifest.csv"):
    (folder / "set" / name).write_text(content)


ROWS = [
    {"text": "a.txt", "label": "x"},
    {"text": "sub/b.txt.gz", "label": "y"},
    {"text": "empty.txt", "label": "x"},
    {"text": "", "label": "y"},
]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "parquet", "csv.gz"])
def test_any_table_is_a_manifest(folder, kind):
    if kind == "parquet":
        frame = polars.DataFrame(
            {"text:file": [row["text"] or None for row in ROWS], "label": [row["label"] for row in ROWS]}
        )
        frame.write_parquet(folder / "set/manifest.parquet")
    elif kind in ("jsonl", "ndjson"):
        manifest(
            folder,
            "".join(json.dumps({"text:file": row["text"] or None, "label": row["label"]}) + "\n" for row in ROWS),
            f"manifest.{kind}",
        )
    else:
        sign = "\t" if kind == "tsv" else ","
        text = "".join(
            sign.join(row) + "\n" for row in [("text:file", "label"), *((row["text"], row["label"]) for row in ROWS)]
        )
        path = folder / f"set/manifest.{kind}"
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith(".gz") else text.encode())
    table = opened(folder)
    assert table.columns == ("text", "label") and table.num_rows == 4
    assert table.column("text") == table.column("text") == ["Ein Hund.\nEr rennt.", "zwei", "", None]
    assert table.column("label") == ["x", "y", "x", "y"]
    text = make("modalities", "text", (), {"tokenizer": {"type": "word"}})
    assert list(table.values("text", text, [1, 3])) == ["zwei", None]
    assert table.place(1).startswith(f"set/manifest.{kind} ")


def test_numbers_lists_and_arrays_are_series_and_lists(folder):
    for name, text in (("a.csv", "x,y\n1,2\n3,NA\n"), ("b.tsv", "5\t6\r\n7\t8"), ("c.json", "[[1, 2], null]")):
        (folder / "set" / name).write_text(text)
    np.save(folder / "set/d.npy", np.arange(4, dtype=np.int16).reshape(2, 2))
    manifest(folder, "curve:file\na.csv\nb.tsv\nc.json\nd.npy\n\n")
    table, series = opened(folder), make("modalities", "series", (), {"scale": "none"})
    series.fit(value for value in table.values("curve", series) if value is not None)
    found = [None if raw is None else series.encode(raw)[:, :2].tolist() for raw in table.values("curve", series)]
    assert (
        str(found)
        == "[[[1.0, 2.0], [3.0, nan]], [[5.0, 6.0], [7.0, 8.0]], [[1.0, 2.0], [nan, nan]], [[0.0, 1.0], [2.0, 3.0]], "
        "None]"
    )
    (folder / "set/tags.json").write_text('["N", "V", null]')
    (folder / "set/tags.txt").write_text("N V\n")
    manifest(folder, "tags:file\ntags.json\ntags.txt\n")
    assert list(opened(folder).values("tags", make("modalities", "tags"))) == [["N", "V", None], ["N", "V"]]


def test_files_are_read_row_by_row(folder, monkeypatch):
    monkeypatch.setattr(manifest_form, "BLOCK_BYTES", 250)
    for number in range(10):
        (folder / f"set/{number}.txt").write_text(str(number) * 100)
    manifest(folder, "text:file,n\n" + "".join(f"{number}.txt,{number}\n" for number in range(10)))
    blocks = list(opened(folder).blocks())
    assert [len(block) for block in blocks] == [3, 3, 3, 1], "as many as fit, whatever the manifest's own block"
    assert [cell[0] for block in blocks for cell in block.columns["text"]] == [
        n for block in blocks for n in block.columns["n"]
    ]
    assert [block.place(0) for block in blocks] == [f"set/manifest.csv line {line}" for line in (2, 5, 8, 11)]
    assert len(list(opened(folder, ["n"]).blocks())) == 1, "no file is read for other columns"


def test_texts_of_a_folder_in_another_encoding_are_read_by_it_and_a_note_tells_of_the_first(folder):
    for name in ("a", "b", "c"):
        (folder / "set" / f"{name}.txt").write_bytes(
            "hello caf\u00e9 and more".encode("cp1252" if name > "a" else "utf-8")
        )
    (folder / "set/empty.txt").unlink()
    (folder / "set/sub/b.txt.gz").unlink()
    table = opened(folder)
    assert table.column("text") == ["hello caf\u00e9 and more"] * 3
    (note,) = table.notes
    assert note.startswith("set/b.txt is no UTF-8 and is read as cp1252")
    named = open_table(
        "set", columns=None, base=folder, data_root=None, where="data.train", dialect=PLAIN._replace(encoding="cp1250")
    )
    (folder / "set/a.txt").write_bytes("hello caf\u00e9 \u0159 and more".encode("cp1250"))
    assert named.column("text")[0] == "hello caf\u00e9 \u0159 and more" and named.notes == []


def test_the_digest_follows_the_files_that_are_read(folder):
    manifest(folder, "text:file,label\na.txt,x\nsub/b.txt.gz,y\n")
    before, labels = opened(folder).digest(), opened(folder, ["label"]).digest()
    assert opened(folder).digest() == before != labels
    (folder / "set/a.txt").write_text("Eine Katze.\n")
    assert opened(folder).digest() != before and opened(folder, ["label"]).digest() == labels
    manifest(folder, "text:file,label\na.txt,y\nsub/b.txt.gz,y\n")
    assert opened(folder, ["label"]).digest() != labels


def test_a_column_of_files_may_come_late_in_json_lines(folder):
    manifest(folder, '{"label": "x"}\n' * 5000 + '{"label": "y", "text:file": "a.txt"}\n', "manifest.jsonl")
    assert opened(folder, ["text", "label"]).column("text", [0, 5000]) == [None, "Ein Hund.\nEr rennt."]
    with pytest.raises(DataError, match="set/manifest.jsonl has no column 'texts'"):
        opened(folder, ["texts"])


BAD = {
    "no file": ("text:file\na.txt\nb.txt\n", {},
                ["manifest.csv line 3, column 'text:file'", "there is no file b.txt", "relative to the manifest"]),
    "a near name": ("text:file\naa.txt\n", {}, ["there is no file aa.txt; did you mean 'a.txt'?"]),
    "a long name": (f"text:file\n{'a' * 300}.txt\n", {}, ["there is no file aaa"]),
    "outside": ("text:file\n../out.txt\n", {"../out.txt": "x"},
                ["line 2, column 'text:file'", "../out.txt lies outside the manifest's folder"]),
    "absolute": ("text:file\n/etc/hostname.txt\n", {}, ["/etc/hostname.txt lies outside"]),
    "a folder": ("text:file\nsub\n", {},
                 ["sub is of no kind that is read here: .txt, .csv, .tsv, .json (also .gz) and .npy"]),
    "another kind": ("sound:file\na.xyz\n", {"a.xyz": "x"},
                     ["line 2, column 'sound:file'", "a.xyz is of no kind that is read here"]),
    "packed array": ("x:file\na.npy.gz\n", {"a.npy.gz": "x"}, ["a.npy.gz is of no kind"]),
    "latin-1": ("text:file\nl.txt\n", {"l.txt": b"x\n\xe9\n"},
                ["manifest.csv line 2, column 'text:file': l.txt line 2 is not UTF-8"]),
    "no gzip": ("text:file\nl.txt.gz\n", {"l.txt.gz": "plain"}, ["l.txt.gz is no whole gzip file"]),
    "no number": ("x:file\na.csv\n", {"a.csv": "1,2\n3,x\n"},
                  ["manifest.csv line 2, column 'x:file': a.csv line 2: a number is needed, not 'x'"]),
    "half a header": ("x:file\na.csv\n", {"a.csv": "1,x\n3,4\n"}, ["a.csv line 1: a number is needed, not 'x'"]),
    "uneven steps": ("x:file\na.csv\n", {"a.csv": "1,2\n3\n"}, ["a.csv line 2 has 1 cells, and the first line 2"]),
    "infinite": ("x:file\na.csv\n", {"a.csv": "1\ninf\n"}, ["a.csv line 2: a number is infinite"]),
    "no json": ("x:file\na.json\n", {"a.json": "[1,"}, ["a.json is no JSON", "give a list"]),
    "no list": ("x:file\na.json\n", {"a.json": '{"a": 1}'}, ["a.json holds a JSON dict; a list is needed"]),
    "no array": ("x:file\na.npy\n", {"a.npy": "text"}, ["a.npy is no whole array of numbers"]),
    "twice": ("x:file,x\na.txt,1\n", {}, ["set/manifest.csv: the column 'x' exists beside 'x:file'; rename one"]),
    "no name": (":file\na.txt\n", {}, ["':file' has no name before the colon"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_the_manifest_the_line_and_the_file(folder, case):
    content, files, says = BAD[case]
    for name, text in files.items():
        (folder / "set" / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    manifest(folder, content)
    with pytest.raises(DataError) as told:
        table = opened(folder)
        table.column(table.columns[0])
    assert str(told.value).startswith("data.train: set/manifest.csv")
    for part in says:
        assert part in str(told.value), str(told.value)


def test_an_array_of_objects_is_not_unpickled(folder):
    np.save(folder / "set/a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(folder / "set/b.npy", np.zeros((2, 2, 2)))
    for name, message in (("a.npy", "is no whole array of numbers"), ("b.npy", r"float64 of shape \(2, 2, 2\)")):
        manifest(folder, f"x:file\n{name}\n")
        with pytest.raises(DataError, match=message):
            opened(folder).column("x")


def test_a_link_out_of_the_folder_is_refused(folder):
    (folder / "out.txt").write_text("secret")
    (folder / "set/in.txt").symlink_to(folder / "out.txt")
    manifest(folder, "text:file\nin.txt\n")
    with pytest.raises(DataError, match="in.txt lies outside the manifest's folder"):
        opened(folder).column("text")


def test_a_text_of_a_folder_is_named_by_its_file(tmp_path):
    for name in ("b/1", "a/2", "a/1"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / f"{name}.txt").write_text(name)
    for columns in (None, ["label"], ["other"]):
        table = open_table("set", columns=columns, base=tmp_path, data_root=None, where="data.train")
        assert [table.place(row) for row in range(3)] == ["set file a/1.txt", "set file a/2.txt", "set file b/1.txt"]
        assert len(list(table.blocks())[0]) == table.num_rows == 3
    (tmp_path / "set/a/2.txt").write_bytes(b"\0")
    table = open_table("set", columns=["text"], base=tmp_path, data_root=None, where="data.train")
    with pytest.raises(DataError, match="data.train: set file a/2.txt line 1 has a NUL byte"):
        list(table.blocks())


def test_a_folder_has_one_manifest(folder):
    with pytest.raises(
        DataError,
        match=r"data.train: set is a folder .*manifest.csv or .*NAME:file.*or name a file in the "
        r"folder",
    ):
        opened(folder)
    manifest(folder, "text:file\na.txt\n")
    manifest(folder, "text:file\na.txt\n", "manifest.tsv")
    with pytest.raises(DataError, match="set is a folder with manifest.csv and manifest.tsv; keep one of them"):
        opened(folder)
    (folder / "set/manifest.tsv").unlink()
    assert opened(folder, source=["set", "set"]).num_rows == 2
    with pytest.raises(DataError, match="no column 'txt'; did you mean 'text'"):
        opened(folder, ["txt"])
