"""Sets of labels that follow each other: the laws of the head, the density, and what a chorale of two voices teaches
it."""

import json
import math
import random
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import ostinato
from ostinato import api, registry
from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.nade import Nade
from ostinato.errors import ConfigError
from ostinato.heads.contract import Sizes
from ostinato.modalities.contract import Labels, Values
from ostinato.recipe.read import from_arguments, load
from ostinato.run.adjusted import adjusted
from ostinato.testing import laws
from tests.advice import follow


@pytest.mark.parametrize("options", [{}, {"bits": "nade", "hidden_units": 3}, {"bits": "rbm", "hidden_units": 3}])
def test_laws(options):
    laws.run("heads", "next_bits", options)


def test_a_nade_whose_hidden_units_read_nothing_is_independent():
    torch.manual_seed(0)
    visible, hidden, writing = torch.randn(4, 5), torch.randn(4, 3), torch.randn(5, 3)
    bits = torch.randint(2, (4, 5)).float()
    alone = Bernoulli(visible + hidden.sigmoid() @ writing.T)
    nade = Nade(visible, hidden, torch.zeros(5, 3), writing)
    assert torch.allclose(nade.log_prob(bits), alone.log_prob(bits), atol=1e-5)
    assert torch.equal(nade.mode(), alone.mode())


KEYS = Labels(88, multilabel=True)


@pytest.mark.parametrize(
    ("bits", "options"),
    [
        ("independent", {"hidden_units": 5}),
        ("nade", {"gibbs_steps": 5}),
        ("nade", {"annealing_steps": 5}),
        ("rbm", {"hidden_units": 10, "annealing_steps": 5}),
    ],
)
def test_an_option_without_an_effect_is_refused_and_left_out_as_advised(bits, options):
    def head(**given):
        return registry.make("heads", "next_bits", (KEYS, [Sizes(4, 4)]), {"bits": bits, **given})

    option = list(options)[-1]
    follow(lambda: head(**options), f"leave {option} out", lambda: head(**options | {option: None}))
    if bits != "rbm":
        other = "nade" if option == "hidden_units" else "rbm"
        follow(lambda: head(**options), f"belongs to bits: {other}; set it", lambda: head(**options | {"bits": other}))


@pytest.mark.parametrize("option", ["hidden_units", "gibbs_steps", "annealing_steps"])
def test_no_step_and_no_unit_is_refused(option):
    with pytest.raises(ConfigError, match=option):
        head = {"type": "next_bits", "bits": "rbm", option: 0}
        from_arguments({"roll": "piano_roll"}, {"on": {"of": "roll", "column": "roll", "head": head}})


def test_numbers_are_refused():
    with pytest.raises(ConfigError, match="is a set of labels"):
        registry.make("heads", "next_bits", (Values(3), [Sizes(4, 4)]), {"bits": "rbm"})


RECIPE = """
data:    {train: train.jsonl, valid: valid.jsonl}
inputs:
  roll: {type: piano_roll, lowest: 48, keys: 28, encoder: {bidirectional: false, hidden_size: 8, embedding_size: 8}}
outputs:
  next:
    {column: roll, of: roll, type: piano_roll, lowest: 48, keys: 28, head: HEAD}
search:  {type: sample, max_length: 20}
training: {epochs: 20, batch_rows: 5, optimizer: {type: adam, learning_rate: 0.05}, schedule: constant}
"""
CHORDS = ([48, 55, 64, 72], [50, 57, 65, 74])


def trained_on_chords(folder, head, **sets):
    drawn = random.Random(0)
    for name in ("train", "valid"):
        rolls = [[drawn.choice(CHORDS) for _ in range(12)] for _ in range(40)]
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps({'roll': roll})}\n" for roll in rolls))
    (folder / "recipe.yaml").write_text(RECIPE.replace("HEAD", head))
    recipe = load(folder / "recipe.yaml", [f"training.{name}={value}" for name, value in sets.items()])
    return api.fit(recipe, folder / "run", device="cpu")


def log_loss(run, folder):
    report = api.evaluate(run, data=str(folder / "valid.jsonl"), device="cpu")
    return report.outputs["next"]["log_loss"].value


def frames_of(run):
    rows = [{"roll": []}, {"roll": np.zeros((3, 28))}]
    answers = [prediction.best["next"].value for prediction in api.predict(run, rows=rows, device="cpu")]
    assert [len(frames) for frames in answers] == [20, 20]
    return [[frame in CHORDS for frame in frames] for frames in answers]


