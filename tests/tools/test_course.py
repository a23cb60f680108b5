"""Each chapter of the course prints what its page has, its claims are true ones, and its notebook runs."""

import re
from pathlib import Path

import pytest

from tests.scripts import script

HOME = Path(__file__).resolve().parents[2]
course = script("tools/course.py")
PAGES, BY_HAND = course.chapters([]), course.chapters([3, 5, 6])
"""All chapters; those that train nothing: they print the same on every machine."""


@pytest.mark.parametrize("page", BY_HAND, ids=lambda page: page.stem)
def test_a_chapter_prints_what_it_has(page, tmp_path):
    assert course.run(page, tmp_path) == page.read_text(encoding="utf-8"), "run python tools/course.py --write"
    assert list(tmp_path.glob(f"{page.stem[:2]}-*.png"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_chapter_has_claims_that_are_measured_and_pictures_that_are_there(page):
    text = page.read_text(encoding="utf-8")
    claims, measured = course.CLAIM.findall(text), course.MEASURED.findall(text)
    assert len(claims) == len(measured) > 0
    assert len(course.BLOCK.findall(text)) == text.count("```python"), "code without what it prints"
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", text, re.DOTALL)
    assert pictures and all(len(alt) > 40 and (page.parent / name).is_file() for alt, name in pictures)
    assert {name for _, name in pictures} == set(re.findall(r'Path\("(\d\d-[\w-]+\.png)"\)', text))
    assert "assert " in text and "What to try next:" in text
    assert not [target for target in re.findall(r"\]\(([\w./-]+)[#)]", text) if not (page.parent / target).is_file()]


def test_the_page_of_claims_is_made_from_the_chapters_and_the_index_names_them():
    assert (course.COURSE / "claims.md").read_text(encoding="utf-8") == course.claims(), "run tools/course.py --write"
    index = (course.COURSE / "README.md").read_text(encoding="utf-8")
    navigation = (HOME / "mkdocs.yml").read_text(encoding="utf-8")
    names = [page.name for page in PAGES] + ["claims.md"]
    assert re.findall(r"\]\(([\w-]+\.md)\)", index) == names
    assert re.findall(r"course/([\w-]+\.md)", navigation) == ["README.md", *names]


def test_a_claim_that_fails_is_reported_and_other_numbers_are_no_fault(tmp_path, monkeypatch, capsys):
    page = tmp_path / "01-a.md"
    monkeypatch.setattr(course, "COURSE", tmp_path)
    monkeypatch.setattr(course.sys, "argv", ["course.py"])
    for code, printed, status, message in (
        ("print('three', 1 + 2)", "three 3", 0, "as printed"),
        ("print('three', 1 + 2)", "three 3.1", 0, "some numbers differ"),
        ("print('> drawn at random')", "> once", 0, "some numbers differ"),
        ("print('three', 1 + 2)", "four 3", 1, "prints something else"),
        ("print(1)\nassert 1 > 2", "1", 1, "a claim does not hold"),
    ):
        page.write_text(f"# 1. A\n\n```python\n{code}\n```\n\n```text\n{printed}\n```\n")
        assert course.main() == status
        assert message in capsys.readouterr().out


def test_the_claims_are_true():
    by_hand, lstm, gru = (page.read_text(encoding="utf-8") for page in BY_HAND)
    assert by_hand.count("equal to autograd to 1e-12: True") == 3
    assert "equal to the cell to 1e-12: True" in lstm
    # By hand: sigmoid(1) = 0.7311, sigmoid(3) = 0.9526, tanh(1) = 0.7616, 2 * 0.9526 + 0.7311 * 0.7616 = 2.4619
    assert "i = o = 0.7311, f = 0.9526, g = 0.7616" in lstm and "= 2.4619, h[1]" in lstm
    assert "h = 1: by hand equal to the cell to 1e-12: True; both conventions the same: True" in gru
    assert "h = 2: by hand equal to the cell to 1e-12: True; both conventions the same: False" in gru
    for count in ("RNN: 190 ", "= 190; both directions 380", "GRU: 570 ", "LSTM: 760 "):
        assert count in gru


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_runs_and_prints_what_its_page_has(page, tmp_path):
    """In Jupyter: its assertions hold, and its words are those of the page."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    course.write_notebooks(tmp_path, [int(page.stem[:2])])
    notebook = nbformat.read(tmp_path / f"{page.stem}.ipynb", as_version=4)
    before = [output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    after = [
        "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    assert [course.words(text) for text in after] == [course.words(text) for text in before]
    assert list(tmp_path.glob("*.png"))
