"""BLEU of the whole corpus, by sacreBLEU."""

from collections.abc import Sequence
from typing import Literal

from ostinato.metrics import _sacrebleu
from ostinato.metrics.contract import Judged, Metric


class BLEU(Metric):
    """BLEU of the whole corpus, by sacreBLEU: n-grams of 1 to 4 words found in the reference, and a penalty for brevity.

        BLEU = 100 * min(1, exp(1 - r/c)) * (p_1 p_2 p_3 p_4)^(1/4)     p_n: share of predicted n-grams that the reference has
                                                                       c, r: words of all predictions and of all references

    One reference per example; alternatives are not read. Lists are joined by spaces first.

    Args:
        lowercase: whether both sides are lower-cased first.
        tokenize: sacreBLEU's tokenizer; 13a is WMT's, intl splits at all Unicode punctuation, zh is for Chinese, char is one
            word per character, none splits at spaces alone.

    Source: Papineni et al. 2002; Post 2018 (arXiv:1804.08771). Smoothing `exp` where an order has no match, sacreBLEU's default.
    """

    higher_is_better = True
    unit = ""
    is_share = False
    needs_log_probability = False

    def __init__(self, *, lowercase: bool = False, tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"):
        self._scorer = _sacrebleu.scorer(lowercase, tokenize)

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return _sacrebleu.rows(self._scorer, judged)

    def value(self, total: Sequence[float]) -> float:
        return _sacrebleu.corpus_bleu(total)

    def signature(self) -> str:
        return _sacrebleu.signature(self._scorer)
