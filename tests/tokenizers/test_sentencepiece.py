"""The tokenizer sentencepiece: the pieces that the library itself finds, from the file of its model."""

import struct

import pytest

from ostinato.errors import ConfigError, DataError
from ostinato.registry import make
from tests.advice import follow

TEXTS = ["a dog runs over the meadow .", "  two   blanks ", "", "unknown letters: 日本 ok", "ab\tcd", "Ende."]


def field(number, value):
    """A field of a message of protocol buffers: a whole number, a real one, or bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    return bytes([number << 3 | 2, len(value)]) + value


def model(kind, pieces, *, keeps_blanks=False):
    """The file of a model: `kind` 1 unigram, 2 BPE; pieces with their scores and kinds."""
    written = b"".join(
        field(1, field(1, piece.encode()) + field(2, score) + field(3, sort)) for piece, score, sort in pieces
    )
    return written + field(2, field(3, kind)) + field(3, field(4, int(not keeps_blanks)))


SPECIAL = [("<unk>", 0.0, 2), ("<s>", 0.0, 3)]
LETTERS = [(letter, -9.0, 1) for letter in "▁abc"]


def fitted(tmp_path, data):
    (tmp_path / "m.model").write_bytes(data)
    tokenizer = make("tokenizers", "sentencepiece", options={"model": str(tmp_path / "m.model")})
    tokenizer.fit([])
    return tokenizer


def spelt(tokenizer, text):
    return [None if number is None else tokenizer.pieces()[number] for number in tokenizer.encode(text)]


def test_unigram_takes_the_likeliest_pieces(tmp_path):
    made = fitted(tmp_path, model(1, [*SPECIAL, *LETTERS, ("▁ab", -2.0, 1), ("bc", -1.0, 1), ("▁a", -2.5, 1)]))
    assert made.size == 7 and spelt(made, "abc ab") == ["▁a", "bc", "▁ab"]
    assert spelt(made, " ab  xyc ") == ["▁ab", "▁", None, "c"]
    assert made.decode(made.encode("  abc   ab")) == "abc ab"


def test_bpe_merges_the_best_pairs_first(tmp_path):
    made = fitted(tmp_path, model(2, [*SPECIAL, *LETTERS, ("bc", -0.0, 1), ("▁a", -1.0, 1), ("▁ab", -2.0, 1)]))
    assert spelt(made, "abc ab") == ["▁a", "bc", "▁ab"] and made.decode(made.encode("abc ab")) == "abc ab"


def test_what_is_restored_is_what_was_fitted(tmp_path):
    made = fitted(tmp_path, model(1, [*SPECIAL, *LETTERS, ("▁ab", -2.0, 1)]))
    again = make("tokenizers", "sentencepiece")
    again.restore(made.facts())
    assert again.facts() == made.facts() and all(again.encode(text) == made.encode(text) for text in TEXTS)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_its_pieces_are_the_librarys(kind, tmp_path):
    library = pytest.importorskip("sentencepiece")
    (tmp_path / "text").write_text("\n".join(TEXTS * 9 + [f"{word}ing {word}ed" for word in "walk talk bark".split()]))
    library.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(tmp_path / "m"),
        vocab_size=60,
        model_type=kind,
        hard_vocab_limit=False,
        character_coverage=0.98,
        minloglevel=2,
    )
    theirs = library.SentencePieceProcessor()
    theirs.load(str(tmp_path / "m.model"))
    made = fitted(tmp_path, (tmp_path / "m.model").read_bytes())
    for text in [*TEXTS, "walking ½ ﬁne", "no\u00a0break", "<s> </s>"]:
        expected = [None if theirs.is_unknown(one) else theirs.id_to_piece(one) for one in theirs.encode(text)]
        assert spelt(made, text) == expected, text


def test_the_advice_on_a_models_file(tmp_path):
    good = model(1, [*SPECIAL, *LETTERS])

    def read():
        fitted(tmp_path, good)

    follow(
        lambda: make("tokenizers", "sentencepiece").fit([]),
        "name the file of the model, such as {type: sentencepiece, model: m.model}",
        read,
        error=ConfigError,
    )
    missing = make("tokenizers", "sentencepiece", options={"model": "none.model"})
    follow(lambda: missing.fit([]), "give the file of a model of sentencepiece", read, error=DataError)
    for damaged in (b"text", good[:-3], b"", bytes(9)):
        follow(
            lambda damaged=damaged: fitted(tmp_path, damaged),
            "no model of sentencepiece, or damaged; copy it again",
            read,
            error=DataError,
        )
    with pytest.raises(ConfigError, match="supported: model_type unigram and bpe, without byte_fallback"):
        fitted(tmp_path, model(1, [*SPECIAL, *LETTERS, ("<0x0A>", 0.0, 6)]))
    with pytest.raises(ConfigError, match="supported: model_type unigram and bpe"):
        fitted(tmp_path, model(3, [*SPECIAL, *LETTERS]))
