"""Titles before the names of columns: `data.header`, and what says that it is needed."""

import pytest

from ostinato.data.contract import Dialect
from ostinato.errors import ConfigError, DataError
from ostinato.recipe.first_rows import look_at
from ostinato.recipe.infer import guess
from tests.data.sources import opened, written
from tests.data.test_read import workbook

ROWS = "".join(f"a {number};x\n" for number in range(3))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (f"Export of May, 2024\n\nde;en\n{ROWS}", "line 3"),
        (f"Export of May;\n\nde;en\n{ROWS}", "line 3"),
        (f"Export\nde;en\n{ROWS}", "line 2"),
        (f";;\nde;en;\n{ROWS}".replace("x\n", "x;\n"), "line 2"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_before_the_header_are_left_out_as_the_advice_says(tmp_path, text, advice, end):
    written(tmp_path, "t.csv", text.replace("\n", end).encode("utf-8-sig"))
    said = ""
    try:
        table = opened(tmp_path, "t.csv", None)
        said = f"{table.notes} {table.num_rows}"
    except DataError as refusal:
        said = str(refusal)
    number = int(advice.split()[-1])
    assert f"if line 1 is a title and {advice} names the columns, set data.header: {number}" in said
    table = opened(tmp_path, "t.csv", ["de", "en"], header=number)
    assert table.column("de") == ["a 0", "a 1", "a 2"] and table.column("en") == ["x"] * 3
    assert table.place(1) == f"t.csv line {number + 2}"


@pytest.mark.parametrize("text", ["de,en\na,b\n", ",text\n0,a b\n", "text,\nhello,\n", "de\na\n"])
def test_other_headers_are_no_titles(tmp_path, text):
    written(tmp_path, "t.csv", text)
    table = opened(tmp_path, "t.csv", None)
    assert table.num_rows == 1 and not table.notes


def test_titles_longer_than_a_block_are_left_out_and_the_advice_is_followed(tmp_path):
    written(tmp_path, "t.tsv", 'a "stray quote\n' * 9000 + "de\ten\na\tb\n")
    table = opened(tmp_path, "t.tsv", header=9001)
    assert list(table.rows()) == [{"de": "a", "en": "b"}] and table.place(0) == "t.tsv line 9002"
    written(tmp_path, "t.csv", 'a "stray quote\n' * 9000 + "de,en\na,b\n")
    assert opened(tmp_path, "t.csv", header=9001).place(0) == "t.csv line 9002"
    with pytest.raises(
        DataError, match="ends before line 9009, where data.header has the names of the columns; lower it"
    ):
        opened(tmp_path, "t.csv", header=9009)
    with pytest.raises(DataError, match="line 2 is blank; the first line must .* or data.header says which line does"):
        written(tmp_path, "u.csv", "title\n\nde,en\na,b\n")
        opened(tmp_path, "u.csv", header=2)


def test_a_column_below_a_title_is_not_found_and_the_message_says_why(tmp_path):
    written(tmp_path, "t.csv", f"Export;\nde;en\n{ROWS}")
    with pytest.raises(ConfigError, match="--in de: .*set data.header: 2"):
        guess(str(tmp_path / "t.csv"), ["de"], ["en"])
    assert list(look_at(str(tmp_path / "t.csv"), dialect=Dialect(header=2)).cells) == ["de", "en"]


def test_rows_encoded_before_are_found_by_the_same_key():
    assert Dialect().form() == [] and Dialect(delimiter=";").form() == [[";", None, None, None, None]]
    assert Dialect(passage=9).form() == [[None] * 5 + [9]] and Dialect(header=3).form() == [[None] * 6 + [3]]


def test_rows_of_a_sheet_are_counted_from_its_first_and_named_by_the_row_that_is_told(tmp_path):
    pytest.importorskip("fastexcel")
    sheet = tmp_path / "t.xlsx"
    empty = [(), ()]
    workbook(sheet, [*empty, ("Export",), (), ("de", "en"), ("Hund", 1.5), (), ("Katze", 2.0)])
    look = look_at(str(sheet))
    assert look.place(0).endswith("t.xlsx row 4")
    assert "if row 3 is a title and row 5 names the columns, set data.header: 5" in look.notes[0]
    with pytest.raises(ConfigError, match="--in de: .*set data.header: 5"):
        guess(str(sheet), ["de"], ["en"])
    table = opened(tmp_path, "t.xlsx", header=5)
    assert table.column("en") == [1.5, None, 2.0] and table.place(2) == "t.xlsx row 8" and not table.notes
    with pytest.raises(DataError, match="row 4, where data.header has the columns' names, is empty; change it"):
        opened(tmp_path, "t.xlsx", header=4)
