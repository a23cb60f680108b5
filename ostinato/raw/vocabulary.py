"""The most frequent symbols of the training split, and words behind them that training lacks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ostinato.errors import DataError


class AddedWords:
    """Words behind a vocabulary that training lacks: those of a file of vectors.

    Args:
        words: each once, as they are written there.
    """

    def __init__(self, words: Sequence[str] = ()):
        self.words = list(words)
        self._places = {word: place for place, word in enumerate(self.words)}

    def find(self, word: str) -> int | None:
        """The place of a word, else that of its lower case, else None."""
        place = self._places.get(word)
        return self._places.get(word.lower()) if place is None else place

    def facts(self) -> dict[str, list[str]]:
        """As JSON values; empty where there are none."""
        return {"added": list(self.words)} if self.words else {}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "AddedWords":
        """Those of the facts of a vocabulary."""
        return cls(facts.get("added", ()))


def extended(earlier: Mapping[str, Any], fitted: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The facts `fitted` with the symbols under `key` of an earlier vocabulary in front, and how often each occurs in
    the new training split: 0 where only the earlier one had it. Words that were added to the earlier one stay."""
    symbols = list(dict.fromkeys([*earlier[key], *fitted[key]]))
    counts = dict(zip(fitted[key], fitted.get("counts", ())))
    added = AddedWords.of(earlier).facts()
    return {**fitted, key: symbols, "counts": [counts.get(symbol, 0) for symbol in symbols], **added}


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
