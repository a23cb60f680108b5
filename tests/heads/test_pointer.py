"""The pointer-generator: against its equations by hand, and a model that says what only the source has."""

import random

import pytest
import torch

import ostinato
from ostinato.errors import ConfigError
from ostinato.heads._pointer import Pointer, Source
from ostinato.model.ensemble import Ensemble, score
from ostinato.registry import make
from ostinato.steps import Layout, Steps
from tests.heads import making as laws


def by_hand(pointer, features, vectors, symbols):
    """One sequence and its source, step by step: log c, log g and the penalty."""
    covered, penalty, rows = torch.zeros(len(symbols)), 0.0, []
    for feature in features:
        scores = vectors @ (pointer.query.weight @ feature)
        if pointer.covering is not None:
            scores = scores - pointer.covering.abs() * covered
        share = scores.softmax(0)
        penalty += float(torch.minimum(share, covered).sum().detach()) if pointer.covering is not None else 0.0
        covered = covered + share
        rows.append(share.log())
    return rows, torch.nn.functional.logsigmoid(features @ pointer.gate.weight[0] + pointer.gate.bias), penalty


@pytest.mark.parametrize("coverage", [False, True])
def test_each_step_is_its_equation(coverage):
    torch.manual_seed(0)
    pointer, layout, read = Pointer(4, 3, coverage=coverage), Layout([3, 0, 2]), Layout([2, 1, 4])
    features = Steps(torch.randn(5, 4), layout)
    vectors, symbols = Steps(torch.randn(7, 3), read), Steps(torch.arange(7) + 1, read)
    copied = pointer(features, Source(vectors.padded(), symbols.padded() - 1))
    total = 0.0
    for row, (own, theirs) in enumerate(zip(features.split(), vectors.split())):
        logs, gates, penalty = by_hand(pointer, own, theirs, theirs)
        total += penalty
        here = layout.rows == row
        for log, expected in zip(copied.logs[here], logs):
            torch.testing.assert_close(log[: len(expected)], expected)
            assert bool((log[len(expected) :] == -torch.inf).all())
        torch.testing.assert_close(copied.generated[here], gates)
    assert float(copied.penalty.detach()) == pytest.approx(total, abs=1e-5)
    nothing = pointer(features, Source(torch.zeros(3, 2, 3), torch.full((3, 2), -1)))
    assert not nothing.generated.any() and bool((nothing.copied == -torch.inf).all())


NAMES = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("ak", "el", "im", "ot", "ur")]


def messages(count, seed, names):
    drawn = random.Random(seed)
    chosen = [(drawn.choice(names), drawn.choice(names)) for _ in range(count)]
    return [{"message": f"{one} met {two}", "reply": f"so {two} knows {one}"} for one, two in chosen]


def model(**head):
    return ostinato.Model(
        {"message": {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 16, "embedding_size": 16}}},
        {
            "reply": {
                "type": "text",
                "tokenizer": {"same_as": "message"},
                "head": {"embedding_size": 16, "decoder": {"hidden_size": 32}, **head},
            }
        },
        training={"epochs": 6, "batch_rows": 20, "optimizer": {"type": "adam", "learning_rate": 0.01}},
    )


@pytest.mark.slow
def test_names_are_copied_in_another_order():
    trained = model(copy=True, coverage=True).fit(messages(300, 0, NAMES), messages(20, 1, NAMES), device="cpu")
    asked = messages(40, 2, NAMES)
    answers = trained.predict([{"message": row["message"]} for row in asked])
    assert sum(answer == row["reply"] for answer, row in zip(answers, asked)) >= 36


