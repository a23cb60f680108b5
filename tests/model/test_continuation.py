"""What goes on from an input: each symbol from those before it alone, step by step as at once, with other inputs
beside."""

import gc
import itertools
import tracemalloc
import weakref

import numpy as np
import pytest
import torch

import ostinato
from ostinato.errors import ConfigError
from ostinato.heads.autoregressive import Autoregressive
from ostinato.modalities.contract import Symbols
from ostinato.model import continuation
from ostinato.model.batch import Batch
from ostinato.model.continuation import Continuation, Pieces, Resuming, pieces_of
from ostinato.model.graph import Graph
from ostinato.model.reading import Reading
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import read as recipe_read
from ostinato.registry import make
from ostinato.steps import Layout, Steps
from ostinato.testing import searches as laws
from tests.searches import brute_force

LENGTHS = (4, 0, 7, 1)
STYLE = {"style": {"type": "tokens", "encoder": {"hidden_size": 3, "embedding_size": 3}}}


def graph(head=None, encoder=None, inputs=None, **more):
    """An untrained model over the letters a to e, and its modalities."""
    plain = {
        "inputs": {
            "text": {
                "type": "text",
                "tokenizer": "char",
                "encoder": {"hidden_size": 6, "embedding_size": 5, **(encoder or {})},
            }
        }
        | (inputs or {}),
        "outputs": {"on": {"of": "text", "align": "next", "head": head or {}}},
        **more,
    }
    settings = recipe_read.check(plain, "test")
    modalities = recipe_columns.build(settings)
    for one in modalities.values():
        one.fit(["abcde", "edcba"])
    torch.manual_seed(3)
    return Graph(settings.inputs, settings.outputs, modalities).eval()


def drawn(seed=0, lengths=LENGTHS):
    random = torch.Generator().manual_seed(seed)
    return Steps(torch.randint(3, 8, (sum(lengths),), generator=random), Layout(list(lengths)))


def scored_of(model, inputs, targets, rows=None):
    return Reading(model, inputs).score("on", targets, rows)


def by_hand(model, symbols):
    """log p(symbols, end) from the encoder and head, one prefix at a time."""
    head, total = model.heads["on"], 0.0
    heard = torch.cat([torch.tensor([head.begin]), symbols])
    for place in range(len(heard)):
        prefix = Steps.of([heard[: place + 1]])
        read = model.encoder("text").encode(prefix).steps.values[-1:]
        said = head.predict_next(read).log_probabilities[0]
        total += float(said[symbols[place] if place < len(symbols) else head.end])
    return total


ADAPTIVE = {"softmax": "adaptive", "cutoffs": [3, 6]}


@pytest.mark.parametrize("head", [{}, {"tied": True}, ADAPTIVE])
@torch.no_grad()
def test_a_score_is_the_sum_over_prefixes(head):
    model, text = graph(head), drawn()
    scored = scored_of(model, {"text": text}, text)
    expected = [by_hand(model, one) for one in text.split()]
    torch.testing.assert_close(scored.log_probability, torch.tensor(expected), rtol=1e-5, atol=1e-5)
    assert scored.num_targets.tolist() == [one + 1 for one in LENGTHS]
    loss = model.losses(Batch({"text": text}, {"on": text}))["on"]
    assert loss.count == sum(LENGTHS) + len(LENGTHS)
    torch.testing.assert_close(loss.total, -scored.log_probability.sum(), rtol=1e-5, atol=1e-5)


READERS = [{}, {"cell": "gru", "layers": 2}, {"type": "convolutional"}, {"type": "windowed", "window": 3}]
READERS += [{"type": "mlstm", "hidden_size": 8}]


