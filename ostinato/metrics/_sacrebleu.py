"""BLEU's sums from sacreBLEU, one row per example, through its public interface."""

from collections.abc import Callable, Sequence

from sacrebleu.metrics import BLEU

from ostinato.metrics._raw import text
from ostinato.metrics.contract import Judged

ORDERS = 4


def scorer(lowercase: bool, tokenize: str) -> BLEU:
    # force: text that looks tokenised is the user's choice here, and sacreBLEU's warning would speak of one sentence at a time.
    return BLEU(lowercase=lowercase, tokenize=tokenize, force=True, max_ngram_order=ORDERS)


def rows(bleu: BLEU, judged: Judged, prepare: Callable[[str], str] = str) -> list[Sequence[float]]:
    """Per example: length, reference length, matches of 1 to 4 words, n-grams of 1 to 4 words; their sums define corpus BLEU."""
    made = []
    for example, (predicted, expected) in enumerate(zip(judged.predicted, judged.expected, strict=True)):
        score = bleu.corpus_score([prepare(text(predicted, example))], [[prepare(text(expected, example))]])
        made.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
    return made


def corpus_bleu(total: Sequence[float]) -> float:
    """BLEU from 0 to 100; 0 where nothing matches, as sacreBLEU has it."""
    correct, possible = list(total[2 : 2 + ORDERS]), list(total[2 + ORDERS :])
    return BLEU.compute_bleu(correct, possible, int(total[0]), int(total[1]), smooth_method="exp").score


def signature(bleu: BLEU) -> str:
    # sacreBLEU knows the number of references only after a first score.
    bleu.corpus_score(["a"], [["a"]])
    return f"sacreBLEU {bleu.get_signature()}"