def test_one_choice_between_two_chords_costs_one_bit_and_not_one_for_each_key(tmp_path):
    run = trained_on_chords(tmp_path, "{type: next_bits, bits: nade}")
    assert math.log(2) - 0.1 < log_loss(run, tmp_path) < math.log(2) + 0.6
    assert all(sum(known) >= 14 for known in frames_of(run))


def test_hidden_bits_learn_the_two_chords_too_and_an_estimate_does_not_flatter_them(tmp_path):
    run = trained_on_chords(tmp_path, "{type: next_bits, bits: rbm, hidden_units: 12}")
    assert math.log(2) - 0.05 < log_loss(run, tmp_path) < math.log(2) + 0.6
    assert all(sum(known) >= 14 for known in frames_of(run))


@pytest.mark.parametrize(("hidden_units", "estimated"), [(10, False), (11, True)])
def test_a_report_says_which_metric_is_an_estimate_and_how(tmp_path, hidden_units, estimated):
    head = {"type": "next_bits", "bits": "rbm", "hidden_units": hidden_units}
    roll = {"type": "piano_roll", "encoder": {"hidden_size": 8, "bidirectional": False}}
    model = ostinato.Model(
        {"roll": roll}, {"on": {"of": "roll", "column": "roll", "head": head}}, training={"epochs": 1}
    )
    rows = [{"roll": [list(chord) for chord in CHORDS]}] * 8
    report = model.fit(rows, rows[:1], folder=tmp_path / "run", device="cpu", verbose=0).evaluate(rows)
    notes = [note for note in report.notes if "estimate" in note]
    assert [note.startswith("on.log_loss: an estimate, by reverse annealing") for note in notes] == [True] * estimated
    compared = api.compare(tmp_path / "run", tmp_path / "run", data=rows)
    assert len([note for note in compared.notes if "an estimate, by reverse annealing" in note]) == 2 * estimated


def test_an_estimate_is_less_too_low_with_the_steps_that_the_advice_sets(tmp_path):
    run = trained_on_chords(tmp_path, "{type: next_bits, bits: rbm, hidden_units: 12, annealing_steps: 1}", epochs=1)
    rows = [{"roll": [list(chord) for chord in CHORDS]}]
    before = api.evaluate(run.folder, data=rows, device="cpu")
    advice = "is estimated too low, less so with more steps: evaluate with --set outputs.NAME.head.annealing_steps="
    assert {note.partition(advice)[2] for note in before.notes} == {"5"}
    change = "outputs.next.head.annealing_steps=400"
    after = api.evaluate(run.folder, data=rows, device="cpu", sets=[change])
    assert any("chains of 400 steps" in note for note in after.notes)
    again = api.evaluate(run.folder, data=rows, device="cpu")
    assert any("chains of 1 steps" in note for note in again.notes)
    with pytest.raises(ConfigError, match="of a trained run only the search can be changed"):
        api.evaluate(run.folder, data=rows, device="cpu", sets=["outputs.next.head.gibbs_steps=3"])
    bundle = SimpleNamespace(members={"default": 2})
    ensemble = SimpleNamespace(outputs=run.outputs, graph=run.graph, folder=run.folder, bundle=bundle)
    with pytest.raises(ConfigError, match="run has several members; leave it out, or name the members as runs"):
        adjusted(ensemble, [change])
    assert adjusted(ensemble, []) == (ensemble, [])
    assert after.outputs["next"]["log_loss"].value < before.outputs["next"]["log_loss"].value


def test_an_interrupted_contrastive_divergence_ends_with_the_same_bits():
    def interrupt(progress):
        if progress.update == 5:
            signal.raise_signal(signal.SIGINT)

    def model():
        roll = {"type": "piano_roll", "encoder": {"hidden_size": 8, "bidirectional": False}}
        head = {"type": "next_bits", "bits": "rbm", "dropout": 0.2}
        training = {"epochs": 3, "batch_rows": 2, "seed": 3}
        return ostinato.Model({"roll": roll}, {"on": {"of": "roll", "column": "roll", "head": head}}, training=training)

    rows = [{"roll": [list(CHORDS[place]), list(CHORDS[1])]} for place in (0, 1) * 3]
    whole, broken = model().fit(rows, rows[:1], device="cpu", verbose=0), model()
    with pytest.raises(KeyboardInterrupt):
        broken.fit(rows, rows[:1], device="cpu", on_event=interrupt, verbose=0)
    broken.fit(rows, rows[:1], device="cpu", resume=True, verbose=0)
    for name, tensor in whole.run.graph.state_dict().items():
        assert tensor.equal(broken.run.graph.state_dict()[name]), name
