"""The `ostinato` command in processes forked cold, each killed at one of its moments; reads `[WORDS, MOMENT]` a line.

Each line is answered with the exit status of a process forked for it: no torch function was called before the fork, so
that it is as cold as a new one, without the seconds of importing. A moment is a batch read for training, a sync or a
rename.
"""

import json
import os
import signal
import sys

import torch._dynamo
import torch._inductor  # noqa: F401

from ostinato import api  # noqa: F401
from ostinato.cli.main import main
from ostinato.data.examples import RowExamples


def deadly(stop_at):
    moments = iter(range(1, stop_at + 1))

    def perhaps(call):
        def wrapped(*arguments):
            if next(moments, None) == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)

        return wrapped

    # SIGKILL takes no page from the system's cache: the sync itself would only cost time.
    os.fsync, os.replace, os.rename = perhaps(lambda handle: None), perhaps(os.replace), perhaps(os.rename)
    RowExamples.fetch = perhaps(RowExamples.fetch)


for line in sys.stdin:
    words, stop_at = json.loads(line)
    child = os.fork()
    if not child:
        sys.argv = ["ostinato", *words]
        sys.stdout = sys.stderr = open(os.devnull, "w")
        deadly(stop_at)
        try:
            main()
        except SystemExit as left:
            os._exit(left.code or 0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
