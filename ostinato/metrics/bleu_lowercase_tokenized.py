"""BLEU of text lower-cased and tokenised the way Moses does it, beside which older results were published."""

import re
from collections.abc import Sequence
from typing import Literal

from ostinato.metrics import _sacrebleu
from ostinato.metrics.contract import Judged, Metric

_PLAIN = str.maketrans(
    dict.fromkeys("’‘‚´`", "'") | dict.fromkeys("„“”«»", '"') | {"–": "-", "—": " - ", "…": "..."},
)
_INSIDE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_OUTSIDE = re.compile(r"(?<![^\W\d_])'|'(?![^\W\d_])")
_SPLIT = {"apart": " ' ", "left": "' ", "right": " '"}


class BLEULowercaseTokenized(Metric):
    """BLEU of text lower-cased and tokenised the way Moses does it, for comparison with results published that way.

    Typographic quotes, dashes and dots become plain ones, apostrophes are split off, everything is lower-cased, and
    sacreBLEU's 13a splits the rest. Of the 1,000 lines of Multi30k's test set of 2016 this gives Moses' own tokens for 997 in
    German (`apart`) and 998 in French (`left`); sacreBLEU's `intl`, which splits at hyphens too, for 937 and 537. One
    reference per example; alternatives are not read. Lists are joined by spaces first.

    Args:
        apostrophes: where one between two letters goes: `apart` from both (Moses' rule for German and most languages), `left`
            (French, Italian: l' arbre), `right` (English: dog 's).

    Source: Koehn et al. 2007 (Moses; scripts tokenizer.perl, normalize-punctuation.perl, lowercase.perl); Papineni et al. 2002.
        Not taken over: Moses' lists of abbreviations that keep their full stop.
    """

    higher_is_better = True
    unit = ""
    is_share = False
    needs_log_probability = False

    def __init__(self, *, apostrophes: Literal["apart", "left", "right"] = "apart"):
        self.apostrophes = apostrophes
        self._scorer = _sacrebleu.scorer(lowercase=True, tokenize="13a")

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return _sacrebleu.rows(self._scorer, judged, self._prepared)

    def value(self, total: Sequence[float]) -> float:
        return _sacrebleu.corpus_bleu(total)

    def signature(self) -> str:
        return f"{_sacrebleu.signature(self._scorer)}, after Moses' punctuation with apostrophes {self.apostrophes}"

    def _prepared(self, text: str) -> str:
        return _INSIDE.sub(_SPLIT[self.apostrophes], _OUTSIDE.sub(" ' ", text.translate(_PLAIN)))