@pytest.mark.parametrize("encoder", READERS, ids=lambda one: one.get("type", one.get("cell", "recurrent")))
@pytest.mark.parametrize("part", [1, 3, 4])
@torch.no_grad()
def test_a_score_in_parts_is_that_of_whole_sequences(encoder, part, monkeypatch):
    model, text = graph(encoder=encoder, inputs=STYLE), drawn()
    style = Steps(torch.arange(8) % 2 + 3, Layout([2] * 4))
    given = torch.tensor([3, 2, 0])
    batches = [
        Batch({"text": text, "style": style}, {"on": text}),
        Batch({"text": text, "style": style}, {"on": text.select(given)}, {"on": given}),
    ]
    for batch in batches:
        monkeypatch.setattr(continuation, "PART", 100)
        whole = scored_of(model, batch.inputs, batch.targets["on"], batch.given.get("on"))
        monkeypatch.setattr(continuation, "PART", part)
        found = scored_of(model, batch.inputs, batch.targets["on"], batch.given.get("on"))
        torch.testing.assert_close(found.log_probability, whole.log_probability, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.by_step.values, whole.by_step.values, rtol=1e-5, atol=1e-5)
        assert torch.equal(found.num_right, whole.num_right) and torch.equal(found.num_targets, whole.num_targets)
        assert found.by_step.layout == whole.by_step.layout


TRANSFORMERS = [
    {},
    {"block": "vaswani2017"},
    {"summary": "mean"},
    {"summary": "max", "heads": 2, "kv_heads": 1},
    {"positions": "alibi"},
    {"positions": "learned"},
    {"window": 3},
]


