"""The most frequent symbols of the training split."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ostinato.errors import DataError


def extended(earlier: Mapping[str, Any], fitted: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The facts `fitted` with the symbols under `key` of an earlier vocabulary in front, and how often each occurs in
    the new training split: 0 where only the earlier one had it."""
    symbols = list(dict.fromkeys([*earlier[key], *fitted[key]]))
    counts = dict(zip(fitted[key], fitted.get("counts", ())))
    return {**fitted, key: symbols, "counts": [counts.get(symbol, 0) for symbol in symbols]}


def most_frequent(sequences: Iterable[Iterable[str]], limit: int | None, min_count: int, noun: str) -> dict[str, int]:
    """Every symbol that occurs `min_count` times or more and how often, the most frequent first (ties by code point),
    at most `limit`.

    Errors:
        DataError: none is left.
    """
    counts: Counter[str] = Counter()
    for sequence in sequences:
        counts.update(sequence)
    known = sorted(
        (symbol for symbol, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word)
    )
    if not known and counts:
        raise DataError(
            f"nothing to learn: no {noun} occurs min_count = {min_count} times in the training split (the most "
            f"frequent, {counts.most_common(1)[0][0]!r}, {max(counts.values())}); lower min_count"
        )
    if not known:
        raise DataError(
            f"nothing to learn: the training split holds no {noun} at all (every value is empty or white space); "
            "check that this is the right column, or leave it out of the recipe"
        )
    return {symbol: counts[symbol] for symbol in known[:limit]}
