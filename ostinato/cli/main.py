"""The `ostinato` command: a file per verb."""

from __future__ import annotations

import ast
import importlib
import io
import keyword
import sys
from pathlib import Path

import click

from ostinato.errors import OstinatoError

VERBS = (
    "demo",
    "doctor",
    "list",
    "schema",
    "look",
    "init",
    "check",
    "train",
    "average",
    "import",
    "sweep",
    "evaluate",
    "errors",
    "report",
    "predict",
    "generate",
    "draw",
    "suggest",
    "score",
    "compare",
    "embed",
    "probe",
    "pairs",
    "data",
)


class Verbs(click.Group):
    """Commands by file, imported when they are called, so that help and list start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        # No function can be called `import`.
        function = f"{name}_" if keyword.iskeyword(name) else name
        return getattr(importlib.import_module(f"ostinato.cli.{name}_command"), function)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A command of runs takes them as `--run DIR` too, as those that make runs do."""
        name, command, words = super().resolve_command(ctx, args)
        parameters = {word for parameter in command.params for word in parameter.opts} if command else set()
        if "--run" not in parameters and parameters & {"run", "runs"}:
            words = _runs_first(words)
        return name, command, words

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_line(name)) for name in VERBS])


def _runs_first(words: list[str]) -> list[str]:
    """Words with the folders of `--run DIR` and `--run=DIR` before all others."""
    runs, others, left = list[str](), list[str](), iter(words)
    for word in left:
        if word == "--run" and (folder := next(left, None)) is not None:
            runs.append(folder)
        elif word.startswith("--run="):
            runs.append(word.partition("=")[2])
        else:
            others.append(word)
    return [*runs, *others]


def _first_line(name: str) -> str:
    text = (Path(__file__).parent / f"{name}_command.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="ostinato")
def group() -> None:
    """Sequence models from one recipe: name the inputs and outputs, train a model, evaluate and inspect it.

    Start with `ostinato demo`.
    """


def _as_setting(why: click.NoSuchOption, words: list[str]) -> str:
    """Where an option that there is not is a setting of a recipe, or a word of other tools for one: how to set it."""
    if why.ctx is None or not any(parameter.name == "sets" for parameter in why.ctx.command.params):
        return ""
    from ostinato.recipe.other_tools import option_advice

    value = "VALUE"
    for word, following in zip(words, [*words[1:], "-"]):
        if word.startswith(f"{why.option_name}="):
            value = word.partition("=")[2]
        elif word == why.option_name and not following.startswith("-"):
            value = following
    advice = option_advice(why.option_name.lstrip("-"), value)
    return "" if advice is None else f" In a recipe that is {advice}"


def main() -> None:
    """Runs a command; an error of the user's is printed without a traceback, exit code 2; Ctrl-C exits 130."""
    for stream in (sys.stdout, sys.stderr):
        # Windows' code page, in which most texts have no place, where output goes to a file or a pipe.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    try:
        code = group.main(standalone_mode=False)
    except OstinatoError as why:
        click.echo(f"{type(why).__name__}: {why}", err=True)
        sys.exit(2)
    except click.NoSuchOption as why:
        why.message += _as_setting(why, sys.argv)
        why.show()
        sys.exit(2)
    except click.ClickException as why:
        why.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt) as why:
        # Click turns a KeyboardInterrupt into its own Abort, which has the reason as its cause.
        click.echo(str(why) or str(why.__cause__ or "") or "Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    sys.exit(code if isinstance(code, int) else 0)
