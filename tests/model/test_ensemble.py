"""Several heads that generate as one, several that answer at once, and which runs may do so together."""

import itertools
import math
import random
import textwrap

import pytest
import torch
from torch import distributions

from ostinato import api, registry
from ostinato.errors import ConfigError
from ostinato.heads.contract import Predictor
from ostinato.modalities.contract import Labels, Legal, Values
from ostinato.model import ensemble
from ostinato.model.columns import input_settings, output_settings
from ostinato.model.ensemble import Ensemble, Member, refuse_unlike, score
from ostinato.recipe.read import load
from ostinato.steps import Steps
from ostinato.testing import _heads, _modules, predictors
from ostinato.testing._tools import Member as Made
from tests.heads import making as laws

ATTENTIONS = [{"attention": name} for name in (*registry.names("attentions"), "none")]
SETS = [*ATTENTIONS, {"input_feeding": True}, {"attention": "location", "context": "before", "layers": 2}]


def member(options=None, seed=0, inputs="one"):
    encoded = laws.read(inputs)
    torch.manual_seed(seed)
    head = laws.maker("autoregressive", options)(laws.SPEC, laws.sizes_of(encoded)).eval()
    with torch.no_grad():
        head.output.weight.mul_(8)  # so that members disagree
    return head, encoded


@torch.no_grad()
def test_it_says_the_normalised_mean_of_the_log_probabilities():
    heads, (encoded, *_) = zip(*(member({"cell": cell}, seed) for seed, cell in enumerate(("gru", "lstm", "rnn"))))
    both = Ensemble(heads)
    state, own = both.start([encoded] * 3), [head.start(encoded) for head in heads]
    for symbol in (0, 3, 5):
        said = torch.full((5,), symbol)
        logits, state = both.step(said, state)
        steps = [head.step(said, one) for head, one in zip(heads, own)]
        own = [one for _, one in steps]
        product = torch.stack([one.probabilities for one, _ in steps]).log().mean(0).exp()
        laws.near(logits.probabilities, product / product.sum(1, keepdim=True), "probabilities")
        laws.near(state.attention[0], torch.stack([one.attention[0] for one in own]).mean(0), "attention")


@torch.no_grad()
@pytest.mark.parametrize("options", SETS, ids=str)
def test_extending_is_stepping_and_states_are_reordered(options):
    (one, encoded), (other, _) = member(options, 0), member(options, 1)
    both, prompt = Ensemble([one, other]), laws.targets()
    start = both.start([encoded, encoded])
    logits, after = both.extend(prompt, start)
    for row, (symbols, found) in enumerate(zip(prompt.split(), logits.scores.split(list(laws.TARGETS)))):
        state = start.reorder(torch.tensor([row]))
        for place, symbol in enumerate(symbols):
            said, state = both.step(symbol[None], state)
            laws.near(found[place], said.scores[0], f"row {row}, step {place}")
        for name, value in state.values.items():
            laws.near(after.values[name][[row]], value, name)


@torch.no_grad()
def test_a_member_that_counts_twice_is_computed_once():
    (one, encoded), (other, _) = member(seed=0), member(seed=1)
    weighted, listed = Ensemble([one, other], [2, 1]), Ensemble([one, one, other])
    found, state = weighted.step(torch.full((5,), 3), weighted.start([encoded] * 2))
    expected, _ = listed.step(torch.full((5,), 3), listed.start([encoded] * 3))
    laws.near(found.probabilities, expected.probabilities, "probabilities")
    assert len(state.memory) == 2


@torch.no_grad()
@pytest.mark.parametrize("options", SETS, ids=str)
@pytest.mark.parametrize("search", ["beam", "greedy"])
def test_equal_members_answer_as_one_alone(options, search):
    head, encoded = member(options)
    find = registry.make("searches", search)
    most, seeds = torch.full((5,), 6), torch.arange(5)
    alone = find.search(head, head.start(encoded), most, seeds, attention=True)
    both = Ensemble([head, head])
    together = find.search(both, both.start([encoded, encoded]), most, seeds, attention=True)
    for one, other in zip(alone, together, strict=True):
        assert [each.symbols for each in one] == [each.symbols for each in other]
        for each, same in zip(one, other):
            assert abs(each.score - same.score) < 1e-4 * max(1, abs(each.score))
            assert (each.attention is None) == (same.attention is None)
            if each.attention is not None:
                laws.near(same.attention, each.attention, "attention")


