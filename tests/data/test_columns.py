"""CoNLL columns, CoNLL-U, FASTA and sktime's series: rows of several lines, rows of lists, every bad line with its
place."""

import gzip
import re

import pytest

from ostinato.data import columns, lines
from ostinato.data.read import open_table
from ostinato.errors import DataError
from ostinato.registry import make


def opened(folder, source, columns=None):
    return open_table(source, columns=columns, base=folder, data_root=None, where="data.train")


def written(folder, name, content):
    (folder / name).write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return name


def rows_of(table):
    cells = (zip(*(block.columns[name] for name in table.columns)) for block in table.blocks())
    return [dict(zip(table.columns, row)) for rows in cells for row in rows]


SPACES = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\n# SYM O O\n\n \nPeter NNP I-NP I-PER\nsays  VBZ I-VP O\n"
SENTENCES = [{"word": ["EU", "#"], "tag": ["I-ORG", "O"]}, {"word": ["Peter", "says"], "tag": ["I-PER", "O"]}]
CHANGES = [
    lambda t: t,
    lambda t: t.replace("\n", "\r\n"),
    lambda t: "\ufeff" + t,
    lambda t: t + "\n\n",
    lambda t: t[:-1],
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["eng.train", "eng.train.gz", "eng.conll", "eng.tsv"])
def test_a_key_of_several_names_names_the_columns_of_a_file(tmp_path, name, change):
    written(tmp_path, name, change(SPACES))
    table = opened(tmp_path, {"word _ _ tag": name}, ["word", "tag"])
    assert rows_of(table) == rows_of(table) == SENTENCES
    assert table.num_rows == 2 and [table.place(row) for row in (0, 1)] == [f"{name} line 3", f"{name} line 7"]
    assert opened(tmp_path, {"word _ _ tag": name}, ["tag"]).column("tag") == [["I-ORG", "O"], ["I-PER", "O"]]


def test_a_key_of_several_names_serves_a_list_of_files(tmp_path):
    written(tmp_path, "a.txt", SPACES)
    written(tmp_path, "b.txt.gz", SPACES)
    table = opened(tmp_path, {"word _ _ tag": ["a.txt", "b.txt.gz"]}, ["word", "tag"])
    assert rows_of(table) == [*SENTENCES, *SENTENCES]
    assert [table.place(row) for row in (1, 2)] == ["a.txt line 7", "b.txt.gz line 3"]


@pytest.mark.parametrize("ending", [".conll", ".iob", ".bio", ".conll.gz"])
def test_the_first_line_of_a_file_may_name_its_columns(tmp_path, ending):
    header = "# global.columns = word pos chunk tag\n"
    assert rows_of(opened(tmp_path, written(tmp_path, f"t{ending}", header + SPACES), ["word", "tag"])) == SENTENCES
    assert opened(tmp_path, f"t{ending}").columns == ("word", "pos", "chunk", "tag")


def test_columns_apart_by_tabs_may_hold_blanks_and_comments_have_no_tab(tmp_path):
    text = "# id 7 of corpus\nNew York\tB-LOC\n\u00a0\tO\n \tO\n#\tO\n# about the next\n\t\nx\tO\n"
    table = opened(tmp_path, {"word tag": written(tmp_path, "t.bio", text)})
    assert table.column("word") == [["New York", "\u00a0", " ", "#"], ["x"]]


def test_lists_of_words_and_tags_serve_tokens_as_they_are(tmp_path):
    table = opened(tmp_path, {"word _ _ tag": written(tmp_path, "t.conll", SPACES)})
    tokens = make("modalities", "tokens")
    tokens.fit(table.values("word", tokens))
    assert [tokens.decode(tokens.encode(raw)) for raw in table.values("word", tokens)] == [
        row["word"] for row in SENTENCES
    ]


UNIVERSAL = """# sent_id = 1
# text = vámonos al mar
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
2.1\tx\tx\tVERB\t_\t_\t_\t_\t_\t_
3\t#\t#\tSYM\t_\t_\t1\tobl\t_\t_

# sent_id = 2
1\tmar\tmar\tNOUN\t_\t_\t0\troot\t_\t_
"""


