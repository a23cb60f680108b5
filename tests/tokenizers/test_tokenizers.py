"""Tokenizers: what comes back is what went in, whatever the script, and facts carry all that was fitted."""

import hashlib
import json
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from ostinato.errors import DataError
from ostinato.registry import make, names, settings_class
from ostinato.tokenizers.pretrained import library, written
from tests.advice import follow
from tests.tokenizers.fitted import FITTED

TEXTS = [
    "A dog runs across the field, and the dog barks.",
    "Zwei Hunde laufen über die Wiese; ein Hund bellt.",
    "एक कुत्ता मैदान में दौड़ता है। कुत्ता भौंकता है।",
    "كلب يركض في الحقل، والكلب يَنْبَحُ.",
    "犬が野原を走っています。犬が吠えます。",
    "👩‍👩‍👧 and 👋🏽 and 🇩🇪 and ❤️",
] * 3
NASTY = [
    "",
    " ",
    "  two  spaces  ",
    "हिन्दी क्षत्रिय र्‍क",
    "مَرْحَبًا بِالعالَم ‏(RTL)‏",
    "שָׁלוֹם עולם",
    "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏿 1️⃣",
    "a\0b",
    "one\r\ntwo\rthree\n\n",
    "\ufeffafter a mark",
    "<s> </s> <unk> <pad> [MASK] <|endoftext|>",
    "▁Ġ\u2581\u0120 ￭",
    "e\u0301 é",
    "\ufffd",
    "\U0010ffff\uffff",
    "don't — l’homme… 3,14 1.000,50 $5 50%",
    "\x1f\x1e\x1c\x85\u2028\u2029\u3000",
]
EXACT = ("byte", "bpe", "unigram")


def fitted(name, texts=TEXTS, **options):
    tokenizer = make("tokenizers", name, (), options)
    tokenizer.fit(iter(texts))
    return tokenizer


@pytest.fixture(scope="module")
def exact_ones():
    return {
        "byte": fitted("byte"),
        "bpe": fitted("bpe", size=400),
        "unigram": fitted("unigram", size=400),
        "char": fitted("char", [*TEXTS, *NASTY]),
    }


@pytest.mark.parametrize("name", EXACT)
@given(text=st.text())
@settings(max_examples=200)
def test_every_text_comes_back_exactly(exact_ones, name, text):
    tokenizer = exact_ones[name]
    ids = tokenizer.encode(text)
    assert tokenizer.exact and tokenizer.decode(ids) == text
    assert all(0 <= one < tokenizer.size for one in ids)


@given(data=st.data())
@settings(max_examples=200)
def test_characters_come_back_exactly_over_their_own_alphabet(exact_ones, data):
    tokenizer = exact_ones["char"]
    text = data.draw(st.text(alphabet="".join(tokenizer.facts()["pieces"])))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("name", [*EXACT, "char"])
def test_nasty_texts_come_back_exactly(exact_ones, name, text):
    tokenizer = exact_ones[name]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("name", FITTED)
def test_facts_through_json_carry_everything_to_a_fresh_object(name):
    before = fitted(name)
    facts = json.loads(json.dumps(before.facts()))
    after = make("tokenizers", name)
    after.restore(facts)
    assert after.facts() == before.facts() and after.size == before.size and after.pieces() == before.pieces()
    for text in [*TEXTS, *NASTY, "entirely unseen words: Quixotic Ωμέγα"]:
        ids = before.encode(text)
        assert after.encode(text) == ids
        assert after.decode(ids) == before.decode(ids)


@pytest.mark.parametrize("name", FITTED)
def test_size_counts_the_pieces_and_each_piece_is_readable(name):
    tokenizer = fitted(name)
    pieces = tokenizer.pieces()
    assert tokenizer.size == len(pieces) > 0
    assert all(piece and not any(one in piece for one in " \n\r\t\0") for piece in pieces)
    assert {one for text in TEXTS for one in tokenizer.encode(text)} <= set(range(tokenizer.size))


@pytest.mark.parametrize("name", FITTED)
def test_an_unknown_piece_is_written_as_the_replacement_character(name):
    tokenizer = fitted(name)
    known = tokenizer.encode("dog")
    assert "\ufffd" in tokenizer.decode([*known, None]) and tokenizer.decode([*known, None]).startswith("dog")


