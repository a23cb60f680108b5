"""The peer's side of recurrent_layers.py; it knows neither torch nor Ostinato, and runs in each peer's own environment.

Orders come on standard input, a JSON array a line, and each is answered with a JSON object a line on standard output:

    ["case", {cell, what, lengths, numbers}]  makes a row's call and runs it twice: seconds of the second, what it
    computed
    ["turn", calls]                           runs it so many times: seconds each

A case that the peer does not have is answered with nothing in it.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO


class Made(NamedTuple):
    """A row as a peer computes it.

    Args:
        call: computes it, and is done when it returns.
        measures: mean squares of what it computed, as `_layer_calls.measures`.
    """

    call: Callable[[], Any]
    measures: Callable[[], dict[str, float]]


def timed(call: Callable[[], Any], calls: int) -> float:
    """Seconds a call."""
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - began) / calls


def begin(threads: int) -> TextIO:
    """Where the answers go; and this process gets as many cores as torch has threads, before any library counts
    them."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return answers


def serve(answers: TextIO, about: dict[str, str], make: Callable[[dict[str, Any]], Made | None]) -> None:
    """Answers orders until there are no more.

    Args:
        answers: where to.
        about: the peer's versions, which are told first.
        make: a row of a description, or None where the peer does not have it.
    """

    def answer(found: dict[str, Any]) -> None:
        print(json.dumps(found), file=answers, flush=True)

    made: Made | None = None
    answer(about)
    for line in sys.stdin:
        order, given = json.loads(line)
        if order == "turn":
            answer({"seconds": timed(made.call, given)})
            continue
        made = make(given)
        if made is None:
            answer({})
        else:
            # In this order: the first call of all is slower, by a compilation or by memory that it asks for.
            found = made.measures()
            answer({"seconds": timed(made.call, 1), **found})
