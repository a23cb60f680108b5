"""Features that are known by a number of 64 bits, so that no list of texts is kept: their keys, which of them are
counted, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

BASE = -0x61C8864680B583EB
"""An odd number without a pattern (2^64 over the golden ratio), whose powers tell the places of a sequence apart."""
MIXERS = (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
"""Of Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195, figure 14."""
UNUSED = torch.iinfo(torch.int64).max
"""The key of a place that no feature has."""


def mixed(numbers: Tensor) -> Tensor:
    """Numbers whose bits all depend on all bits of these."""
    mixture = numbers + BASE
    for shift, mixer in zip((30, 27), MIXERS):
        mixture = (mixture ^ (mixture >> shift)) * mixer
    return mixture ^ (mixture >> 31)


def counted_by_row(keys: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The different keys among these, on the CPU, and how many rows have each."""
    different, number = keys.unique(return_inverse=True)
    pairs = (rows * len(different) + number).unique()
    counts = torch.bincount(pairs % max(1, len(different)), minlength=len(different))
    return different.cpu(), counts.cpu()


def keep_commonest(known: Tensor, found: Iterable[tuple[Tensor, Tensor]], min_count: int) -> Tensor:
    """Fills `known` with the commonest keys, sorted, and UNUSED after them; the count of each of these.

    Args:
        known: (F,) the keys of all features there may be.
        found: keys and how often each was counted, part by part.
        min_count: how often a key must be counted.
    """
    every, counts = (torch.cat(parts) for parts in zip((known[:0].cpu(), known[:0].cpu()), *found))
    keys, number = every.unique(return_inverse=True)
    held = counts.new_zeros(len(keys)).index_add(0, number, counts)
    keys, held = keys[held >= min_count], held[held >= min_count]
    # Of keys that are equally frequent the smaller ones: any rule would do that gives the same ones again.
    best = held.argsort(descending=True, stable=True)[: len(known)].sort().values
    known.fill_(UNUSED)[: len(best)] = keys[best].to(known.device)
    return held[best]


def looked_up(known: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Which keys are known, and the numbers of these; before anything is counted all are, by their remainder."""
    if known[0] == UNUSED:
        return torch.ones_like(keys, dtype=torch.bool), keys % len(known)
    places = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    there = known[places] == keys
    return there, places[there]
