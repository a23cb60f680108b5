"""The wraps of sacreBLEU give sacreBLEU's own corpus numbers, whatever way the examples are summed."""

import random

import numpy as np
import pytest
import sacrebleu

from ostinato.errors import DataError
from ostinato.evaluation.intervals import measure
from ostinato.metrics.contract import Predictions
from ostinato.registry import make

WORDS = "the a Dog dog's runs, (sees) 3.50 of cat-like . über „Hund“ l’eau 東京".split()


def corpus(sentences: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """References of invented words, and predictions that drop, replace and swap some of them."""
    generator = random.Random(seed)
    references = [" ".join(generator.choices(WORDS, k=generator.randint(0, 14))) for _ in range(sentences)]
    predictions = []
    for reference in references:
        kept = [word if generator.random() > 0.2 else generator.choice(WORDS) for word in reference.split()]
        predictions.append(" ".join(word for word in kept if generator.random() > 0.1))
    return predictions, references


def value(name: str, predicted: list, expected: list, **options: object) -> float:
    metric = make("metrics", name, options=options)
    return metric.value(np.sum(metric.statistics(Predictions(predicted, expected)), axis=0).tolist())


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenize", ["13a", "intl", "zh", "char", "none"])
def test_bleu_is_sacrebleus_corpus_bleu(lowercase: bool, tokenize: str):
    predicted, expected = corpus(60)
    golden = sacrebleu.corpus_bleu(predicted, [expected], lowercase=lowercase, tokenize=tokenize, force=True).score
    assert 5 < golden < 95
    assert value("bleu", predicted, expected, lowercase=lowercase, tokenize=tokenize) == golden


def test_bleu_lowercase_is_sacrebleus_lowercased_corpus_bleu():
    predicted, expected = corpus(60)
    golden = sacrebleu.corpus_bleu(predicted, [[line.upper() for line in expected]], lowercase=True).score
    assert value("bleu", predicted, [line.upper() for line in expected], lowercase=True) == golden
    assert golden > value("bleu", predicted, [line.upper() for line in expected])


@pytest.mark.parametrize(
    ("tokenize", "raw", "moses"),
    [
        ("moses", "Der Hund – „Rex“ genannt – bellt: „Wau!“", 'der hund - " rex " genannt - bellt : " wau ! "'),
        ("moses", "Hans’ U-Bahn kostet 3,50 €, oder?", "hans ' u-bahn kostet 3,50 € , oder ?"),
        ("moses-left", "L’homme d'à côté n'est-il pas là ?", "l' homme d' à côté n' est-il pas là ?"),
        ("moses-left", "« C’est l’été », dit-elle.", "\" c' est l' été \" , dit-elle ."),
        (
            "moses-right",
            "The dog's bowl isn't full, don’t care (much).",
            "the dog 's bowl isn 't full , don 't care ( much ) .",
        ),
        ("moses-right", "Rock 'n' roll's 1,000 fans", "rock ' n ' roll 's 1,000 fans"),
    ],
)
def test_bleu_with_moses_tokenizer_cuts_as_moses(tokenize: str, raw: str, moses: str):
    """Golden: sacremoses 0.2.0, MosesPunctNormalizer then MosesTokenizer("de" | "fr" | "en"), no escapes,
    lower-cased."""
    metric = make("metrics", "bleu", options={"lowercase": True, "tokenize": tokenize})
    assert metric._scorer.tokenizer(metric._prepared(raw, 0).lower()) == moses
    assert metric.statistics(Predictions([raw.upper()], [raw]))[0][:2] == [len(moses.split())] * 2


def test_where_apostrophes_go_changes_the_number():
    predicted, expected = ["l'eau et l'air de la mer", "d'un ton d'ami"], ["l'eau et l'or de la mer", "d'un ton d'elle"]
    numbers = {value("bleu", predicted, expected, tokenize=one) for one in ("moses", "moses-left", "moses-right")}
    assert len(numbers) >= 2


@pytest.mark.parametrize("word_order", [0, 1, 2])
def test_chrf_is_sacrebleus_corpus_chrf(word_order: int):
    predicted, expected = corpus(60)
    golden = sacrebleu.corpus_chrf(predicted, [expected], word_order=word_order).score
    assert 5 < golden < 95
    assert value("chrf", predicted, expected, word_order=word_order) == golden


def test_a_known_bleu_by_hand():
    """c = r = 6; matches 5/6, 4/5, 3/4, 2/3: the product is 1/3, its fourth root 0.7598."""
    assert value("bleu", ["a b c d e x"], ["a b c d e f"]) == pytest.approx(100 * (1 / 3) ** 0.25)


def test_bleu_without_a_match_of_four_words_is_smoothed_as_sacrebleu_does():
    predicted, expected = ["a b x c d", "the cat"], ["a b c d e", "the dog"]
    golden = sacrebleu.corpus_bleu(predicted, [expected]).score
    assert golden > 0
    assert value("bleu", predicted, expected) == golden


def test_lists_are_joined_by_spaces():
    predicted, expected = corpus(20)
    for name in ("bleu", "chrf"):
        as_lists = value(name, [line.split() for line in predicted], [line.split() for line in expected])
        assert as_lists == value(name, predicted, expected)


def test_empty_predictions_score_zero_and_do_not_fail():
    for name, options in (("bleu", {}), ("bleu", {"lowercase": True, "tokenize": "moses"}), ("chrf", {})):
        measured = measure(
            make("metrics", name, options=options), Predictions(["", ""], ["a b c d e", "f g h i"]), draws=20
        )
        assert (measured.value, measured.low, measured.high) == (0, 0, 0)


def test_what_is_no_text_is_refused_by_number():
    with pytest.raises(DataError, match="example 2.*given 5 .int.*"):
        make("metrics", "bleu").statistics(Predictions(["a", 5], ["a", "b"]))
    with pytest.raises(DataError, match="example 1.*None"):
        make("metrics", "chrf").statistics(Predictions(["a"], [None]))


def test_an_alternative_is_a_reference_too_where_it_is_asked_for():
    (predicted, expected), others = corpus(60), corpus(60, seed=1)[1]
    known = Predictions(predicted, expected, alternatives=[[other] for other in others])
    golden = sacrebleu.corpus_bleu(predicted, [expected, others]).score
    alone, several = (make("metrics", "bleu", options={"alternatives": asked}) for asked in (False, True))
    assert alone.value(np.sum(alone.statistics(known), axis=0).tolist()) == value("bleu", predicted, expected) < golden
    assert several.value(np.sum(several.statistics(known), axis=0).tolist()) == golden


@pytest.mark.parametrize(
    ("overlap", "golden", "best_of_two"),
    [
        ("unigrams", 75.5629653511342, 76.11852090668975),
        ("bigrams", 58.46583695693577, 58.528493598539775),
        ("longest", 73.56521503350001, 74.12077058905558),
    ],
)
def test_rouge_is_the_mean_f1_of_rouge_score(overlap: str, golden: float, best_of_two: float):
    """Golden: rouge-score 0.1.2, `score` and `score_multi` without stemming, means of fmeasure over the corpus."""
    (predicted, expected), others = corpus(60), corpus(60, seed=1)[1]
    known = Predictions(predicted, expected, alternatives=[[other] for other in others])
    for asked, right in ((False, golden), (True, best_of_two)):
        metric = make("metrics", "rouge", options={"overlap": overlap, "alternatives": asked})
        assert metric.value(np.sum(metric.statistics(known), axis=0).tolist()) == pytest.approx(right, abs=1e-9)