@torch.no_grad()
def test_a_beam_over_unequal_members_does_not_depend_on_company():
    pairs = [member({"attention": "additive"}, 0), member({"attention": "general", "cell": "gru"}, 1)]
    both, encoded = Ensemble([head for head, _ in pairs]), pairs[0][1]
    find = registry.make("searches", "beam", (), {"n_best": 3})
    read = lambda rows: [laws.rows_of(encoded, rows)] * 2  # noqa: E731
    together = find.search(both, both.start(read(range(5))), torch.full((5,), 6), torch.arange(5), attention=False)
    for row in range(5):
        (alone,) = find.search(both, both.start(read([row])), torch.tensor([6]), torch.tensor([row]), attention=False)
        assert [one.symbols for one in alone] == [one.symbols for one in together[row]]


@torch.no_grad()
def test_more_than_nine_members_keep_their_states_apart():
    heads = [member({"cell": "gru"}, seed)[0] for seed in range(11)]
    encoded = laws.read("one")
    many = Ensemble(heads)
    state = many.start([encoded] * 11)
    said = torch.full((5,), 3)
    for _ in range(2):
        logits, state = many.step(said, state)
    second = []
    for head in heads:
        _, own = head.step(said, head.start(encoded))
        second.append(head.step(said, own)[0].probabilities)
    product = torch.stack(second).log().mean(0).exp()
    laws.near(logits.probabilities, product / product.sum(1, keepdim=True), "probabilities")


@torch.no_grad()
def test_members_that_look_at_different_things_give_no_weights():
    (one, encoded), (other, _) = member({"attention": "additive"}), member({"attention": "none"}, 1)
    both = Ensemble([one, other])
    logits, state = both.extend(
        Steps(torch.zeros(5, dtype=torch.int64), laws.targets((1,) * 5).layout), both.start([encoded] * 2)
    )
    assert state.attention == () and bool(logits.scores.isfinite().all())


@torch.no_grad()
@pytest.mark.parametrize("part", [1, 2, 100])
@pytest.mark.parametrize("members", [1, 3])
def test_scores_are_those_of_what_is_said_step_by_step(members, part, monkeypatch):
    monkeypatch.setattr(ensemble, "LEAST_PART", part)
    monkeypatch.setattr(ensemble, "PIECE", 1)
    heads = [member({"cell": "gru"}, seed)[0] for seed in range(members)]
    encoded, prompt = laws.read("one"), laws.targets()
    many = Ensemble(heads)
    begun = lambda: many.start([encoded] * members)  # noqa: E731
    found = score(many, begun(), prompt.prepended(many.begin), prompt.appended(many.end).values)
    for row, symbols in enumerate(prompt.split()):
        state, total, right = begun().reorder(torch.tensor([row])), 0.0, 0
        said = torch.tensor([many.begin])
        for symbol in [*symbols, torch.tensor(many.end)]:
            logits, state = many.step(said, state)
            total, right = total + float(logits.log_probabilities[0, symbol]), right + int(logits.mode() == symbol)
            said = symbol[None]
        assert float(found.log_probability[row]) == pytest.approx(total, rel=1e-5)
        assert (int(found.num_targets[row]), int(found.num_right[row])) == (len(symbols) + 1, right)
    if members == 1:
        laws.near(found.log_probability, heads[0].score(encoded, prompt).log_probability, "the head's own scores")


class Together(Predictor):
    """Heads as one head, so that the laws of a head can be asked of their mean."""

    def __init__(self, members):
        super().__init__()
        self.members, self.aligns, self.dropout = torch.nn.ModuleList(members), members[0].aligns, 0.0

    def predict_distribution(self, encoded, targets=None, training=False):
        own, *others = (member.predict_distribution(encoded, targets, training) for member in self.members)
        return own.mean_of(others)


def together(name, options=None, count=3):
    def make(spec, sizes):
        members = [Made.of("heads", name, options)(spec, sizes) for _ in range(count)]
        with torch.no_grad():
            for parameter in (parameter for one in members for parameter in one.parameters()):
                parameter.add_(torch.randn_like(parameter))  # so that members disagree
        return Together(members)

    return make


