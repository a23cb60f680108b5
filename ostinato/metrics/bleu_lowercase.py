"""BLEU of lower-cased text, by sacreBLEU."""

from collections.abc import Sequence

from ostinato.metrics import _sacrebleu
from ostinato.metrics.contract import Judged, Metric


class BLEULowercase(Metric):
    """BLEU of lower-cased text, by sacreBLEU with WMT's tokenizer 13a.

    One reference per example; alternatives are not read. Lists are joined by spaces first.

    Source: Papineni et al. 2002; Post 2018 (arXiv:1804.08771), its option `-lc`.
    """

    higher_is_better = True
    unit = ""
    is_share = False
    needs_log_probability = False

    def __init__(self):
        self._scorer = _sacrebleu.scorer(lowercase=True, tokenize="13a")

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        return _sacrebleu.rows(self._scorer, judged)

    def value(self, total: Sequence[float]) -> float:
        return _sacrebleu.corpus_bleu(total)

    def signature(self) -> str:
        return _sacrebleu.signature(self._scorer)
