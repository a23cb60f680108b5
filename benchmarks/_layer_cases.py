"""What recurrent_layers.py measures: cells, shapes, lengths, the numbers that all read, and the arithmetic of it."""

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
ACTIVATIONS = {"rnn": 1, "lstm": 5, "gru": 3}
"""Sigmoids and tanhs of one unit in one step."""

BYTES = 4
SEED = 20150101
SENTENCES = "multi30k-translation/train.en.gz"
CHAINS = "protein-secondary-structure/sampled.fasta.gz"


class Shape(NamedTuple):
    """At most T steps, B sequences, I inputs, H units."""

    T: int
    B: int
    I: int  # noqa: E741
    H: int

    def __str__(self) -> str:
        return ",".join(map(str, self))


SHAPES = tuple(
    Shape(*sizes)
    for sizes in (
        (50, 32, 256, 256),
        (100, 64, 512, 512),
        (200, 16, 128, 128),
        (25, 80, 256, 256),
        (400, 8, 64, 64),
        (30, 128, 300, 650),
        (50, 1, 256, 256),
    )
)
STREAM_SIZES = (64, 128, 256, 512)
QUICK_SHAPES = (Shape(50, 32, 256, 256), Shape(200, 16, 128, 128))
QUICK_STREAM_SIZES = (64, 256)


@dataclass(frozen=True)
class Case:
    """One row: a cell, a shape, the lengths of its sequences, and what is done with them (train, inference or
    stream)."""

    cell: str
    shape: Shape
    kind: str
    what: str
    lengths: tuple[int, ...]

    @property
    def steps(self) -> int:
        """N, the real steps."""
        return sum(self.lengths)

    @property
    def longest(self) -> int:
        return max(self.lengths)

    @property
    def ragged(self) -> bool:
        return self.kind != "full"

    @property
    def units(self) -> int:
        """G H, the rows of both weights."""
        return GATES[self.cell] * self.shape.H

    @property
    def useful(self) -> int:
        """Floating point operations of the matrix products on real steps: two each, and twice as many again
        backwards."""
        return (6 if self.what == "train" else 2) * self.steps * self.units * (self.shape.I + self.shape.H)

    @property
    def weight_bytes(self) -> int:
        """Both weights: what one step of one sequence has to read."""
        return self.units * (self.shape.I + self.shape.H) * BYTES


class RealLengths(NamedTuple):
    """Words of English captions and residues of protein chains, as the data sets have them; empty where they are not
    there."""

    multi30k: list[int]
    proteins: list[int]

    @staticmethod
    def read(root: Path) -> "RealLengths":
        sentences, chains = root / SENTENCES, root / CHAINS
        words = [len(line.split()) for line in _lines(sentences)]
        residues = [len(line.strip()) for line in _lines(chains) if not line.startswith(">")]
        for path, found in ((sentences, words), (chains, residues)):
            if not found:
                print(f"{path.name} is not in {path.parent.name} of --data-root: measured without rows of its lengths")
        return RealLengths([one for one in words if one], [one for one in residues if one])


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from lines


def lengths_of(shape: Shape, real: RealLengths) -> dict[str, tuple[int, ...]]:
    """The lengths that a shape is measured with, by kind.

    Real ones are a seeded sample, cut at T. Captions have some 12 words and stand where T is 100 at most, protein
    chains have some 220 residues and stand where T is 100 at least: below that the cut would leave all of them T long,
    and above it no caption would come near T. One sequence alone has no other to be longer than: it is measured full.
    """
    found = {"full": (shape.T,) * shape.B}
    if shape.B == 1:
        return found
    draw = random.Random(f"{SEED} {shape}")
    found["uniform"] = tuple(draw.randint(-(-shape.T // 5), shape.T) for _ in range(shape.B))
    for kind, lengths, belongs in (
        ("multi30k", real.multi30k, shape.T <= 100),
        ("proteins", real.proteins, shape.T >= 100),
    ):
        if lengths and belongs:
            found[kind] = tuple(min(one, shape.T) for one in draw.choices(lengths, k=shape.B))
    return found


class Numbers(NamedTuple):
    """What all contestants of a cell and shape read.

    Shapes:
        x (T, B, I); d_hidden (T, B, H); weights as in torch.nn's state_dict
    """

    x: Tensor
    d_hidden: Tensor
    weights: dict[str, Tensor]

    @staticmethod
    def drawn(cell: str, shape: Shape) -> "Numbers":
        draw = torch.Generator().manual_seed(SEED)
        bound, units = shape.H**-0.5, GATES[cell] * shape.H
        sizes = {
            "weight_ih_l0": (units, shape.I),
            "weight_hh_l0": (units, shape.H),
            "bias_ih_l0": (units,),
            "bias_hh_l0": (units,),
        }
        return Numbers(
            torch.randn(shape.T, shape.B, shape.I, generator=draw),
            torch.randn(shape.T, shape.B, shape.H, generator=draw),
            {name: (torch.rand(size, generator=draw) * 2 - 1) * bound for name, size in sizes.items()},
        )

    def cut(self, lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """x and d_hidden of a batch of these lengths, padded to its longest; no gradient comes from what is padded."""
        longest = max(lengths)
        real = torch.arange(longest)[:, None] < torch.tensor(lengths)
        return self.x[:longest].clone(), self.d_hidden[:longest] * real[..., None]

    def save(self, path: Path) -> None:
        """For the peers, which have no torch."""
        arrays = {"x": self.x, "d_hidden": self.d_hidden, **self.weights}
        numpy.savez(path, **{name: one.numpy() for name, one in arrays.items()})