LEGAL = Legal((True, True, False), (True, True, True), ((True, True, True), (True, False, True), (False, True, True)))
CASES = [
    *(("classifier", spec) for spec in (Labels(3), Labels(3, multilabel=True), Labels(3, ordinal=True))),
    *(("tagger", spec) for spec in (Labels(3), Labels(2, multilabel=True))),
    *(("crf", spec) for spec in (Labels(3), Labels(3, legal=LEGAL))),
]
DISTRIBUTION_LAWS = (
    _heads.loss_is_minus_score, _modules.company_changes_nothing, predictors.what_is_missing_counts_nothing,
    predictors.the_answer_is_the_best, predictors.probabilities_are_shares_of_all_answers,
    predictors.beside_itself_it_is_the_same,
)  # fmt: skip


@pytest.mark.parametrize(("name", "spec"), CASES, ids=str)
@pytest.mark.parametrize("law", DISTRIBUTION_LAWS, ids=lambda law: law.__name__)
def test_the_mean_of_heads_keeps_the_laws_of_a_head(law, name, spec):
    law(predictors.Predicting(together(name), spec))


@torch.no_grad()
@pytest.mark.parametrize(("name", "spec"), [case for case in CASES if case[0] != "crf"], ids=str)
def test_labels_have_the_mean_of_their_probabilities(name, spec):
    encoded = laws.read("one")
    torch.manual_seed(0)
    many = together(name)(spec, laws.sizes_of(encoded)).eval()
    expected = torch.stack([one.predict(encoded).probabilities for one in many.members]).mean(0)
    said = many.predict(encoded)
    laws.near(said.probabilities, expected, "probabilities")
    answers = (expected > 0.5).float() if spec.multilabel else expected.argmax(1)
    assert torch.equal(said.steps.values, answers)
    odds = torch.where(answers > 0, expected, 1 - expected).prod(1) if spec.multilabel else expected.amax(1)
    each = [float(part.log().sum()) for part in odds.split(said.steps.layout.lengths.tolist())]
    assert said.log_probability.tolist() == pytest.approx(each, rel=1e-5)
    assert many.score(encoded, said.steps).log_probability.tolist() == pytest.approx(each, rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("legal", [None, LEGAL], ids=["any", "legal"])
def test_chains_have_the_normalised_geometric_mean_of_their_probabilities(legal):
    spec, encoded = Labels(3, legal=legal), laws.read("one", dtype=torch.float64)
    torch.manual_seed(0)
    case = predictors.Predicting(together("crf"), spec)
    many = case.build(encoded).double().eval()
    said = many.predict(encoded)
    for row, mine in enumerate(said.steps.split()):
        every = [one for one in itertools.product(range(3), repeat=len(mine)) if _heads.is_legal(spec, one)]
        tried = torch.tensor(every, dtype=torch.int64).view(len(every), len(mine))
        logs = torch.stack([case.scores(one, encoded, row, tried) for one in many.members]).mean(0)
        best = logs.log_softmax(0).max(0)
        assert mine.tolist() == list(every[int(best.indices)])
        assert float(said.log_probability[row]) == pytest.approx(float(best.values), abs=1e-9)


@torch.no_grad()
def test_numbers_are_averaged_and_so_are_their_densities():
    encoded = laws.read("one")
    torch.manual_seed(0)
    sizes = laws.sizes_of(encoded)
    heads = [
        Made.of("heads", "regressor", {"loss": loss})(Values(2), sizes).eval()
        for loss in ("squared", "absolute", "squared")
    ]
    many = Together(heads)
    own = [one.predict(encoded).steps.values for one in heads]
    said = many.predict(encoded)
    laws.near(said.steps.values, torch.stack(own).mean(0), "numbers")
    truth = _heads.targets(many, Values(2))
    kinds = (distributions.Normal, distributions.Laplace, distributions.Normal)
    density = torch.stack([kind(one, 1.0).log_prob(truth.values).exp() for kind, one in zip(kinds, own)]).mean(0)
    laws.near(many.score(encoded, truth).log_probability, density.log().sum(1), "densities")
    laws.near(many.score(encoded, said.steps).log_probability, said.log_probability, "the score of the answer")
    predictors.beside_itself_it_is_the_same(predictors.Predicting(together("regressor"), Values(2)))


def column(place, plain):
    return (input_settings if place.startswith("inputs.") else output_settings)(plain["type"]).model_validate(plain)


def known(name, columns, values):
    """A member of these columns, fitted on these values."""
    settings = {place: column(place, plain) for place, plain in columns.items()}
    modalities = {place: registry.build(_of_modality(one), "modalities") for place, one in settings.items()}
    for place, modality in modalities.items():
        modality.fit(values[place])
    return Member(name, modalities, settings)


def _of_modality(settings):
    cls = registry.settings_class("modalities", settings.type)
    return cls(**{name: getattr(settings, name) for name in cls.model_fields if name != "type"})


COLUMNS = {
    "inputs.x": {"type": "number"},
    "outputs.y": {"type": "category", "align": "summary", "head": {"type": "classifier"}},
}
VALUES = {"inputs.x": [1.0, 2.0, 3.0], "outputs.y": ["a", "b", "b"]}
FIRST = ("first", COLUMNS, VALUES)


def test_members_may_have_counted_other_rows_and_have_other_heads_settings():
    other = {**COLUMNS, "outputs.y": {**COLUMNS["outputs.y"], "head": {"type": "classifier", "layer_size": 3}}}
    refuse_unlike([known(*FIRST), known("second", other, {**VALUES, "outputs.y": ["b", "a", "a", "a"]})])


@pytest.mark.parametrize(
    ("columns", "values", "said"),
    [
        ({}, {"outputs.y": ["a", "b", "c"]}, r"outputs\.y differs from first's: labels: \[\"c\"\] only here"),
        ({"outputs.z": {"type": "number"}}, {"outputs.z": [1.0]}, r"outputs\.z differs from first's: first has none"),
        ({"outputs.y": {"type": "category", "align": "summary", "multilabel": True, "head": {"type": "classifier"}}},
         {}, "multilabel true, and there false"),
    ],
)  # fmt: skip
def test_the_advice_on_members_that_answer_otherwise(columns, values, said):
    advice = "train the runs on the same data, data.valid named, with the same outputs"
    with pytest.raises(ConfigError, match=f"^second: an ensemble needs the same symbols.*{said}.*{advice}"):
        refuse_unlike([known(*FIRST), known("second", {**COLUMNS, **columns}, {**VALUES, **values})])
    refuse_unlike([known(*FIRST), known("second", COLUMNS, VALUES)])


def test_the_advice_on_members_that_read_otherwise():
    texts = {**COLUMNS, "inputs.x": {"type": "category"}}
    advice = "an ensemble reads one type of values there: train the runs with the same types"
    with pytest.raises(ConfigError, match=f"second: inputs.x has type category, and number in first; {advice}"):
        refuse_unlike([known(*FIRST), known("second", texts, {**VALUES, "inputs.x": ["a", "b"]})])
    refuse_unlike([known(*FIRST), known("second", COLUMNS, VALUES)])


def test_members_read_values_of_one_type_each_in_its_own_way():
    scaled = {**COLUMNS, "inputs.x": {"type": "number", "scale": "minmax"}, "inputs.z": {"type": "number"}}
    refuse_unlike([known(*FIRST), known("second", scaled, {**VALUES, "inputs.x": [1.0, 9.0], "inputs.z": [1.0]})])
    other = {**COLUMNS, "inputs.x": {"type": "category"}}
    with pytest.raises(ConfigError, match=r"^second: inputs\.x has type category, and number in first"):
        refuse_unlike([known(*FIRST), known("second", other, {**VALUES, "inputs.x": ["a", "b"]})])


def test_heads_of_two_kinds_are_refused():
    tags = lambda head: {"outputs.t": {"type": "tags", "align": "each", "head": {"type": head}}}  # noqa: E731
    values = {"outputs.t": [["a", "b"]]}
    with pytest.raises(ConfigError, match=r"outputs\.t differs from first's: head crf, and there tagger"):
        refuse_unlike([known("first", tags("tagger"), values), known("second", tags("crf"), values)])


WORDS = ["low", "mid", "high"]


def sentences(number, seed):
    draw = random.Random(seed)
    made = []
    for _ in range(number):
        words = draw.choices(WORDS, k=draw.randint(1, 5))
        total = sum(map(WORDS.index, words))
        tags = [draw.choice("AB") if word == "mid" else word[0].upper() for word in words]
        row = {
            "text": " ".join(words),
            "mood": "up" if total + draw.random() > 4 else "down",
            "size": total + draw.random(),
            "tags": " ".join(tags),
        }
        made.append({**row, "seen": "|".join(sorted(set(words))), "said": " ".join(words[::-1])})
    return made


def write(path, rows):
    path.write_text(
        "\n".join("\t".join(map(str, one)) for one in (list(rows[0]), *(row.values() for row in rows))) + "\n"
    )
    return path


RECIPE = """
data: {train: train.tsv, valid: valid.tsv}
inputs: {text: {type: text, tokenizer: word, encoder: {hidden_size: 8, embedding_size: 8}}}
outputs:
  mood: category
  seen: {type: category, multilabel: true}
  size: number
  tags: {type: tags, head: crf}
  said: {type: text, tokenizer: word, head: {decoder: {hidden_size: 16}, embedding_size: 8}}
training: {epochs: 3, batch_rows: 16, optimizer: {type: adamw, learning_rate: 0.02}, schedule: constant}
search: greedy
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the same data and another seed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    here = tmp_path_factory.mktemp("ensemble")
    (here / "recipe.yaml").write_text(RECIPE)
    write(here / "train.tsv", sentences(96, 0))
    write(here / "valid.tsv", sentences(24, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.chdir(here)
        for seed in (1, 2):
            api.train(load(here / "recipe.yaml", [f"training.seed={seed}"]), here / f"run{seed}", device="cpu")
        yield here / "run1", here / "run2"
    torch.set_num_threads(threads)


def flat(found):
    return [
        value
        for name in sorted(found)
        for value in (flat(found[name]) if isinstance(found[name], dict) else [found[name]])
    ]


def test_a_run_beside_itself_measures_as_alone(runs):
    alone, twice = (
        api.evaluate(runs[0], device="cpu").to_json(),
        api.evaluate([runs[0], runs[0]], device="cpu").to_json(),
    )
    assert {"log_loss", "accuracy"} <= alone["outputs"]["mood"].keys() and "perplexity" in alone["outputs"]["said"]
    numbers = lambda found: [one for one in flat(found["outputs"]) if not isinstance(one, str)]  # noqa: E731
    assert numbers(twice) == pytest.approx(numbers(alone), rel=1e-6, abs=1e-6)


def test_two_runs_measure_as_the_mean_of_their_probabilities_and_numbers(runs):
    rows = sentences(24, 1)
    told = [
        [one.to_json()["outputs"] for one in api.predict(run, [row["text"] for row in rows])] for run in (*runs, runs)
    ]
    found = api.evaluate(runs, device="cpu").to_json()["outputs"]
    losses, wrong = [], []
    for row, first, second, both in zip(rows, *told, strict=True):
        mean = {
            label: (odds + second["mood"][0]["probabilities"][label]) / 2
            for label, odds in first["mood"][0]["probabilities"].items()
        }
        assert both["mood"][0]["probabilities"] == pytest.approx(mean, abs=1e-6)
        assert both["mood"][0]["value"] == max(mean, key=mean.get)
        size = (first["size"][0]["value"] + second["size"][0]["value"]) / 2
        assert both["size"][0]["value"] == pytest.approx(size, rel=1e-5)
        losses.append(-math.log(mean[row["mood"]]))
        wrong.append(abs(size - row["size"]))
    assert found["mood"]["log_loss"]["value"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert found["size"]["mae"]["value"] == pytest.approx(sum(wrong) / len(wrong), rel=1e-5)
    assert any(first != second for first, second in zip(*told[:2])), "runs that are all alike would prove nothing"


def test_a_language_model_beside_itself_has_its_perplexity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    for name, seed in (("train", 0), ("valid", 1)):
        (tmp_path / f"{name}.txt").write_text("\n".join(row["text"] for row in sentences(32, seed)) + "\n")
    recipe = """
    data: {train: train.txt, valid: valid.txt}
    inputs: {text: {type: text, tokenizer: char, encoder: {hidden_size: 8, embedding_size: 8}}}
    outputs: {on: {of: text, align: next}}
    training: {epochs: 1, batch_rows: 8}
    """
    (tmp_path / "lm.yaml").write_text(textwrap.dedent(recipe))
    for seed in (1, 2):
        api.train(load(tmp_path / "lm.yaml", [f"training.seed={seed}"]), tmp_path / f"run{seed}", device="cpu")

    def perplexity(*runs):
        told = api.evaluate([tmp_path / one for one in runs], device="cpu").to_json()
        return told["outputs"]["on"]["perplexity"]["value"]

    first, second = perplexity("run1"), perplexity("run2")
    assert perplexity("run1", "run1") == pytest.approx(first, rel=1e-6)
    assert perplexity("run1", "run2") != pytest.approx(first, rel=1e-6)
    assert perplexity("run1", "run2") <= math.sqrt(first * second) * (1 + 1e-6), (
        "the normalised geometric mean is never worse than that"
    )
