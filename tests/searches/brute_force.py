"""Slow searches that are right by their simplicity: what the beam search is compared with."""

import itertools
from collections.abc import Callable, Sequence

from torch import Tensor

from ostinato.heads.contract import Generator
from ostinato.testing.searches import scored_one_by_one


def repeats(symbols: Sequence[int], size: int) -> bool:
    """Whether a sequence of `size` symbols occurs in it twice; 0 means never."""
    windows = [tuple(symbols[place : place + size]) for place in range(len(symbols) - size + 1)] if size else []
    return len(set(windows)) < len(windows)


def all_answers(
    generator: Generator,
    example: Sequence[int],
    max_length: int,
    score: Callable[[float, int, list[Tensor]], float],
    *,
    min_length: int = 0,
    no_repeat_ngrams: int = 0,
) -> list[tuple[float, list[int]]]:
    """Every answer there is with its score from (log p, length with the end, weights), the best first."""
    symbols = [symbol for symbol in range(generator.num_symbols) if symbol not in (generator.begin, generator.end)]
    answers = []
    for length in range(min(min_length, max_length), max_length + 1):
        for word in itertools.product(symbols, repeat=length):
            if repeats(word, no_repeat_ngrams):
                continue
            scores, weights = scored_one_by_one(generator, example, word)
            total = sum(float(row[symbol]) for row, symbol in zip(scores, [*word, generator.end]))
            answers.append((score(total, length + 1, weights), list(word)))
    return sorted(answers, key=lambda answer: -answer[0])


def beam_one_by_one(
    generator: Generator,
    example: Sequence[int],
    max_length: int,
    score: Callable[[float, int, list[Tensor]], float],
    *,
    width: int,
    n_best: int,
    min_length: int = 0,
    no_repeat_ngrams: int = 0,
) -> list[tuple[float, list[int]]]:
    """Beam search of one example, a beginning at a time, that never stops before the maximum length."""
    least, alive, answers = min(min_length, max_length), [(0.0, [])], []
    for step in range(max_length + 1):
        grown = []
        for total, prefix in alive:
            scores, weights = scored_one_by_one(generator, example, prefix)
            allowed = [
                symbol
                for symbol in range(generator.num_symbols)
                if symbol not in (generator.begin, generator.end) and not repeats([*prefix, symbol], no_repeat_ngrams)
            ]
            if step == max_length or not allowed:
                allowed = [generator.end]
            elif step >= least:
                allowed.append(generator.end)
            grown.extend((total + float(scores[-1][symbol]), prefix, symbol, weights) for symbol in sorted(allowed))
        grown.sort(key=lambda beam: -beam[0])
        for total, prefix, symbol, weights in grown[:width]:
            if symbol == generator.end:
                answers.append((score(total, step + 1, weights), prefix))
        alive = [(total, [*prefix, symbol]) for total, prefix, symbol, _ in grown if symbol != generator.end][:width]
    return sorted(answers, key=lambda answer: -answer[0])[:n_best]
