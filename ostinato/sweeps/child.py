"""The process of one run of a sweep, which ends when the sweep does."""

import os
import signal
import threading


def follow_parent() -> None:
    """Has this process end as by SIGTERM once its standard input does, which only the parent holds open.

    A parent that is killed cannot tell its children, and a run that trained on would meet the next sweep's in its
    folder.
    """

    def wait() -> None:
        # Not through sys.stdin, whose lock a thread that waits would keep when the process ends.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
