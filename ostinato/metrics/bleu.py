"""BLEU of the whole corpus, by sacreBLEU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from ostinato.metrics._raw import text
from ostinato.metrics.contract import Metric, Predictions

ORDERS = 4
_PLAIN = str.maketrans(
    dict.fromkeys("’‘‚´`", "'") | dict.fromkeys("„“”«»", '"') | {"–": "-", "—": " - ", "…": "..."},
)
_INSIDE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_OUTSIDE = re.compile(r"(?<![^\W\d_])'|'(?![^\W\d_])")
_MOSES = {"moses": " ' ", "moses-left": "' ", "moses-right": " '"}
"""What replaces an apostrophe between two letters."""


class BLEU(Metric):
    """BLEU of the whole corpus, by sacreBLEU: shared n-grams of 1 to 4 words, and a penalty for brevity.

        BLEU = 100 * min(1, exp(1 - r/c)) * (p_1 p_2 p_3 p_4)^(1/4)

        p_n   share of predicted n-grams that the reference has
        c, r  words of all predictions and of all references

    One reference per example, and with `alternatives` several: an n-gram counts as often as the reference that has it
    oftenest, and r is the length nearest to that of the prediction. Lists are joined by spaces first.

    `moses` cuts as Moses' tokenizer does, for comparison with older results: typographic quotes, dashes and dots become
    plain ones, apostrophes are split off, and 13a splits the rest. Of the 1,000 lines of Multi30k's test set of 2016,
    lower-cased, this gives Moses' own tokens for 997 in German (`moses`) and 998 in French (`moses-left`); `intl`,
    which splits at hyphens too, for 937 and 537. Moses' lists of abbreviations that keep their full stop are not taken
    over.

    Args:
        lowercase: whether both sides are lower-cased first.
        tokenize: sacreBLEU's tokenizer; 13a is WMT's, intl splits at all Unicode punctuation, zh is for Chinese, char
            makes each character a word, none splits at spaces alone. Or Moses', by what an apostrophe between two
            letters does: moses splits on both sides of it (German and most languages), moses-left keeps it with the
            left word (French, Italian: l' arbre), moses-right with the right one (English: dog 's).
        alternatives: whether further right answers are references too.

    Source: Papineni et al. 2002; Post 2018 (arXiv:1804.08771). Smoothing `exp` where an order has no match, sacreBLEU's
        default. Koehn et al. 2007 (Moses; scripts tokenizer.perl, normalize-punctuation.perl).
    """

    higher_is_better = True
    greatest = 100.0

    def __init__(
        self,
        *,
        lowercase: bool = False,
        tokenize: Literal["13a", "intl", "zh", "char", "none", "moses", "moses-left", "moses-right"] = "13a",
        alternatives: bool = False,
    ):
        self._alternatives = alternatives
        self._apostrophe = _MOSES.get(tokenize)
        from sacrebleu.metrics import (
            BLEU as SacreBLEU,
        )  # here, since it is heavy and every recipe's schema reads this file

        # force: text that looks tokenised is the user's choice, and sacreBLEU would warn about each sentence.
        self._scorer = SacreBLEU(
            lowercase=lowercase,
            tokenize="13a" if tokenize in _MOSES else tokenize,
            force=True,
            max_ngram_order=ORDERS,
        )

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        """Length, reference length, matches of 1 to 4 words, n-grams of 1 to 4 words."""
        others = predictions.alternatives if self._alternatives else None
        rows = []
        for example, (predicted, expected) in enumerate(zip(predictions.predicted, predictions.expected, strict=True)):
            references = (expected, *(others[example] if others else ()))
            score = self._scorer.corpus_score(
                [self._prepared(predicted, example)], [[self._prepared(right, example)] for right in references]
            )
            rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
        return rows

    def value(self, total: Sequence[float]) -> float:
        """From 0 to 100; 0 where nothing matches, as sacreBLEU has it."""
        matches, possible = list(total[2 : 2 + ORDERS]), list(total[2 + ORDERS :])
        lengths = int(total[0]), int(total[1])
        # Its geometric mean of hundreds is 100.00000000000004.
        return min(100.0, self._scorer.compute_bleu(matches, possible, *lengths, smooth_method="exp").score)

    def _prepared(self, raw: Any, example: int) -> str:
        words = text(raw, example)
        if self._apostrophe is None:
            return words
        return _INSIDE.sub(self._apostrophe, _OUTSIDE.sub(" ' ", words.translate(_PLAIN)))