@pytest.mark.parametrize("options", TRANSFORMERS, ids=str)
@pytest.mark.parametrize("lengths", [(5, 5, 5), (4, 2, 7)], ids=str)
@torch.no_grad()
def test_single_steps_of_a_transformer_go_on_as_whole_pieces_do(options, lengths, monkeypatch):
    encoder = {"type": "transformer", "hidden_size": 32, "layers": 2, "bidirectional": False, **options}
    model = graph(encoder={"embedding_size": None, **encoder}, inputs=STYLE)
    reader, head = model.encoder("text"), model.heads["on"]
    for part in reader.parameters():
        part.normal_(std=0.2)
    other = model.encoder("style").encode(Steps(torch.arange(6) % 2 + 3, Layout([2] * 3)))
    generator = Continuation(reader, head)
    start = generator.start([reader.encode(drawn(lengths=lengths)), other])
    steps, stepwise = drawn(1, (6, 6, 6)), start
    result, whole = generator.extend(steps, start)
    encoded = []
    encode = reader.encode
    monkeypatch.setattr(reader, "encode", lambda *given: encoded.append(1) or encode(*given))
    for place in range(6):
        said, stepwise = generator.step(steps.values.view(3, 6)[:, place], stepwise)
        expected = result.log_probabilities.view(3, 6, -1)[:, place]
        torch.testing.assert_close(said.log_probabilities, expected, rtol=1e-4, atol=1e-5)
    assert bool(encoded) == ("window" in options and len(set(lengths)) > 1)
    for name, value in whole.values.items():
        torch.testing.assert_close(stepwise.values[name], value, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_scoring_a_long_row_never_reads_more_than_a_part_at_once(monkeypatch):
    monkeypatch.setattr(continuation, "PART", 50)
    model, text, read = graph(), drawn(lengths=(1000, 3)), []
    encode = model.encoder("text").encode
    monkeypatch.setattr(
        model.encoder("text"),
        "encode",
        lambda steps, state=None: (read.append(steps.layout.longest), encode(steps, state))[1],
    )
    scored_of(model, {"text": text}, text)
    assert max(read) == 50 and sum(read) == 1001


def test_tied_weights_are_the_embeddings():
    model = graph({"tied": True})
    assert 0.8 < model.heads["on"].output.weight.norm(dim=1).mean() < 1.2  # longer ones begin far too sure
    assert model.heads["on"].output.weight is model.encoder("text").embedding.learnt.weight
    assert model.heads["on"].readout is not None, "the encoder is wider than the embedding"
    assert graph({"tied": True}, {"embedding_size": 6}).heads["on"].readout is None


@pytest.mark.parametrize("head", [{}, ADAPTIVE])
@torch.no_grad()
def test_what_is_said_step_by_step_is_what_is_scored(head):
    model, text = graph(head), drawn()
    generator = model.generator("on")
    encoded, first = Reading(model, {"text": drawn(lengths=(0, 0, 0, 0))}).prompted("on")
    assert first.tolist() == [generator.begin] * 4
    totals = torch.zeros(4)
    for row, symbols in enumerate(text.split()):
        state, said = generator.start(encoded).reorder(torch.tensor([row])), torch.tensor([generator.begin])
        for symbol in [*symbols.tolist(), generator.end]:
            logits, state = generator.step(said, state)
            totals[row] += logits.log_probabilities[0, symbol]
            said = torch.tensor([symbol])
    scored = scored_of(model, {"text": text}, text)
    torch.testing.assert_close(totals, scored.log_probability, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", [{}, ADAPTIVE])
@torch.no_grad()
def test_a_prompt_at_once_is_the_prompt_step_by_step(head):
    model, text = graph(head), drawn()
    generator = model.generator("on")
    encoded, first = Reading(model, {"text": text}).prompted("on")
    logits, _ = generator.step(first, generator.start(encoded))
    for row, symbols in enumerate(text.split()):
        begun = torch.cat([torch.tensor([generator.begin]), symbols])
        read = model.encoder("text").encode(Steps.of([begun])).steps.values[-1:]
        torch.testing.assert_close(
            logits.scores[row : row + 1], model.heads["on"].predict_next(read).scores, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("head", [{}, ADAPTIVE])
@torch.no_grad()
def test_the_future_changes_nothing(head):
    model, text = graph(head), drawn()
    head = model.heads["on"]
    before = head._features(model.read("on", {"text": text}))
    changed = text.values.clone()
    changed[-1] = 3 if changed[-1] != 3 else 4  # the only symbol of the last sequence
    changed[3] = 3 if changed[3] != 3 else 4  # the last one of the first
    after = head._features(model.read("on", {"text": text.with_values(changed)}))
    same = (before == after).all(1)
    layout = text.layout.grow(1)
    assert (~same).nonzero().squeeze(1).tolist() == [4, layout.total - 1]


def test_other_inputs_stand_beside_each_step_and_learn():
    model, text = graph(inputs=STYLE), drawn()
    style = Steps(torch.full((12,), 3), Layout([3] * 4))
    model.losses(Batch({"text": text, "style": style}, {"on": text}))["on"].total.backward()
    assert all(one.grad is not None and one.grad.any() for name, one in model.named_parameters() if "bias" not in name)


@torch.no_grad()
def test_another_output_sees_no_begin_symbol():
    plain = {
        "inputs": {"text": {"type": "tokens", "encoder": {"hidden_size": 4, "embedding_size": 4}}},
        "outputs": {
            "on": {"of": "text", "align": "next"},
            "tail": {"type": "tokens", "head": {"decoder": {"hidden_size": 4}, "embedding_size": 4}},
        },
    }
    settings = recipe_read.check(plain, "test")
    modalities = recipe_columns.build(settings)
    for one in modalities.values():
        one.fit([["a", "b", "c"]])
    model = Graph(settings.inputs, settings.outputs, modalities)
    text = Steps(torch.tensor([3, 4, 5]), Layout([2, 1]))
    (read,) = model.read("tail", {"text": text})
    assert read.steps.layout.lengths.tolist() == [2, 1]
    assert isinstance(model.heads["tail"], Autoregressive)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (
            {"inputs": {"x": {"type": "tokens", "encoder": {"bidirectional": True}}}, "outputs": {"y": {"of": "x"}}},
            "inputs.x.encoder.bidirectional",
        ),
        (
            {"inputs": {"x": "tokens"}, "outputs": {"y": {"of": "z", "align": "next", "type": "tokens"}}},
            "there is no input 'z'",
        ),
        (
            {"inputs": {"x": "tokens", "z": "tokens"}, "outputs": {"y": {"align": "next", "type": "tokens"}}},
            "name in `of`",
        ),
        ({"inputs": {"x": "tokens"}, "outputs": {"y": {"of": "x", "type": "text", "align": "next"}}}, "'x' is tokens"),
        ({"inputs": {"x": "tokens", "z": "tokens"}, "outputs": {"y": {"of": "x", "reads": ["z"]}}}, "must name 'x'"),
        ({"inputs": {"x": "tokens"}, "outputs": {"y": {"of": "x", "align": "free"}}}, "`of` belongs to align 'next'"),
    ],
)
def test_what_cannot_be_is_told(recipe, said):
    with pytest.raises(ConfigError) as why:
        recipe_read.check(recipe, "test")
    assert said in str(why.value)


def test_the_recipe_says_one_way_and_one_vocabulary():
    settings = recipe_read.check({"inputs": {"x": "text"}, "outputs": {"y": {"of": "x"}}}, "test")
    assert settings.inputs["x"].encoder.bidirectional is False
    assert (settings.outputs["y"].align, settings.outputs["y"].column, settings.outputs["y"].head.type) == (
        "next",
        "x",
        "next_step",
    )
    assert settings.outputs["y"].tokenizer.same_as == "x"


def test_a_causal_encoder_is_demanded():
    with pytest.raises(ConfigError, match="needs a learnt|no learnt embedding"):
        graph({"tied": True}, {"embedding": "one_hot", "embedding_size": None})


def test_a_language_model_learns_to_count(tmp_path):
    """Trained on a b c d e a b c ..., it goes on from any prompt."""
    rows = [{"x": " ".join("abcde"[(start + k) % 5] for k in range(12))} for start in range(5)] * 8
    model = ostinato.Model(
        inputs={"x": {"type": "tokens", "encoder": {"hidden_size": 24, "embedding_size": 8, "dropout": 0.0}}},
        outputs={"y": {"of": "x", "align": "next", "head": {"dropout": 0.0}}},
        search="greedy",
        training={
            "epochs": 12,
            "batch_rows": 8,
            "optimizer": {"type": "adamw", "learning_rate": 0.02},
            "schedule": "constant",
        },
    )
    model.fit(rows, folder=tmp_path / "run")
    assert model.predict([{"x": "c d e"}])[0][:6] == list("abcdea")
    found = model.evaluate(rows[:5]).to_json()["outputs"]["y"]
    assert found["perplexity"]["value"] < 1.5


def test_the_head_can_be_made_by_name():
    from ostinato.heads.contract import Sizes
    from ostinato.modalities.contract import Symbols

    with pytest.raises(ConfigError, match="gives no steps"):
        make("heads", "next_step", (Symbols(5, 0, 1, 2), [Sizes(None, 4)]))


def fitted(tokenizer, texts=("the cat sees Zoë again", "a catalogue\n")):
    one = make("modalities", "text", (), {"tokenizer": tokenizer})
    one.fit(texts)
    return one


def test_what_is_said_again_begins_with_the_space_before_the_last_word_and_is_short():
    modality = fitted({"type": "bpe", "size": 300})
    pieces = Pieces(modality)
    for prompt, rest in (("the c", " c"), ("the cat", " cat"), ("the ", " "), ("the", "the"), ("", ""), ("a\n", "\n")):
        head, found = pieces.cut(modality.encode(prompt))
        assert (modality.decode(head), found) == (prompt[: len(prompt) - len(rest)], rest)
    head, found = pieces.cut(modality.encode("x" * 30))
    assert len(found) == 8 and modality.decode(head) + found == "x" * 30
    for prompt in ("a 猫", "see Zoë"):
        head, found = pieces.cut(modality.encode(prompt))
        assert found == "" and modality.decode(head) == prompt, (
            "no piece says the last character, whose bytes are pieces"
        )


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word"])
def test_of_pieces_within_words_nothing_is_said_again(tokenizer):
    modality = fitted(tokenizer)
    for prompt in ("the c", "the ", "the cat"):
        head, rest = Pieces(modality).cut(modality.encode(prompt))
        assert rest == "" and head.tolist() == modality.encode(prompt).tolist()


class Spelling:
    """As much of a modality as `Pieces` asks."""

    def __init__(self, texts):
        self.texts, self.spec = texts, Symbols(len(texts), 0, 1, 2)

    def decode(self, numbers):
        return "".join(self.texts[one] for one in numbers)


def test_a_symbol_that_leaves_what_none_can_say_is_not_allowed():
    pieces = Pieces(Spelling(["", "", "", " ", " c", " ca", "c", "a", "cat", " cab"]))
    allowed = lambda rest: [pieces.texts[number] for number in pieces.allowed(rest)]  # noqa: E731
    assert allowed(" c") == [" ", " c", " ca", " cab"] and allowed("a") == ["a"]
    assert allowed(" cat") == [" "], "nothing says the t after ' c' or ' ca'"
    assert allowed("x") == []


def test_which_symbols_begin_a_text_is_what_trying_all_of_them_says():
    random = np.random.default_rng(0)
    draw = lambda longest: "".join(random.choice(list("ab "), random.integers(1, longest)))  # noqa: E731
    for _ in range(30):
        texts = ["", "", *(draw(5) for _ in range(8))]
        pieces = Pieces(Spelling(texts))

        def begins(text, rest):
            return text.startswith(rest) or (
                text != "" and rest.startswith(text) and any(begins(one, rest[len(text) :]) for one in texts)
            )

        for rest in (draw(9) for _ in range(20)):
            assert pieces.allowed(rest) == [number for number, text in enumerate(texts) if begins(text, rest)]


def test_a_vocabulary_is_kept_no_longer_than_its_model():
    modality = fitted({"type": "bpe", "size": 300})
    kept = weakref.ref(pieces_of(modality))
    assert pieces_of(modality) is kept()
    prompts = (modality.encode(f"the cat {place}") for place in range(500))
    gc.collect()
    tracemalloc.start()
    for prompt in prompts:
        kept().cut(prompt)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000, "what was asked before is not kept"
    del modality
    gc.collect()
    assert kept() is None


@torch.no_grad()
def test_of_what_is_said_again_only_what_spells_it_is_left_and_its_share_is_kept():
    plain, pieces = laws.TableGenerator(7, 3), Pieces(Spelling(["", "", "a", "ab", "b", "c", " a"]))
    over = Resuming(plain, pieces, ["abc", "", " a"])
    examples = laws.encode([[1, 2], [5], [7, 3]])
    state, own, said = over.start(examples), plain.start(examples), torch.zeros(3, dtype=torch.int64)
    steps = [
        ([{2, 3}, None, {6}], [2, 5, 6]),
        ([{4}, None, None], [4, 2, 5]),
        ([{5}, None, None], [5, 4, 2]),
        ([None] * 3, [2, 2, 2]),
    ]
    for allowed, following in steps:
        logits, state = over.step(said, state)
        plainly, own = plain.step(said, own)
        for row, fits in enumerate(allowed):
            share = plainly.scores[row].softmax(0)[sorted(fits)].sum().log() if fits else torch.tensor(0.0)
            torch.testing.assert_close(over.kept(state)[row], share)
            left = torch.tensor([fits is None or symbol in fits for symbol in range(7)])
            expected = plainly.scores[row].masked_fill(~left, -torch.inf).log_softmax(0)
            torch.testing.assert_close(logits.log_probabilities[row], expected)
        said = torch.tensor(following)


def toy_resuming(seed, bias=0.0):
    """A small language whose first example says "aba" again, the second nothing, the third "b"."""
    pieces = Pieces(Spelling(["", "", "a", "ab", "b", "ba"]))
    return Resuming(laws.TableGenerator(6, seed, end_bias=bias), pieces, ["aba", "", "b"])


EXAMPLES = [[4, 9], [3], [11, 2, 5]]


def answered(over, example, symbols):
    """The symbols that say more than what is said again."""
    whole = 0
    for place, symbol in enumerate(symbols):
        whole += len(over.pieces.texts[symbol])
        if whole > len(over.rests[example]):
            return symbols[place:]
    return []


@torch.no_grad()
def all_resumed(over, example, longest, shortest, divisor, repeats):
    """Every answer by its score, of which what is said again has its probability and no length."""
    found = []

    def grow(said, total, logits, state):
        text = "".join(over.pieces.texts[one] for one in said)
        rest, own = over.rests[example], answered(over, example, said)
        logs = logits.scores[0].double().log_softmax(0)
        if text.startswith(rest) and len(own) >= shortest and not brute_force.repeats(own, repeats):
            found.append(((total + float(logs[1])) / divisor(len(own) + 1), list(said)))
        for symbol in range(2, 6):
            more = [*said, symbol]
            fits = text + over.pieces.texts[symbol]
            if len(answered(over, example, more)) <= longest and (fits.startswith(rest) or rest.startswith(fits)):
                grow(more, total + float(logs[symbol]), *over.step(torch.tensor([symbol]), state))

    state = over.start(laws.encode(EXAMPLES)).reorder(torch.tensor([example]))
    grow([], 0.0, *over.step(torch.tensor([0]), state))
    return sorted(found, key=lambda one: -one[0])


LIMITS = [
    {"max_length": 1},
    {"max_length": 2, "min_length": 2},
    {"max_length": 3, "no_repeat_ngrams": 1},
    {"max_length": 2, "alpha": 0.4},
]
LIMITS += [{"max_length": 2, "min_length": 1, "normalization": "gnmt"}, {"max_length": 2, "normalization": "none"}]


@pytest.mark.parametrize("options", LIMITS, ids=str)
def test_what_is_said_again_has_no_length(options):
    alpha = options.get("alpha", 1.0)
    divisors = {"none": lambda _: 1.0, "average": lambda length: length**alpha, "gnmt": lambda length: (5 + length) / 6}
    divisor, longest = divisors[options.get("normalization", "average")], options["max_length"]
    for seed in range(3):
        over = toy_resuming(seed)
        found = laws.found(
            make("searches", "beam", (), {"width": 500, "n_best": 5, **options}), over, EXAMPLES, [9, 9, 9]
        )
        for example, answers in enumerate(found):
            every = all_resumed(
                over, example, longest, options.get("min_length", 0), divisor, options.get("no_repeat_ngrams", 0)
            )
            assert [one.symbols for one in answers] == [symbols for _, symbols in every[:5]]
            assert [one.score for one in answers] == pytest.approx([score for score, _ in every[:5]], rel=1e-5)


@pytest.mark.parametrize("name", ["greedy", "sample", "beam"])
def test_no_limit_ends_an_answer_while_a_prompt_is_said_again(name):
    for seed, bias in itertools.product(range(4), (-3.0, 3.0)):
        over = toy_resuming(seed, bias)
        for length in (1, 2, 3):
            found = laws.found(
                make("searches", name, (), {"max_length": length, "min_length": length}), over, EXAMPLES, [9, 9, 9]
            )
            for example, (one, *_) in enumerate(found):
                assert len(answered(over, example, one.symbols)) == length and one.log_probability > -100
        zero = laws.found(make("searches", name), over, EXAMPLES, [0, 0, 0])
        for example, (one, *_) in enumerate(zero):
            text = "".join(over.pieces.texts[symbol] for symbol in one.symbols)
            assert text.startswith(over.rests[example]) and one.log_probability > -100
