"""What a message on a file recommends, followed: the mended file is read."""

import pytest

from ostinato.data.read import open_table
from ostinato.errors import OstinatoError

DATA = [
    ("t.csv", b"", "is empty; give a file with at least one row", ("t.csv", b"de,en\na,b\n")),
    ("t.csv", b"de,en\n", "and no rows; give a file with at least one row", ("t.csv", b"de,en\na,b\n")),
    ("t.csv", b"\nde,en\na,b\n", "the first line must name the columns", ("t.csv", b"de,en\na,b\n")),
    ("t.csv", b"de,en,de\na,b,c\n", "twice; rename one of them", ("t.csv", b"de,en,other\na,b,c\n")),
    ("t.tsv", b"de\ten\nc\n", "write an empty field for a missing value", ("t.tsv", b"de\ten\nc\t\n")),
    ("t.csv", b"de,en\n1,2,3\n", "quote a field", ("t.csv", b'de,en\n"1,2",3\n')),
    (
        "t.csv",
        b'de,en\n5" pipe,x\n',
        "quote the whole field and double the quotes inside it, or give the file as tsv",
        ("t.csv", b'de,en\n"5"" pipe",x\n'),
        ("t.tsv", b'de\ten\n5" pipe\tx\n'),
    ),
    ("t.tsv", b"de\ten\nc\x00\td\n", "remove it, for example with `tr -d '\\000'`", ("t.tsv", b"de\ten\nc\td\n")),
    (
        "t.csv",
        "de,en\na,é\n".encode() + b"c\xe9d,e\n",
        "convert it with `iconv -f ENCODING -t utf-8`",
        ("t.csv", "de,en\na,é\ncéd,e\n".encode()),
    ),
    (
        "t.jsonl",
        b'{"de": "\\ud83d", "en": ""}\n',
        "which is no Unicode text; write the whole pair, or the character itself",
        ("t.jsonl", b'{"de": "\\ud83d\\ude42", "en": ""}\n'),
        ("t.jsonl", '{"de": "\U0001f642", "en": ""}\n'.encode()),
    ),
    (
        "t.jsonl",
        b'{"de": 1%s, "en": ""}\n' % (b"0" * 5000),
        "write it as a string",
        ("t.jsonl", b'{"de": "1%s", "en": ""}\n' % (b"0" * 5000)),
    ),
    (
        "t.json",
        b'[{"de": "a", "en": "b"}]\n',
        "write one JSON object a line, {column: value}, and name the file .jsonl",
        ("t.jsonl", b'{"de": "a", "en": "b"}\n'),
    ),
    (
        "t.seq",
        b">one\nACGT\n>two\nAC\n",
        "name it .fasta, or give the text as a column of a table",
        ("t.fasta", b">one\nACGT\n>two\nAC\n"),
        ("t.csv", b"sequence\n>one\n"),
    ),
    (
        "t.fasta",
        b">one\n>two\nAC\n",
        "add it, or leave the name out",
        ("t.fasta", b">one\nA\n>two\nAC\n"),
        ("t.fasta", b">two\nAC\n"),
    ),
    ("t.fasta", b"AC\n>two\nAC\n", "give each sequence a line >name", ("t.fasta", b">one\nAC\n>two\nAC\n")),
]


def read(folder, name, content):
    (folder / name).write_bytes(content)
    columns = ["sequence"] if b">" in content else ["de", "en"]
    list(open_table(name, base=folder, data_root=None, where="data.train", columns=columns).blocks())


@pytest.mark.parametrize(("name", "content", "advice", "mended"), [(*row[:3], row[3:]) for row in DATA])
def test_a_file_that_follows_the_advice_is_read(tmp_path, name, content, advice, mended):
    with pytest.raises(OstinatoError) as refusal:
        read(tmp_path, name, content)
    assert advice in str(refusal.value)
    for other, written in mended:
        read(tmp_path, other, written)
