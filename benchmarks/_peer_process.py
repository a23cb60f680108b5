"""A rival in a process of its own: orders on its standard input, an answer to each on its standard output."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Order = Callable[..., dict[str, Any]]
"""Takes the words of an order and returns what is answered."""


def started(name: str, command: Sequence[str], log: Path, **options: Any) -> tuple[Order, dict[str, Any]]:
    """What gives orders to the rival, and what it says of itself when it begins.

    Args:
        name: of the rival, for messages; where it ends by itself, so does this process, which names the log.
        command: that starts it.
        log: the file that gets what it writes to standard error.
        options: of `subprocess.Popen`.
    """
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, **options
        )

    def answer() -> dict[str, Any]:
        line = process.stdout.readline()
        return json.loads(line) if line else sys.exit(f"{name} ended: see {log}")

    def order(*words: Any) -> dict[str, Any]:
        process.stdin.write(json.dumps(words) + "\n")
        process.stdin.flush()
        return answer()

    return order, answer()
