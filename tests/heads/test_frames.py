"""Frames: the laws, the density of a frame and of the end, and words that are spoken by a run trained on sounds."""

import io
import math
import re
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ostinato.cli.main import group
from ostinato.distributions.mixture import Mixture
from ostinato.distributions.normal import Normal
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.heads.frames import Ending
from ostinato.modalities.audio import Audio, wav
from ostinato.modalities.contract import Values
from ostinato.registry import make
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules, heads, laws
from ostinato.testing._tools import Member

SMALL = {"prenet_size": 6, "reduction": 2}
TRANSFORMER = {"type": "transformer", "hidden_size": 4, "layers": 1, "heads": 1}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
RATE = 4000


@pytest.mark.parametrize(
    ("options", "inputs"),
    [({"decoder": {"hidden_size": 6}}, "two"), ({"decoder": TRANSFORMER, "components": 2, "reduction": 3}, "one")],
    ids=["recurrent", "transformer"],
)
def test_laws(options, inputs):
    case = heads.Generating(Member.of("heads", "frames", {**SMALL, **options}), heads.NUMBERS, inputs)
    for law in heads.LAWS:
        if inputs == "two" or law is not _modules.gradients_are_right:
            law(case)


@pytest.mark.slow
def test_every_option_matters():
    laws.run("heads", "frames", SMALL)


def ending():
    torch.manual_seed(0)
    normals = Normal(torch.randn(3, 2, 4), torch.rand(3, 2, 4) + 0.5)
    return Ending(Mixture(torch.randn(3, 2), normals), torch.tensor([-1.0, 0.3, 2.0])), normals


def test_a_frame_has_the_density_of_the_mixture_times_the_probability_that_it_is_no_end():
    distribution, normals = ending()
    target = torch.randn(3, 4)
    target[1] = math.nan
    whole = (
        distribution.frames.weights.scores.softmax(1) * normals._normal.log_prob(target[:, None]).sum(2).exp()
    ).sum(1)
    expected = torch.where(
        target.isnan().all(1), distribution.logits.sigmoid(), (-distribution.logits).sigmoid() * whole
    )
    assert torch.allclose(distribution.score(target).exp(), expected)
    assert distribution.counts(target).tolist() == [5, 1, 5]
    assert distribution.mode().isnan().all(1).tolist() == [False, True, True]
    both = distribution.mean_of([ending()[0]])
    assert torch.allclose(both.score(target), distribution.score(target), atol=1e-5)


def test_the_end_is_the_median_of_the_lengths_however_uncertain_it_is_at_each_frame():
    _, normals = ending()
    every, hazard = torch.zeros(8, dtype=torch.int64), 0.15
    frames = Mixture(torch.zeros(8, 2), Normal(*(part[every] for part in normals.parameters)))
    rows = Layout([5, 0, 3])
    distribution = Ending(frames, torch.full((8,), math.log(hazard / (1 - hazard))), rows)
    # (1 - 0.15)^5 < 1/2 < (1 - 0.15)^4; the last row has survived three frames already.
    came = distribution.after(torch.tensor([0.0, 0.0, 3 * math.log(1 - hazard)])).mode().isnan().all(1)
    assert came.tolist() == [False] * 4 + [True] + [False, True, True]
    assert not distribution.mode().isnan().any()


