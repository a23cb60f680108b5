"""The docs: their code runs, their commands exist, their recipes are good, their tables say what the code says."""

import importlib.util
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest

from ostinato import registry
from ostinato.cli.main import VERBS, group
from ostinato.preprocessing import duration
from ostinato.preprocessing import sizes as planning
from ostinato.recipe.other_tools import SAME, WORDS
from ostinato.recipe.read import check, from_arguments
from ostinato.recipe.yaml_text import parse_yaml
from ostinato.training.loop import FREE
from tests.test_imports import ORDER

HOME = Path(__file__).resolve().parents[1]
PAGES = [HOME / "README.md", HOME / "CONTRIBUTING.md", HOME / "CHANGELOG.md", *sorted((HOME / "docs").glob("*.md"))]
README = HOME / "README.md"
ARCHITECTURE, EXTENDING, RECIPES, COMPONENTS, PROMISES = (
    HOME / "docs" / f"{name}.md" for name in ("architecture", "extending", "recipes", "components", "promises")
)
TASKS = [
    HOME / "docs" / f"{name}.md"
    for name in (
        *("classify", "tag", "forecast", "translate", "generate", "compose", "several-inputs", "pictures", "draw"),
        *("python", "notebook", "service", "torch", "reading-results", "speed", "import"),
        *(f"from-{tool}" for tool in ("scikit-learn", "keras", "ludwig", "joeynmt", "darts", "spacy")),
    )
]
"""Pages by what people want to do, and by the tool that they come from."""
LONGEST_README = 150
SHORT = {"epochs: 20": "epochs: 1", '"epochs": 20': '"epochs": 1'}
"""What makes the walk-through of the README a matter of seconds."""


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def files(page: Path) -> dict[str, str]:
    """The blocks that say in their first line which file they are."""
    found = {}
    for language in ("python", "yaml", "toml"):
        for text in blocks(page, language):
            first = text.split("\n")[0].removeprefix("# ")
            if re.fullmatch(r"[\w/]+\.(py|yaml|toml)", first):
                found[first] = text
    return found


def commands(page: Path) -> list[list[str]]:
    """The command lines of a page: after `$ ` in a block, or in backticks; what stands after two blanks is a remark."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line
        for block in blocks(page, "console")
        for line in re.findall(r"^\$ (.*?)(?:\s{2,}.*)?$", block, re.MULTILINE)
    ]
    return [shlex.split(line) for line in [*lines, *re.findall(r"`((?:ostinato|make|python) [^`]+)`", text)]]


def written(page: Path, folder: Path, swaps: dict[str, str]) -> list[str]:
    """Writes the named blocks of a page as files; their names."""
    for name, text in files(page).items():
        for old, new in swaps.items():
            text = text.replace(old, new)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files(page))


DRIVER = """
import contextlib, io, json, runpy, sys

def said(words):
    heard, sys.argv = io.StringIO(), words[1:] if words[0] == "python" else words
    with contextlib.redirect_stdout(heard):
        if words[0] == "python":
            runpy.run_path(words[1], run_name="__main__")
        else:
            from ostinato.cli.main import main
            try:
                main()
            except SystemExit as end:
                assert end.code in (None, 0), words
    return heard.getvalue()

print(json.dumps([said(words) for words in json.loads(sys.stdin.read())]))
"""
"""Runs commands one after the other, as a shell would, but starts Python and torch once for all of them."""


def run(lines: list[str], folder: Path) -> dict[str, str]:
    """Standard output of commands in a folder; all of them must end well."""
    environment = {
        **os.environ,
        "OSTINATO_CACHE": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(folder), str(HOME)]),
    }
    words = json.dumps([shlex.split(line) for line in lines])
    driver = [sys.executable, "-c", DRIVER]
    done = subprocess.run(driver, cwd=folder, env=environment, input=words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(zip(lines, json.loads(done.stdout), strict=True))


def walk(folder: Path, swaps: dict[str, str]) -> dict[str, str]:
    """The README's `Your own file`, command by command: what each printed."""
    names = written(README, folder, swaps)
    section = README.read_text(encoding="utf-8").split("## Your own file")[1].split("\n## ")[0]
    lines = re.findall(r"^\$ (.*)$", section, re.MULTILINE)
    assert all(line.split()[1] in names for line in lines if line.startswith("python "))
    return run([*lines, "python orders_model.py"], folder)