@pytest.mark.parametrize("name", FITTED)
def test_a_single_one_letter_text_is_enough(name):
    tokenizer = fitted(name, ["a"])
    assert tokenizer.decode(tokenizer.encode("a")) == "a"


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_sub_word_sizes_say_the_truth_when_the_data_are_too_small_or_the_wish_is(name):
    assert 256 <= fitted(name, ["ab ab cd"], size=8000).size < 300
    assert 256 <= fitted(name, TEXTS * 20, size=10).size <= 257
    numbers = [f"{number * 7919 % 100_003} and {number * 104_729 % 99_991}" for number in range(500)]
    assert [fitted(name, numbers, size=size).size for size in (258, 300, 400)] == [258, 300, 400]


def test_merged_pairs_have_been_seen_twice():
    assert fitted("bpe", ["qx zj"]).size == 256
    assert fitted("bpe", ["qx qx"]).size > 256


@pytest.mark.parametrize("name", EXACT)
def test_a_typed_special_symbol_is_text(exact_ones, name):
    ids = exact_ones[name].encode("<s>")
    assert exact_ones[name].decode(ids) == "<s>"
    assert exact_ones[name].encode("</s>") and "<s>" not in exact_ones[name].pieces()


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_a_long_line_is_encoded_whole(exact_ones, name):
    for text in ("x" * 50_000, " " * 50_000, "कु" * 20_000):
        assert exact_ones[name].decode(exact_ones[name].encode(text)) == text


def test_half_a_character_decodes_to_the_replacement_character_and_reads_as_its_bytes(exact_ones):
    half = list("é".encode())[:1]
    assert exact_ones["byte"].decode(half) == "\ufffd"
    assert exact_ones["byte"].pieces()[half[0]] == "\\xc3"
    assert exact_ones["byte"].pieces()[ord(" ")] == "▁"


