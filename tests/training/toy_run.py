"""A small run with all that makes resuming hard: dropout, tied weights, a buffer, momentum, a schedule and averages.

As a script: `python toy_run.py FOLDER OPTIONS`, OPTIONS being JSON for `Training`; writes the sha256 of the weights
that are kept to FOLDER/digest. `stop_at` (a number) sends the process `signal` (SIGKILL) at that of its moments, `slow`
(seconds) makes updates last.
`python toy_run.py` alone reads `[FOLDER, OPTIONS]` a line and answers each with the exit status of a process forked for
it: no torch function was called before the fork, so that it is as cold as a new one, without the seconds of importing.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ostinato.heads.contract import Loss
from ostinato.kernels.products import linear
from ostinato.registry import derive
from ostinato.training.checkpoints import model_tensors
from ostinato.training.loop import Training
from ostinato.training.repeatable import prepare
from ostinato.training.task import Interrupted, Listeners, Task

SYMBOLS, WIDTH, ROWS, LENGTH = 11, 8, 40, 5
CONSTANTS = {"training": {}}


class Toy(nn.Module):
    """Says of each symbol which one follows, and perhaps how odd the row is; its output weights are its embedding's."""

    def __init__(self, outputs=("next",), dropout=0.3):
        super().__init__()
        self.weights = dict.fromkeys(outputs, 1.0)
        self.weights_at = lambda update: self.weights
        self.embedding = nn.Embedding(SYMBOLS, WIDTH)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, SYMBOLS)
        self.out.weight = self.embedding.weight
        self.odd = nn.Linear(WIDTH, 1) if "odd" in outputs else None
        self.drop = nn.Dropout(dropout)
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64))

    def losses(self, batch):
        symbols, targets, odd = batch
        if self.training:
            self.num_batches += 1
        read = self.drop(self.embedding(symbols))
        hidden = torch.tanh(linear(read, self.hidden.weight, self.hidden.bias))
        real = targets >= 0
        logits = self.out(hidden[real])
        losses = {"next": Loss(nn.functional.cross_entropy(logits, targets[real], reduction="sum"), int(real.sum()))}
        if self.odd is not None:
            known = ~odd.isnan()
            guess = self.odd(hidden.mean(1)).squeeze(1)[known]
            losses["odd"] = Loss((guess - odd[known]).square().sum(), int(known.sum()))
        return losses


class Data:
    """Rows of symbols; some targets and some numbers are missing, so that batches differ in what they count."""

    def __init__(self, batch_rows=4, rows=ROWS):
        draw = np.random.default_rng(0)
        self.symbols = torch.from_numpy(draw.integers(0, SYMBOLS, (rows, LENGTH)))
        targets = (self.symbols * 3 + 1) % SYMBOLS
        self.targets = torch.where(torch.from_numpy(draw.random((rows, LENGTH)) < 0.3), -1, targets)
        odd = (self.symbols % 2).float().mean(1)
        self.odd = torch.where(torch.from_numpy(draw.random(rows) < 0.4), torch.nan, odd)
        self.batch_rows = batch_rows
        self.rows = rows

    def epoch(self, number):
        order = np.random.default_rng([7, number]).permutation(self.rows)
        return [order[first : first + self.batch_rows] for first in range(0, self.rows, self.batch_rows)]

    def fetch(self, rows, epoch=0):
        return self.symbols[rows], self.targets[rows], self.odd[rows]


def training(**options):
    return Training(**derive(Training, {})(**options).arguments())


def facts(options):
    return {"training": derive(Training, {})(**options).plain()}


def loss_of(data):
    """Validation: the loss of all rows, and something that draws at random, which must not disturb training."""

    def validate(model):
        torch.rand(3)
        losses = model.losses(data.fetch(np.arange(data.rows)))
        return {"loss": sum(loss.total.item() / loss.count for loss in losses.values()), "next.right": 0.5}

    return validate


def task(model=None, data=None, validate=None, facts=CONSTANTS, fetch=None):
    data = data or Data()
    return Task(
        model=model or toy(),
        batches=data,
        fetch=fetch or data.fetch,
        validate=validate or loss_of(data),
        higher={"loss": False, "next.right": True},
        part_steps=lambda part: LENGTH * len(part),
        part_rows=lambda part: part,
        facts=facts,
    )


def toy(outputs=("next",), dropout=0.3):
    prepare(1)
    return Toy(outputs, dropout)


def digest(model):
    tensors = model_tensors(model)
    return hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()


def main(folder, options):
    stop_at, slow, number = (
        options.pop("stop_at", None),
        options.pop("slow", 0.0),
        options.pop("signal", signal.SIGKILL),
    )
    moments = iter(range(1, (stop_at or 0) + 1))

    def deadly(call):
        """The call, before which the process may die: each read of a batch, each sync, each rename."""

        def perhaps(*arguments):
            if next(moments, None) == stop_at is not None:
                os.kill(os.getpid(), number)
            return call(*arguments)

        return perhaps

    # SIGKILL takes no page from the system's cache: the sync itself would only cost the tests their time.
    os.fsync, os.replace, os.rename = deadly(lambda handle: None), deadly(os.replace), deadly(os.rename)
    data = Data()

    def fetch(rows, epoch):
        time.sleep(slow)
        return data.fetch(rows)

    one = task(data=data, facts=facts(options), fetch=deadly(fetch))
    notes = Listeners(notes=lambda line: print(line, file=sys.stderr, flush=True))
    training(**options).run(one, Path(folder), notes, resume=True)
    Path(folder, "digest").write_text(digest(one.model))


def nursery():
    import torch._dynamo  # noqa: F401 (the first optimizer imports it, which takes a second)

    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                main(*json.loads(line))
            except Interrupted:
                os._exit(130)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2])) if len(sys.argv) > 1 else nursery()
