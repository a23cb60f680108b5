"""Where a word begins and ends in any script."""

import functools
import re
import unicodedata


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
