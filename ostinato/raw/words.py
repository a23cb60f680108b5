"""Where a word begins and ends in any script."""

import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

SHORTEST_WORD = 2.0
"""Characters of a symbol on average, from which on symbols are words: phonemes, bases and codes are shorter."""


def are_words(symbols: Collection[str]) -> bool:
    """Whether different symbols are words, by their length."""
    return sum(map(len, symbols)) >= SHORTEST_WORD * len(symbols)


class Words(NamedTuple):
    """The words of a text, one for each step.

    Args:
        text: that they stand in.
        words: in their order.
        places: of each word in the text, its first character and the one after its last, counted from 0.
    """

    text: str
    words: list[str]
    places: list[tuple[int, int]]

    @staticmethod
    def of(text: str, words: Sequence[str]) -> "Words":
        """Words that a text holds in this order, each looked for after the one before it."""
        places, after = [], 0
        for word in words:
            start = text.index(word, after)
            after = start + len(word)
            places.append((start, after))
        return Words(text, list(words), places)


def split_like(text: str, known: Callable[[str], bool]) -> list[str]:
    """The words of a text that nobody has split, as a vocabulary has them.

    White space divides, save the no-break space. A word that is not known loses, as words of their own, the marks at
    its ends and what follows its last apostrophe (`Paris's,` gives `Paris`, `'s`, `,`), as far as these are known.
    """
    words = []
    for word in re.findall(r"[^ \t\n\r\f\v]+", text):
        front: list[str] = []
        back: list[str] = []
        while not known(word) and (mark := _mark(word, known, at_end=False)):
            front.append(mark)
            word = word[len(mark) :]
        while not known(word) and (mark := _mark(word, known, at_end=True)):
            back.insert(0, mark)
            word = word[: -len(mark)]
        words += [*front, word, *back]
    return words


def _mark(word: str, known: Callable[[str], bool], at_end: bool) -> str:
    """The longest known run of marks at an end of a word, or a known ending after an apostrophe; or nothing."""
    letters = reversed(word) if at_end else word
    count = next((at for at, letter in enumerate(letters) if unicodedata.category(letter)[0] not in "PS"), len(word))
    for size in range(min(count, len(word) - 1), 0, -1):
        mark = word[-size:] if at_end else word[:size]
        if known(mark):
            return mark
    at = max(word.rfind("'"), word.rfind("’"))
    return word[at:] if at_end and at > 0 and known(word[at:]) else ""


def _ranges(characters: list[int]) -> str:
    """The inside of a character class that holds these characters."""
    runs: list[list[int]] = []
    for code in characters:
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in runs)


@functools.cache
def pattern() -> re.Pattern[str]:
    """Matches each word (group 1) or symbol of a text and skips white space.

    A word is letters and digits with their marks; apostrophes and hyphens inside it, and the point, comma or colon
    between two digits, belong to it. Any other character is a symbol, with its marks; emoji joined by U+200D and flags
    are one symbol.
    """
    # Python's \w leaves combining marks out, which would tear words of Devanagari, Thai or Arabic with vowels apart.
    marks = _ranges(
        [code for code in [*range(0x20000), *range(0xE0100, 0xE01F0)] if unicodedata.category(chr(code))[0] == "M"]
    )
    letters = rf"\w[\w{marks}\u200c\u200d]*"
    word = rf"{letters}(?:(?:['’\-\u2010\u2011]|(?<=\d)[.,:](?=\d)){letters})*"
    mark = rf"[{marks}\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
    symbol = rf"[\U0001f1e6-\U0001f1ff]{{2}}|[^\w\s]{mark}(?:\u200d[^\w\s]{mark})*"
    return re.compile(rf"({word})|{symbol}")