def test_universal_columns_have_their_names_and_only_words_are_read(tmp_path):
    # The first sentence is the example of a multi-word token on universaldependencies.org/format.html, with an empty
    # node.
    table = opened(tmp_path, written(tmp_path, "t.conllu.gz", UNIVERSAL))
    assert table.columns == ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
    assert table.column("form") == [["vamos", "nos", "#"], ["mar"]]
    assert table.column("upos") == [["VERB", "PRON", "SYM"], ["NOUN"]]
    assert table.place(0) == "t.conllu.gz line 4" and table.place(1) == "t.conllu.gz line 10"


def test_fasta_is_names_and_sequences_over_any_number_of_lines(tmp_path):
    text = ">one first of all\nACGT\nAC GT\n\n>two\r\nNN\r\n"
    table = opened(tmp_path, written(tmp_path, "t.fasta.gz", text))
    assert rows_of(table) == [{"name": "one first of all", "sequence": "ACGTACGT"}, {"name": "two", "sequence": "NN"}]
    assert table.place(1) == "t.fasta.gz line 5"
    bases = make("modalities", "tokens", (), {"separator": ""})
    assert list(table.values("sequence", bases)) == [list("ACGTACGT"), ["N", "N"]]


def test_labels_that_fasta_has_not_are_told_where_they_may_stand(tmp_path):
    path = written(tmp_path, "a.fasta", ">a\nAC\n")
    with pytest.raises(
        DataError,
        match="a.fasta has no column 'label'; allowed here: name, sequence; FASTA holds no more: .* give a table",
    ):
        open_table(path, columns=["sequence", "label"], base=tmp_path, data_root=None, where="data.train")


def test_parallel_fasta_gives_sequence_n_beside_sequence_n(tmp_path):
    written(tmp_path, "a.fa", ">p1\nMK\nV\n>p2\nM\n")
    written(tmp_path, "b.fasta", ">p1 SET=train\nHHC\n>p2 SET=test\nC\n")
    table = opened(tmp_path, {"residues": "a.fa", "structure": "b.fasta"})
    assert rows_of(table) == [{"residues": "MKV", "structure": "HHC"}, {"residues": "M", "structure": "C"}]
    assert table.place(1) == "a.fa + b.fasta record 2"


SERIES = "#A\n@problemName x\n@timeStamps false\n@classLabel true low high\n@data\n1,2,?:4,5,6.5:low\n\n-1:0:high\n"


def test_series_are_lists_of_steps_and_their_label(tmp_path):
    table = opened(tmp_path, written(tmp_path, "t.ts.gz", SERIES))
    assert rows_of(table) == [
        {"series": [[1, 4], [2, 5], [None, 6.5]], "label": "low"},
        {"series": [[-1, 0]], "label": "high"},
    ]
    assert table.place(1) == "t.ts.gz line 8"
    series, category = make("modalities", "series"), make("modalities", "category")
    series.fit(table.values("series", series))
    category.fit(table.values("label", category))
    assert series.spec.size == 3 and category.spec.size == 2


def test_series_without_labels_and_with_numbers_to_predict(tmp_path):
    assert opened(tmp_path, written(tmp_path, "a.ts", "@classLabel false\n@data\n1,2\n")).columns == ("series",)
    table = opened(tmp_path, written(tmp_path, "b.ts", "@targetLabel true\n@data\n1,2:0.5\n3:?\n"))
    assert list(table.values("label", make("modalities", "number"))) == [0.5, None]


@pytest.mark.parametrize("size", [1, 7, 30])
def test_blocks_of_any_size_give_the_same_rows(tmp_path, monkeypatch, size):
    sources = {
        "t.conllu": UNIVERSAL,
        "t.fa": ">a\nAC\nGT\n>b\nA\n>c\nC\nC\n",
        "t.ts": SERIES,
    }
    for name, text in sources.items():
        whole = rows_of(opened(tmp_path, written(tmp_path, name, text)))
        with monkeypatch.context() as patch:
            for module in (columns, lines):
                patch.setattr(module, "BLOCK_BYTES", size)
                patch.setattr(module, "GLANCE_BYTES", size)
            patch.setattr(columns, "BLOCK_ROWS", 1)
            table = opened(tmp_path, name)
            assert rows_of(table) == whole and table.num_rows == len(whole)


