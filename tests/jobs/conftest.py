"""A job of a newcomer, counted: commands, lines of Python, and lines of messages to read."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import cli  # noqa: F401 (a fixture)

MOVES = re.compile(r"^epoch +[\d.]+/\d+")
"""Lines of progress, which nobody has to read."""


class Job:
    """Runs commands and Python in the folder of a job.

    Args:
        cli: runs a command in this process.
        folder: where the job is done.
    """

    def __init__(self, cli, folder):  # noqa: F811
        self.cli, self.folder = cli, folder
        self.commands = self.python_lines = self.messages = 0

    def file(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    def command(self, *words, code: int = 0):
        """A command that ends as it should; 2 where its message is what is wanted."""
        said = self.cli(*words)
        assert said.code == code, said.err
        self.commands += 1
        self.messages += sum(1 for line in said.err.splitlines() if line.strip() and not MOVES.match(line))
        return said

    def python(self, text: str, **names) -> dict:
        """Lines of Python; the names that they leave."""
        self.python_lines += sum(1 for line in text.splitlines() if line.strip())
        exec(compile(text, "job.py", "exec"), names)
        return names

    def rows(self, name: str) -> list[dict]:
        """The lines of a file of JSON."""
        return [json.loads(line) for line in (self.folder / name).read_text(encoding="utf-8").splitlines()]

    def at_most(self, *, commands: int = 0, python_lines: int = 0, messages: int = 0) -> None:
        """What the job took; printed too, for the table of all jobs (`pytest -s`)."""
        print(f"\ncommands {self.commands}, lines of Python {self.python_lines}, messages {self.messages}")
        assert self.commands <= commands and self.python_lines <= python_lines and self.messages <= messages


@pytest.fixture
def job(cli, tmp_path, monkeypatch):  # noqa: F811
    """A job in an empty folder with an empty cache, on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    yield Job(cli, tmp_path)
    torch.set_num_threads(threads)