def test_samples_end_as_often_as_the_end_is_probable_and_a_bias_narrows_the_others():
    one, normals = ending()
    every = torch.zeros(4000, dtype=torch.int64)
    parts = (normals.parameters[0][every], normals.parameters[1][every])
    distribution = Ending(Mixture(one.frames.weights.scores[every], Normal(*parts)), one.logits[every])
    uniform = torch.rand(4000, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = []
    for bias in (0.0, 3.0):
        samples = distribution.biased(bias).sample(uniform)
        ended = samples.isnan().all(1)
        # Of a first frame with an end of 27 %, the middle 5 % of all lengths are longer.
        expected = float(one.logits[0].sigmoid()) if not bias else 0.0
        assert float(ended.double().mean()) == pytest.approx(expected, abs=0.03)
        drawn.append(samples[~ended])
    near = [(part[:, None] - normals.parameters[0][0]).abs().amax(2).amin(1).mean() for part in drawn]
    assert near[1] < near[0] / 5


@pytest.mark.parametrize("bias", [0.0, 0.4, 1.0, 3.0])
def test_a_bias_draws_lengths_from_the_middle_of_their_distribution(bias):
    _, normals = ending()
    shares = torch.rand(60, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.1
    every = torch.zeros(60, dtype=torch.int64)
    frames = Mixture(torch.zeros(60, 2), Normal(*(part[every] for part in normals.parameters)))
    steps = Ending(frames, shares.logit(), Layout([60])).after(torch.zeros(1, dtype=torch.float64))
    # An end is drawn where the number is below its probability, which bisection finds.
    low, high = torch.zeros(60, dtype=torch.float64), torch.ones(60, dtype=torch.float64)
    for _ in range(50):
        middle = (low + high) / 2
        ended = steps.biased(bias).sample(middle[:, None, None].expand(60, 4, 3)).isnan().all(1)
        low, high = torch.where(ended, middle, low), torch.where(ended, high, middle)
    survived = torch.cat([torch.ones(1, dtype=torch.float64), (1 - low).cumprod(0)])
    by_then = 1 - torch.cat([torch.ones(1, dtype=torch.float64), (1 - shares).cumprod(0)])
    least = (1 - math.exp(-bias)) / 2
    expected = (by_then.clamp(least, 1 - least) - least) / math.exp(-bias)
    torch.testing.assert_close(1 - survived, expected, rtol=0, atol=1e-9)


def tones(count):
    """A word and its sound of 0.12 seconds: a tone of 500 or 1,000 hertz that fades, in noise."""
    random, times = np.random.default_rng(0), np.arange(480) / RATE
    for place in range(count):
        word, hertz = (("low", 500), ("high", 1000))[place % 2]
        tone = random.uniform(0.3, 0.5) * np.sin(2 * np.pi * hertz * times + random.uniform(0, 6))
        yield word, tone * np.linspace(1, 0, 480) + random.normal(0, 0.01, 480)


def write(folder, count):
    folder.mkdir()
    lines = ["clip:file,words"]
    for place, (word, samples) in enumerate(tones(count)):
        (folder / f"{place}.wav").write_bytes(wav(samples, RATE))
        lines.append(f"{place}.wav,{word}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def loudest(samples):
    """The frequency in hertz at which there is most sound."""
    return np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)


def said(*words):
    return CliRunner().invoke(group, list(map(str, words)))


def trained(here, epochs):
    """The recipe of the page, smaller, trained on tones."""
    write(here / "recordings", 20)
    section = PAGE.read_text(encoding="utf-8").split("\n## Speech\n")[1].split("\n## ")[0]
    (here / "speak.yaml").write_text(re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1])
    small = ["outputs.clip.bands=12", "outputs.clip.hop_seconds=0.02", "outputs.clip.window_seconds=0.032"]
    small += ["outputs.clip.head.decoder.hidden_size=32", "outputs.clip.head.prenet_size=24", "training.batch_rows=8"]
    small += [
        "inputs.words.encoder.hidden_size=16",
        "inputs.words.encoder.embedding_size=8",
        f"training.epochs={epochs}",
    ]
    small += ["training.optimizer.learning_rate=0.02", "outputs.clip.head.prenet_dropout=0.1"]
    sets = [option for value in [*small, f"data.train={here}/recordings"] for option in ("--set", value)]
    result = said("train", here / "speak.yaml", *sets, "--run", here / "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    return here


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("spoken"), 1)


def heard(here, word, *more):
    """The samples that a run says."""
    result = said("predict", here / "run", word, *more, "--output", here / "out.wav", "--device", "cpu")
    assert result.exit_code == 0 and "out.wav: " in result.output, result.output
    with wave.open(io.BytesIO((here / "out.wav").read_bytes())) as file:
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 2**15


@pytest.mark.slow
def test_each_word_is_heard_in_what_is_spoken(tmp_path):
    here = trained(tmp_path, 60)
    for word, hertz in (("low", 500), ("high", 1000)):
        for more, count in ((["--set", "search=greedy"], 1), (["--n-best", 3], 3)):
            samples = heard(here, word, *more)
            assert abs(loudest(samples) - hertz) < 120
            assert len(samples) / RATE == pytest.approx(count * 0.12 + (count - 1) * 0.25, abs=0.05 * count)


def test_frames_and_their_end_are_learnt_and_found_again_by_greedy_search():
    torch.manual_seed(0)
    own = {"decoder": {"attention": None, "cell": "gru", "hidden_size": 32}, "reduction": 2}
    options = {**own, "prenet_size": 16, "prenet_dropout": 0.0}
    head = make("heads", "frames", (Values(2), [Sizes(None, 4)]), options)
    truth = Steps.of([torch.randn(3, 2), torch.randn(6, 2)])
    encoded = [Encoded(None, torch.eye(2, 4), None)]
    optimizer = torch.optim.Adam(head.parameters(), 0.03)
    for _ in range(100):
        optimizer.zero_grad()
        head.loss(encoded, truth).total.backward()
        optimizer.step()
    head.eval()
    found = make("searches", "greedy").search(
        head, head.start(encoded), torch.tensor([20, 20]), torch.zeros(2, dtype=torch.int64), attention=False
    )
    for (answer,), expected in zip(found, truth.split()):
        assert answer.finished and answer.symbols.shape == expected.shape
        assert (answer.symbols - expected).abs().max() < 0.5


def test_a_sound_file_holds_the_answers_one_after_the_other(spoken):
    one, three = heard(spoken, "low"), heard(spoken, "low", "--n-best", 3)
    assert len(three) >= 0.5 * RATE and len(one) % 80 == 128 % 80


def test_without_a_file_the_frames_are_printed_which_are_read_like_a_recording(spoken):
    result = said("predict", spoken / "run", "low", "--device", "cpu")
    audio = Audio(rate=RATE, bands=12, hop_seconds=0.02, window_seconds=0.032)
    audio.fit([result.stdout.strip()])
    assert result.exit_code == 0 and audio.encode(result.stdout.strip()).shape[1] == 12


def test_vectors_are_not_ranked_and_the_advice_to_a_beam_helps(spoken):
    wrong = said("predict", spoken / "run", "low", "--set", "search=beam", "--device", "cpu")
    assert "set search: sample or search: greedy" in str(wrong.exception)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["outputs.clip.head=autoregressive"], "autoregressive predicts one symbol after the other"),
        (["outputs.clip.head=ctc"], "ctc predicts one symbol after the other"),
        (["outputs.clip.align=summary"], "'summary' is not possible for audio; allowed here: free"),
        (["outputs.clip={type: text, column: words, align: free, head: frames}"], "frames: a step is a vector"),
    ],
)
def test_what_cannot_be_spoken_is_refused(spoken, sets, message):
    options = [option for value in [*sets, f"data.train={spoken}/recordings"] for option in ("--set", value)]
    assert message in str(said("check", spoken / "speak.yaml", *options).exception)