def test_the_digest_follows_content_and_names(tmp_path):
    written(tmp_path, "t.conll", "a b\n")
    digest = opened(tmp_path, {"word tag": "t.conll"}).digest()
    assert (
        digest
        == opened(tmp_path, {"word tag": "t.conll"}).digest()
        != opened(tmp_path, {"tag word": "t.conll"}).digest()
    )
    for name, text in (("t.conllu", UNIVERSAL), ("t.fa", ">a\nA\n"), ("t.ts", SERIES)):
        before = opened(tmp_path, written(tmp_path, name, text)).digest()
        assert opened(tmp_path, written(tmp_path, name, text + text[-6:])).digest() != before


U = "1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n"
BAD = {
    "too few columns": ({"w _ t": "t.x"}, "a b c\nd e\n",
                        "t.x line 2 has 2 columns apart by spaces, and 3 are named (w, _, t)"),
    "too many columns": ({"w t": "t.x"}, "a\tb\n\nd\te\tf\n", "t.x line 3 has 3 columns apart by tabs"),
    "no tab among tabs": ({"w t": "t.x"}, "a\tb\nd e\n", "t.x line 2 has 1 column apart by tabs"),
    "nothing names them": ("t.conll", "\na b c\n",
                           "t.conll line 2 has 3 columns, and nothing names them; .* '{word _ tag: t.conll}' in place"),
    "named twice": ({"w w _": "t.x"}, "a b c\n", "names column 'w' twice"),
    "none named": ({"_ _": "t.x"}, "a b\n", "every column is _"),
    "no rows": ({"w t": "t.x"}, "\n\n-DOCSTART- O\n\n", "t.x has no rows"),
    "a header alone": ({"w t": "t.x"}, "w\tt\n\n", "t.x has no rows"),
    "two files": ({"w t": "t.x", "u": "t.x"}, "a b\n",
                  "'w t' names the columns of one file in CoNLL's form, and 2 files are given"),
    "an empty list": ({"w t": []}, "", "each column needs a list of as many files, and there are: w t 0"),
    "latin-1": ({"w t": "t.x"}, b"a b\n\xe9 b\n", "t.x line 2 is not UTF-8"),
    "universal columns": ("t.conllu", U + "2\tb\tb\n", "t.conllu line 2 has 3 columns apart by tabs, and 10 are named"),
    "universal id": ("t.conllu", U + U.replace("1\t", "x\t", 1),
                     "t.conllu line 2: the id 'x' is not like 1, 2-3 or 4.1"),
    "universal in a mapping": ({"form": "t.conllu"}, U, "data.train.form: t.conllu is a table"),
    "universal empty": ("t.conllu", "# text\n\n", "t.conllu has no rows"),
    "before the first name": ("t.fa", "\nACGT\n>a\nA\n", "t.fa line 2 comes before the first name"),
    "no sequence": ("t.fa", ">a\nAC\n>b\n\n>c\nA\n", "t.fa line 3: no sequence follows this name"),
    "no sequence at the end": ("t.fa", ">a\nAC\n>b\n", "t.fa line 3: no sequence follows this name"),
    "no name at all": ("t.fa", "\n\n", "t.fa has no rows"),
    "no @data": ("t.ts", "@problemName x\n", "t.ts has no line @data"),
    "data before @data": ("t.ts", "@problemName x\n1,2:a\n", "t.ts line 2 comes before @data"),
    "time stamps": ("t.ts", "@timeStamps true\n@data\n", "t.ts line 1: series with time stamps are not read"),
    "no series": ("t.ts", "@data\n\n", "t.ts has no rows"),
    "no label": ("t.ts", "@classLabel true a b\n@data\n1,2:a\n1,2\n", "t.ts line 4 has no label after its last `:`"),
    "unknown label": ("t.ts", "@classLabel true low high\n@data\n1:low\n1:hihg\n",
                      "line 4: the label 'hihg' .*; did you mean 'high'"),
    "channels of unequal length": ("t.ts", "@data\n1,2:3\n", "t.ts line 2 has channels of 1 and of 2 steps"),
    "another number of channels": ("t.ts", "@data\n1:2\n1:2:3\n",
        "t.ts line 3 has 3 channels, and the first series has 2"),
    "no number": ("t.ts", "@data\n1,2:3,x\n", "t.ts line 2, channel 2, step 2: a number is needed, not 'x'"),
    "infinite": ("t.ts", "@data\n1,inf\n", "t.ts line 2, channel 1, step 2: a number is infinite"),
    "missing column": ("t.ts", "@data\n1\n", "t.ts has no column 'lable'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_the_file_the_line_and_what_to_do(tmp_path, case):
    source, content, message = BAD[case]
    name = (source if isinstance(source, str) else next(iter(source.values()))) or "t.x"
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as error:
        opened(tmp_path, source, ["lable"] if case == "missing column" else None).num_rows
    pattern = ".*".join(re.escape(part) for part in message.split(".*"))
    assert re.search(pattern, str(error.value)) and str(error.value).startswith("data.train"), str(error.value)


def test_parallel_fasta_that_does_not_belong_together_is_refused(tmp_path):
    written(tmp_path, "a.fa", ">p1\nM\n>p2\nM\n")
    written(tmp_path, "b.fa", ">p1\nM\n>p3\nM\n")
    written(tmp_path, "c.fa", ">p1\nM\n>p2\nM\n>p3\nM\n")
    written(tmp_path, "d.txt", "M\nM\n")
    with pytest.raises(DataError, match="data.train: b.fa line 3 is 'p3', and the other file has 'p2' of a.fa"):
        opened(tmp_path, {"x": "a.fa", "y": "b.fa"}).num_rows
    for names in (("a.fa", "c.fa"), ("c.fa", "a.fa")):
        with pytest.raises(DataError) as error:
            opened(tmp_path, dict(zip("xy", names))).num_rows
        assert "a.fa has 2" in str(error.value) and "c.fa has 3" in str(error.value)
    with pytest.raises(DataError, match="FASTA files beside text"):
        opened(tmp_path, {"x": "a.fa", "y": "d.txt"})


def test_blocks_of_lists_and_sequences_hold_so_many_values_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "BLOCK_VALUES", 60)
    steps = [5, 40, 7, 100, 3, 3, 3]
    written(tmp_path, "a.ts", "@data\n" + "".join(":".join([",".join("1" * one)] * 2) + "\n" for one in steps))
    written(tmp_path, "a.fasta", "".join(f">{at}\n{'A' * 32 * one}\n" for at, one in enumerate(steps)))
    for name, column, size in (
        ("a.ts", "series", lambda cell: 2 * len(cell)),
        ("a.fasta", "sequence", lambda cell: len(cell) // 32),
    ):
        blocks = [[size(cell) for cell in block.columns[column]] for block in opened(tmp_path, name).blocks()]
        assert len(blocks) > 1 and all(sum(one[:-1]) < 60 for one in blocks), (
            "the row that reaches the limit is the last"
        )
        assert sum(blocks, []) == [size([0] * one) if column == "series" else one for one in steps]


def test_a_line_of_conll_without_a_word_is_named(tmp_path):
    (tmp_path / "a.conll").write_text("Bo\tB-PER\n\tO\nBern\tB-LOC\n\nNew York\tO\n")
    with pytest.raises(DataError, match=r"a\.conll line 2: the column 'word' is empty"):
        opened = open_table({"word tag": tmp_path / "a.conll"}, columns=None, base=tmp_path, data_root=None, where="d")
        list(opened.blocks())
    opened = open_table({"_ tag": tmp_path / "a.conll"}, columns=None, base=tmp_path, data_root=None, where="d")
    assert opened.column("tag") == [["B-PER", "O", "B-LOC"], ["O"]]