def test_equal_texts_give_equal_bpe_facts_in_every_process():
    program = (
        "import hashlib, json, sys; from ostinato.registry import make; texts = json.load(sys.stdin);"
        "one = make('tokenizers', 'bpe', (), {'size': 500}); one.fit(texts);"
        "print(hashlib.sha256(json.dumps(one.facts()).encode()).hexdigest())"
    )
    run = [
        subprocess.run(
            [sys.executable, "-c", program], input=json.dumps(TEXTS), capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    here = hashlib.sha256(json.dumps(fitted("bpe", size=500).facts()).encode()).hexdigest()
    assert {one.strip() for one in run} == {here}


def test_a_bpe_is_the_most_frequent_merge_first():
    # The example of Sennrich et al. 2016, algorithm 1: es, est (and lo, low) are the first merges.
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    assert fitted("bpe", texts, size=260).pieces()[256:] == ["es", "est", "lo", "low"]


def test_unigram_takes_the_likeliest_segmentation():
    tokenizer = fitted("unigram", ["abc abd abe " * 20], size=270)
    scores = {piece: score for piece, score in json.loads(tokenizer.facts()["tokenizer"])["model"]["vocab"]}

    def best(rest):
        if not rest:
            return 0.0
        return max(
            (scores[rest[:n]] + best(rest[n:]) for n in range(1, len(rest) + 1) if rest[:n] in scores),
            default=float("-inf"),
        )

    for word in ("abc", "abdabc", "cab", "eabd"):
        found = sum(scores[tokenizer.pieces()[one].replace("▁", "Ġ")] for one in tokenizer.encode(word))
        assert found == pytest.approx(best(word), abs=1e-9)
    assert len(scores) == tokenizer.size


@pytest.mark.parametrize("name", ["word", "char", "bpe", "unigram"])
def test_a_failing_column_keeps_its_own_error(name):
    def column():
        yield "some text"
        raise DataError("line 2 is broken")

    with pytest.raises(DataError, match="line 2 is broken"):
        make("tokenizers", name).fit(column())


WORDS = [
    ("Hello, world!", ["Hello", ",", "world", "!"]),
    ("(He said: 'no')", ["(", "He", "said", ":", "'", "no", "'", ")"]),
    ("don't re-enter l’homme", ["don't", "re-enter", "l’homme"]),
    ("at 12:30, 3.14 or 1,000.5.", ["at", "12:30", ",", "3.14", "or", "1,000.5", "."]),
    ("दौड़ता है।", ["दौड़ता", "है", "।"]),
    ("يَنْبَحُ، الكلب؟", ["يَنْبَحُ", "،", "الكلب", "؟"]),
    ("ภาษาไทยที่นี่", ["ภาษาไทยที่นี่"]),
    ("hi👩‍👩‍👧!👍🏽🇩🇪🇫🇷", ["hi", "👩‍👩‍👧", "!", "👍🏽", "🇩🇪", "🇫🇷"]),
    ("e\u0301te\u0301.", ["e\u0301te\u0301", "."]),
    ("\ufeffx a\0b", ["\ufeff", "x", "a", "\0", "b"]),
]


@pytest.mark.parametrize("text, pieces", WORDS)
def test_words_end_where_a_reader_sees_them_end(text, pieces):
    tokenizer = fitted("word", [text])
    found = [tokenizer.facts()["pieces"][one].strip("\x1f") for one in tokenizer.encode(text)]
    assert found == pieces
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("split", [True, False])
@given(
    pieces=st.lists(st.text(min_size=1).filter(lambda one: not any(c.isspace() for c in one)), min_size=1, max_size=8)
)
@settings(max_examples=200)
def test_known_words_come_back_with_single_spaces(split, pieces):
    text = " ".join(pieces)
    tokenizer = fitted("word", [text], split_punctuation=split)
    assert tokenizer.decode(tokenizer.encode(f"  {text}\n")) == text


def test_tokenised_and_natural_text_each_come_back_as_they_were():
    texts = ["wait , ( no ) .", "wait, (no)."]
    tokenizer = fitted("word", texts)
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts
    words = {tokenizer.encode(text)[0] for text in texts}
    assert len(words) == 1, "a word is one piece, whatever stands beside it"


def test_without_splitting_only_white_space_ends_a_word():
    tokenizer = fitted("word", ["wait, (no)."], split_punctuation=False)
    assert sorted(tokenizer.pieces()) == ["(no).", "wait,"]


@pytest.mark.parametrize("name", ["word", "char"])
def test_vocabulary_limits_keep_the_most_frequent(name):
    space = " " if name == "word" else ""
    text = space.join("aaabbbccd")
    known = lambda **options: fitted(name, [text], **options).pieces()  # noqa: E731
    assert known() == ["a", "b", "c", "d"]
    assert known(size=2) == ["a", "b"]
    assert known(min_count=2) == ["a", "b", "c"]
    assert fitted(name, [text], size=1).encode(text) == [0 if one == "a" else None for one in "aaabbbccd"]


@pytest.mark.parametrize("name", ["word", "char"])
def test_no_piece_at_all_is_a_data_error_that_says_what_to_do(name):
    with pytest.raises(DataError, match="holds no .* at all.*right column"):
        fitted(name, ["", ""])
    with pytest.raises(DataError, match=r"min_count = 5 .*'b'.*; lower min_count"):
        fitted(name, ["a b b"], min_count=5) if name == "word" else fitted(name, ["abb"], min_count=5)


def test_vocabulary_order_does_not_depend_on_the_order_of_the_texts():
    forwards, backwards = fitted("word", TEXTS), fitted("word", TEXTS[::-1])
    assert forwards.facts() == backwards.facts()
    counts = Counter(one for text in TEXTS for one in forwards.encode(text))
    assert [counts[one] for one in range(forwards.size)] == sorted(counts.values(), reverse=True)


def test_every_option_is_in_the_settings():
    fields = {name: set(settings_class("tokenizers", name).model_fields) - {"type"} for name in names("tokenizers")}
    assert fields == {
        "bpe": {"size"},
        "byte": set(),
        "char": {"size", "min_count"},
        "pretrained": {"model"},
        "sentencepiece": {"model"},
        "unigram": {"size"},
        "word": {"size", "min_count", "split_punctuation"},
    }


def test_the_advice_on_a_folder_without_its_tokenizer(tmp_path):
    """What the message names is what the library writes: a tokenizer.json; a damaged one is copied again."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))

    def read():
        assert library(written(tmp_path)).get_vocab_size() == 2

    follow(
        read,
        "holds no tokenizer; give a folder with a tokenizer.json, which `AutoTokenizer.from_pretrained(...)"
        ".save_pretrained(FOLDER)` writes",
        lambda: tokenizer.save(str(tmp_path / "tokenizer.json")),
        read,
    )
    (tmp_path / "tokenizer.json").write_text("{")
    follow(read, "; copy the model's folder again", lambda: tokenizer.save(str(tmp_path / "tokenizer.json")), read)