def test_the_readmes_own_file_is_trained_measured_and_used(tmp_path):
    said = walk(tmp_path, SHORT)
    assert len((tmp_path / "orders.tsv").read_text().splitlines()) == 301
    answers = next(text for line, text in said.items() if line.startswith("ostinato predict"))
    assert (tmp_path / "orders.png").is_file()
    assert len(answers.splitlines()) == 2
    assert "exact_match" in next(text for line, text in said.items() if line.startswith("ostinato evaluate"))
    assert len(said["python orders_model.py"].splitlines()) == 2


@pytest.mark.slow
def test_the_readmes_own_file_learns_what_the_page_says(tmp_path):
    said = walk(tmp_path, {})
    page = README.read_text(encoding="utf-8")
    told = {line: text for line, text in said.items() if line.startswith(("ostinato evaluate", "ostinato predict"))}
    assert len(told) == 3
    for line, text in told.items():
        assert f"$ {line}\n{text}" in page


def walked(page: Path, folder: Path) -> dict[str, str]:
    """The example that a page by task begins with, in less time than it takes there: what each command printed."""
    names = written(page, folder, {})
    first = next(iter(blocks(page, "console")), "")
    lines = [line.replace("--minutes 1", "--minutes 0.1") for line in re.findall(r"^\$ (.*)$", first, re.MULTILINE)]
    return run(lines or [f"python {name}" for name in names], folder)


@pytest.mark.slow
@pytest.mark.parametrize("page", TASKS, ids=lambda page: page.stem)
def test_the_example_that_a_page_begins_with_runs(page, tmp_path):
    assert page.read_text(encoding="utf-8").index("```python") < 600, "it begins with an example"
    assert all(text for line, text in walked(page, tmp_path).items() if " predict " in line and "--output" not in line)


def test_every_page_is_in_the_index():
    index = (HOME / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (HOME / "docs").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == pages


def test_the_page_of_python_runs(tmp_path, monkeypatch, capsys):
    written(HOME / "docs" / "python.md", tmp_path, {'"epochs": 5': '"epochs": 1'})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    runpy.run_path("weather.py")
    said = capsys.readouterr().out
    assert said.startswith("['snow', 'rain']\n") and "accuracy  100" in said


@pytest.mark.parametrize("page", [page for page in TASKS if page.stem.startswith("from-")], ids=lambda page: page.stem)
def test_words_of_other_tools_are_answered_as_their_page_says(page):
    section = page.read_text(encoding="utf-8").split("## Words\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*)` \|$", section, re.MULTILINE))
    assert len(rows) >= 9 and rows == {word: WORDS[word].replace(SAME, "X") for word in rows}


def test_an_outside_package_written_from_the_page_joins_by_its_entry_points(tmp_path):
    """A real entry point: the package's metadata in a folder on the path, as an installer writes them."""
    names = written(EXTENDING, tmp_path, {})
    (tmp_path / "ostinato_mgu" / "__init__.py").touch()
    package = tmp_path / "ostinato_mgu-0.1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: ostinato-mgu\nVersion: 0.1\n")
    metadata = (tmp_path / "pyproject.toml").read_text()
    points = re.findall(r'^\[project\.entry-points\."(.*)"\]\n((?:\w+ = ".*"\n?)+)', metadata, re.MULTILINE)
    assert points
    (package / "entry_points.txt").write_text(
        "\n".join(f"[{room}]\n" + lines.replace('"', "") for room, lines in points)
    )
    scripts = [f"python {name}" for name in names if name.endswith(".py") and "/" not in name]
    said = run([*scripts, "ostinato list cells"], tmp_path)
    assert re.search(r"^ *mgu +The minimal gated unit", said["ostinato list cells"], re.MULTILINE)
    assert "wilson" in said["python measure_it.py"]