BAD = {
    "coverage alone": ({"coverage": True}, "coverage: belongs to copy: true"),
    "smoothing": ({"copy": True, "label_smoothing": 0.1}, "label_smoothing: would share out"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(name):
    head, message = BAD[name]
    with pytest.raises(ConfigError, match=f"outputs.reply.head: {message}"):
        model(**head).fit(messages(20, 0, NAMES), device="cpu")


def test_another_vocabulary_is_refused_with_the_setting_that_shares_it():
    own = ostinato.Model({"message": "text"}, {"reply": {"type": "text", "head": {"copy": True}}})
    with pytest.raises(ConfigError, match="copying needs one vocabulary.*tokenizer: {same_as: message}"):
        own.fit(messages(40, 0, NAMES), device="cpu")


BEYOND = laws.SPEC.size
"""The first number that the vocabulary lacks."""
DECODERS = {
    "recurrent": {},
    "before": {"attention": {"type": "additive"}, "context": "before"},
    "transformer": {"layers": 1, "heads": 1},
}


def extended(kind, dtype=torch.float64, **options):
    """A head that copies, and what it reads: the symbols of the sources are 3, 7, 8, 7; none; 7, 2, 7; 4; 5, 7."""
    torch.manual_seed(0)
    encoded = laws.read("one", dtype=dtype)
    symbols = torch.tensor([3, 7, 8, 7, 7, 2, 7, 4, 5, 7])
    encoded[0] = encoded[0]._replace(source=encoded[0].source._replace(values=encoded[0].steps.with_values(symbols)))
    decoder = "transformer" if kind == "transformer" else "recurrent"
    settings = laws.nested("autoregressive", {"embedding_size": 6, "hidden_size": 6, "copy": True} | options, decoder)
    settings["decoder"] |= DECODERS[kind]
    head = make("heads", "autoregressive", (laws.SPEC, laws.sizes_of(encoded)), settings).to(dtype).eval()
    return head, encoded


TARGETS = Steps.of([torch.tensor(row) for row in ([7, 3, 8], [2], [7, 2], [4, 4], [7, 5, 7])])


@torch.no_grad()
@pytest.mark.parametrize("kind", DECODERS)
def test_a_word_that_the_vocabulary_lacks_has_the_probability_of_its_places(kind):
    """p(w) = g p_vocabulary(w) + (1 - g) sum of c over the places of w, of symbols 7 and 8 the last term alone."""
    head, encoded = extended(kind)
    read = TARGETS.with_values(TARGETS.values.masked_fill(TARGETS.values >= BEYOND, laws.SPEC.unknown))
    features = head.decoder.run(encoded, read.prepended(laws.SPEC.begin))
    layout, truth = TARGETS.appended(laws.SPEC.end).layout, TARGETS.appended(laws.SPEC.end).values
    sources = Source.of(encoded)
    expected, right = [], []
    for step, (feature, row) in enumerate(zip(features, layout.rows.tolist())):
        there = sources.symbols[row] >= 0
        vectors, symbols = sources.vectors[row][there], sources.symbols[row][there].tolist()
        gate = torch.sigmoid(feature @ head.pointer.gate.weight[0] + head.pointer.gate.bias[0]) if symbols else 1.0
        shares = torch.zeros(BEYOND + 2, dtype=torch.float64)
        shares[:BEYOND] = gate * (head.output.weight @ feature + head.output.bias).softmax(0)
        places = (vectors @ (head.pointer.query.weight @ feature)).softmax(0)
        for symbol, share in zip(symbols, places):
            shares[symbol] += (1 - gate) * share
        assert float(shares.sum()) == pytest.approx(1, abs=1e-12)
        expected.append(float(shares[truth[step]].log()))
        right.append(float(shares.argmax() == truth[step]))
    scored = head.score(encoded, TARGETS)
    assert scored.by_step.values[:, 0].tolist() == pytest.approx(expected, abs=1e-9)
    assert scored.by_step.values[:, 1].tolist() == right
    assert float(head.loss(encoded, TARGETS).total) == pytest.approx(-sum(expected), abs=1e-8)


@torch.no_grad()
@pytest.mark.parametrize("kind", DECODERS)
def test_searches_carry_numbers_beyond_the_vocabulary(kind):
    """Step by step what `score` gives to each target; no row's numbers depend on those beside it."""
    head, encoded = extended(kind, coverage=True)
    scored, state = head.score(encoded, TARGETS), head.start(encoded)
    for row, target in enumerate(TARGETS.split()):
        alone = laws.rows_of(encoded, [row])
        lone, total = head.start(alone), 0.0
        own = state.reorder(torch.tensor([row]))
        for symbol, following in zip([laws.SPEC.begin, *target], [*target, laws.SPEC.end]):
            distribution, own = head.step(torch.tensor([int(symbol)]), own)
            single, lone = head.step(torch.tensor([int(symbol)]), lone)
            shares, others = distribution.by_symbol(BEYOND), single.by_symbol(BEYOND)
            torch.testing.assert_close(shares[:, : others.shape[1]], others, atol=1e-10, rtol=1e-10)
            assert bool((shares[:, others.shape[1] :] == -torch.inf).all())
            total += float(shares[0, int(following)])
        assert float(scored.log_probability[row]) == pytest.approx(total, abs=1e-8)
    whole, _ = head.extend(TARGETS.prepended(laws.SPEC.begin), head.start(encoded))
    logs = whole.log_prob(TARGETS.appended(laws.SPEC.end).values)
    torch.testing.assert_close(logs, scored.by_step.values[:, 0], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("kind", DECODERS)
def test_gradients_of_words_beyond_the_vocabulary_are_finite_differences(kind):
    head, encoded = extended(kind, coverage=True)
    weights = [head.pointer.query.weight, head.pointer.gate.weight, head.output.weight, head.decoder.embedding.weight]

    def loss():
        own = head.loss(encoded, TARGETS)
        return own.total + own.penalties["coverage"][0]

    gradients = torch.autograd.grad(loss(), weights)
    for weight, gradient in zip(weights, gradients):
        for place in torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(1))[:6].tolist():
            values = []
            for change in (1e-6, -1e-6):
                with torch.no_grad():
                    weight.view(-1)[place] += change
                    values.append(float(loss()))
                    weight.view(-1)[place] -= change
            slope = (values[0] - values[1]) / 2e-6
            assert float(gradient.view(-1)[place]) == pytest.approx(slope, abs=1e-6, rel=1e-5)


@torch.no_grad()
def test_an_ensemble_means_the_probabilities_of_whole_words():
    """One member generates symbol 3 and the other copies it: that is one symbol for both."""
    heads = [extended("recurrent")[0] for _ in range(2)]
    encoded = extended("recurrent")[1]
    heads[0].pointer.gate.bias.fill_(3.0)
    heads[1].pointer.gate.bias.fill_(-3.0)
    own = [head.step(torch.full((5,), 7), head.start(encoded))[0].by_symbol(BEYOND) for head in heads]
    both = Ensemble(heads)
    together, state = both.step(torch.full((5,), 7), both.start([encoded] * 2))
    expected = torch.log_softmax(torch.stack(own).mean(0), 1)
    torch.testing.assert_close(together.by_symbol(BEYOND), expected, atol=1e-9, rtol=1e-9)
    scored = score(both, both.start([encoded] * 2), TARGETS.prepended(0), TARGETS.appended(1).values)
    total, state = 0.0, both.start([encoded] * 2).reorder(torch.tensor([0]))
    for symbol, following in zip([0, 7, 3, 8], [7, 3, 8, 1]):
        distribution, state = both.step(torch.tensor([symbol]), state)
        total += float(distribution.by_symbol(BEYOND)[0, following])
    assert float(scored.log_probability[0]) == pytest.approx(total, abs=1e-8)
