"""Runs the chapters of docs/course, compares what their code prints with the page, and makes notebooks of them.

python tools/course.py                  all chapters; exit 1 where a claim fails or other words are printed
python tools/course.py 3 5              these
python tools/course.py --write          writes what is printed and drawn into docs/course, and claims.md from the pages
python tools/course.py --notebooks DIR  a Jupyter notebook of each chapter, with its pictures

A chapter states `Claim: ...`; its code prints a line `measured: ...` for each claim, and asserts it. MkDocs takes this
file as a hook: the site has the notebooks too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

COURSE = Path(__file__).resolve().parent.parent / "docs" / "course"
BLOCK = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
"""Code, and what it prints."""
CLAIM = re.compile(r"^Claim: (.*?)\n\n", re.MULTILINE | re.DOTALL)
MEASURED = re.compile(r"^measured: (.*)$", re.MULTILINE)
VARIES = re.compile(r"\d[\d,.]*(?:e[-+]?\d+)?|^> .*$", re.MULTILINE)
"""Numbers, and lines that a model wrote: rounding differs from processor to processor, and with it what is learnt."""
NOTEBOOK = "This chapter as a Jupyter notebook: [{name}]({name})."


def chapters(numbers: list[int]) -> list[Path]:
    """The pages of these chapters that have code; of all where no numbers are given."""
    pages = [page for page in sorted(COURSE.glob("[0-9]*.md")) if BLOCK.search(page.read_text(encoding="utf-8"))]
    return [page for page in pages if not numbers or int(page.name.partition("-")[0]) in numbers]


def words(text: str) -> str:
    """A text without what differs from one processor to another."""
    return " ".join(VARIES.sub("#", text).split())


def run(page: Path, pictures: Path | None = None) -> str:
    """The page with what its code prints; its blocks share their names.

    Args:
        page: a chapter.
        pictures: the folder that the pictures go to which its code draws.
    """
    text, names = page.read_text(encoding="utf-8"), {"__name__": page.stem}

    def printed(block: re.Match[str]) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            above = "\n" * (text[: block.start()].count("\n") + 1)  # so that a traceback names the line of the page
            exec(compile(above + block[1], str(page), "exec"), names)
        return f"```python\n{block[1]}```\n\n```text\n{output.getvalue()}```"

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        printed_page = BLOCK.sub(printed, text)
        for picture in sorted(Path(folder).glob(f"{page.stem[:2]}-*.png")):
            if pictures is not None:
                shutil.copy(picture, pictures)
    return printed_page


def claims() -> str:
    """The page with a row for each claim of the chapters: the claim, its page, what was measured."""
    rows = []
    for page in chapters([]):
        text = page.read_text(encoding="utf-8")
        for claim, measured in zip(CLAIM.findall(text), MEASURED.findall(text), strict=True):
            claim = " ".join(claim.split())
            rows.append(
                f"| {claim[:1].upper()}{claim[1:]} | [{text.splitlines()[0].lstrip('# ')}]({page.name}) | {measured} |"
            )
    head = [
        "# Claims and numbers",
        "",
        "Made from the chapters by `python tools/course.py --write`: what each claims, and what its code measured.",
        "",
        "| claim | chapter | measured |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def notebook(page: Path) -> str:
    """A page as a Jupyter notebook: its code with what it printed, and the text between."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    text, cells, end = page.read_text(encoding="utf-8"), [], 0
    for block in BLOCK.finditer(text):
        cells.append(new_markdown_cell(text[end : block.start()].strip()))
        cells.append(new_code_cell(block[1].strip(), outputs=[new_output("stream", text=block[2])]))
        end = block.end()
    cells.append(new_markdown_cell(text[end:].strip()))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.writes(new_notebook(cells=cells, metadata=kernel)) + "\n"


def write_notebooks(folder: Path, numbers: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for page in chapters(numbers):
        (folder / f"{page.stem}.ipynb").write_text(notebook(page), encoding="utf-8")
        for picture in COURSE.glob(f"{page.stem[:2]}-*.png"):
            shutil.copy(picture, folder)


def on_files(files: Any, config: Any) -> Any:
    """MkDocs: the notebooks are files of the site."""
    from mkdocs.structure.files import File

    for page in chapters([]):
        files.append(File.generated(config, f"course/{page.stem}.ipynb", content=notebook(page)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs: each chapter links to its notebook."""
    name = Path(page.file.src_uri).stem + ".ipynb"
    return f"{markdown}\n\n{NOTEBOOK.format(name=name)}\n" if files.get_file_from_path(f"course/{name}") else markdown


def differs(page: Path, text: str, write: bool) -> bool:
    """Prints how what a chapter prints compares with its page; whether the words differ and are not written."""
    before = page.read_text(encoding="utf-8")
    if write:
        page.write_text(text, encoding="utf-8")
        print(f"{page.name}: written")
    elif text == before:
        print(f"{page.name}: as printed")
    elif words(text) == words(before):
        print(f"{page.name}: its claims hold; some numbers differ, as rounding does on another processor")
    else:
        print(f"{page.name}: prints something else; run python tools/course.py --write")
        return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", nargs="*", type=int)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--notebooks", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.notebooks is not None:
        write_notebooks(options.notebooks, options.chapter)
        return 0
    failed = False
    for page in chapters(options.chapter):
        began = time.process_time()
        try:
            text = run(page, COURSE if options.write else None)
        except AssertionError:
            print(f"{page.name}: a claim does not hold\n{traceback.format_exc(limit=-1)}")
            failed = True
        else:
            failed |= differs(page, text, options.write)
        print(f"  {time.process_time() - began:.0f} s of processor time", flush=True)
    if options.write:
        (COURSE / "claims.md").write_text(claims(), encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