def test_the_recipes_page_runs_in_python(tmp_path, capsys):
    written(RECIPES, tmp_path, {})
    runpy.run_path(str(tmp_path / "from_python.py"))
    assert "width: 3" in capsys.readouterr().out


def test_the_forecast_of_the_recipes_page_runs_in_python(tmp_path, monkeypatch, capsys):
    written(RECIPES, tmp_path, {})
    hours = [f"2024-01-{day:02} {hour:02}:00" for day in range(1, 10) for hour in range(24)]
    lines = [f"{date},{site},{int(date[11:13]) * size}" for site, size in (("a", 1), ("b", 9)) for date in hours]
    (tmp_path / "load.csv").write_text("\n".join(["date,site,load", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    runpy.run_path("forecast.py")
    assert [line.rsplit(" ", 1)[0] for line in capsys.readouterr().out.splitlines()] == [
        f"{site} 2024-01-10T00:00:00" for site in "ab"
    ]


def recipes() -> list:
    """Every whole recipe on the pages, but those that need the page's own package."""
    found = []
    for page in (README, RECIPES, ARCHITECTURE, *TASKS):
        for number, text in enumerate(blocks(page, "yaml")):
            found.append(pytest.param(text, id=f"{page.stem}-{number}"))
    return found


@pytest.mark.parametrize("text", recipes())
def test_recipes_are_good(text):
    check(parse_yaml(text, "page"), "page", text)


def options_of(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_options(page):
    targets = re.findall(r"^([\w-]+):", (HOME / "Makefile").read_text(), re.MULTILINE)
    for words in commands(page):
        if words[0] == "make":
            assert words[1] in targets, words
        elif words[0].endswith("python"):
            script = next((word for word in words[1:] if word.endswith(".py")), None)
            assert script is None or (HOME / script).is_file() or script in files(page), words
        elif words[0] == "bash":
            assert (HOME / words[1]).is_file(), words
        elif words[0] == "ostinato":
            command = group
            for word in words[1:]:
                if isinstance(command, click.Group) and not word.startswith("-"):
                    assert word in command.list_commands(click.Context(command)), words
                    command = command.get_command(click.Context(command), word)
                elif word.startswith("--"):
                    assert word in options_of(command), words
        else:
            assert words[:2] == ["pip", "install"], words


def test_every_command_is_named():
    named = {words[1] for page in (README, RECIPES, COMPONENTS) for words in commands(page) if words[0] == "ostinato"}
    assert set(VERBS) - {"demo"} <= named
    assert ["make", "demo"] in commands(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if path and "://" not in path:
            assert (page.parent / path).exists(), target
        elif anchor:
            assert anchor in headings, target


def test_the_readme_is_one_page_or_two():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_tests_that_hold_the_promises_are_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PROMISES.read_text(encoding="utf-8"))
    assert len(named) >= 8
    for path, name in named:
        assert f"def {name}(" in (HOME / path).read_text(encoding="utf-8"), f"{path}::{name}"


def test_the_components_page_names_every_member_and_nothing_else():
    table = COMPONENTS.read_text(encoding="utf-8").split("## Components")[1].split("\n\n")[1]
    told = re.findall(r"^\| .*?`(\w+)`\)? \| (.*) \|$", table, re.MULTILINE)
    rows = {room: members for room, members in told if room in registry.ROOMS}
    assert set(rows) == set(registry.ROOMS)
    for room, members in rows.items():
        assert set(re.findall(r"`(\w+)`", members)) == set(registry.names(room)), room


@pytest.fixture
def results_tool(monkeypatch):
    return tool("results", monkeypatch)


def tool(name: str, monkeypatch) -> types.ModuleType:
    """A script of tools/ as a module."""
    monkeypatch.syspath_prepend(HOME / "tools")
    spec = importlib.util.spec_from_file_location(f"{name}_tool", HOME / "tools" / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, f"{name}_tool", made)
    spec.loader.exec_module(made)
    return made


def test_the_readmes_tables_are_those_of_the_results_that_there_are(results_tool):
    page = README.read_text(encoding="utf-8")
    made = results_tool.filled(page, "results", results_tool.readme_block(results_tool.load()))
    assert page == results_tool.filled(made, "demo", results_tool.demo_block()), "run python tools/results.py --render"


def test_a_table_is_filled_between_its_markers_and_the_demo_stands_in_the_readme(results_tool, tmp_path, monkeypatch):
    before, after = "a\n<!-- x -->\n", "\n<!-- /x -->\nb"
    assert results_tool.filled(f"{before}old{after}", "x", ["new", "er"]) == f"{before}new\ner{after}"
    assert results_tool.filled("no markers", "x", ["new"]) == "no markers"
    monkeypatch.setattr(results_tool, "HOME", tmp_path)
    monkeypatch.setattr(results_tool, "RESULTS", tmp_path / "docs" / "results")
    assert results_tool.demo_block() == ["not yet run"]
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "results" / "demo.json").write_text('{"line": "exact match 12.3 %"}')
    (tmp_path / "docs" / "attention.png").touch()
    assert "exact match 12.3 %" in results_tool.demo_block() and "(docs/attention.png)" in results_tool.demo_block()[-1]


def test_every_room_and_module_has_its_row():
    table = re.findall(r"^\| `(\w+)`", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
    everything = (HOME / "ostinato").iterdir()
    there = {path.stem for path in everything if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.*")))}
    assert set(table) == {name for name in there if not name.startswith("_")}
    assert len(table) == len(set(table))


def test_the_order_of_imports_is_the_one_that_is_tested():
    (told,) = re.findall(r"Imports point one way.*?```\n(.*?)```", ARCHITECTURE.read_text(encoding="utf-8"), re.DOTALL)
    assert [name for name in told.split() if name in ORDER] == [name for name in ORDER if name]


def test_sizes_chosen_from_the_data_are_those_on_the_page():
    (told,) = re.findall(
        r"^\| `hidden_size` of an encoder \| (.*) \|$", RECIPES.read_text(encoding="utf-8"), re.MULTILINE
    )
    *limits, widest = re.findall(r"(\d+)(?: below ([\d,]+))?", re.sub(r"else ", "", told))
    recipe = from_arguments({"a": "tokens"}, {"b": "tokens"})

    def width(steps: int) -> int:
        nothing = {"inputs.a": 0, "outputs.b": 0}
        sizes = planning.sizes(recipe, planning.Amount(1000, nothing, {"inputs.a": steps, "outputs.b": 0}))
        return sizes["inputs.a.encoder.hidden_size"][0]

    for size, below in limits:
        limit = int(below.replace(",", ""))
        assert width(limit - 1) == int(size) != width(limit)
    assert width(10**9) == int(widest[0])
    text = " ".join(RECIPES.read_text(encoding="utf-8").split())
    for said in (
        f"about {planning.UPDATES_AN_EPOCH} updates an epoch",
        f"about {duration.TOTAL_UPDATES:,} updates in all, {duration.GENERATED_UPDATES:,} where answers are generated",
    ):
        assert said in text


def test_what_may_change_on_resuming_is_told():
    (told,) = re.findall(
        r"On resuming these may change: (.*?),\s+the\s+search", RECIPES.read_text(encoding="utf-8"), re.DOTALL
    )
    assert set(re.findall(r"`([\w.]+)`", told)) == set(FREE)


def test_the_reference_is_up_to_date(monkeypatch):
    made = tool("reference", monkeypatch)
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run python tools/reference.py"


def test_no_page_names_a_machine_or_a_registry():
    hosts = ("pypi" + ".org", "files.python" + "hosted", "hugging" + "face.co", "/wo" + "rk/", "/home/", "/tmp/")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not [host for host in hosts if host in text], page.name
