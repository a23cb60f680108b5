"""How fast sound is read, learnt and recognised: python benchmarks/sound.py [--json FILE], on one thread.

features     seconds for log-mel frames of an hour of sound (8,000 samples a second), and of an hour at 16,000
recognition  real-time factor of a causal recogniser that reads raw samples as they come: seconds of work for a second
training     steps a second of CTC training, encoder and loss, beside those of its recurrent layer alone
"""

import argparse
import io
import json
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import ostinato
from ostinato import api
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Sizes
from ostinato.modalities.audio import Audio, wav
from ostinato.modalities.contract import Symbols, Values
from ostinato.registry import make
from ostinato.steps import Layout, Steps

REPEATS = 5


def seconds(work, repeats=REPEATS):
    """The median of some runs after one that is not counted, in processor time."""
    return side_by_side(work, repeats=repeats)[0]


def side_by_side(*works, repeats=REPEATS):
    """The median of each, in turns, so that a machine that is warm or busy changes their ratio little."""
    times = []
    for _ in range(1 + repeats):
        times.append([])
        for work in works:
            start = time.process_time()
            work()
            times[-1].append(time.process_time() - start)
    return np.median(times[1:], 0).tolist()


def features(rate):
    """Of an hour, by clips of a minute."""
    noise = np.random.default_rng(0).uniform(-1, 1, 60 * rate)
    clip, audio = wav(noise, rate), Audio()
    audio.fit([wav(noise[: 5 * rate], rate)])
    return 60 * seconds(lambda: audio.encode(clip))


def recognition(rate=8000):
    """For a second of sound, that comes in pieces of a tenth of a second."""
    random = np.random.default_rng(0)
    clips = [{"clip": wav(random.uniform(-1, 1, rate), rate), "said": "abc"} for _ in range(8)]
    inner = {"cell": "gru", "hidden_size": 160, "embedding_size": 64, "bidirectional": False}
    encoder = {"type": "subsampled", "layers": 1, "hidden_size": 64, "encoder": inner}
    with tempfile.TemporaryDirectory() as folder:
        ostinato.Model(
            {"clip": {"type": "audio", "encoder": encoder}},
            {"said": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
            training={"epochs": 1},
        ).fit(clips, clips, device="cpu", folder=Path(folder) / "run")
        run = api.loaded_runs(Path(folder) / "run", "cpu")[0]
    content, length = wav(random.uniform(-1, 1, 20 * rate), rate)[44:], 20

    def listen():
        file = io.BytesIO(content)
        api.listen(run, lambda: file.read(rate // 5), lambda piece: None)

    return seconds(listen, 3) / length


def training():
    """Steps a second with CTC and without: 16 recordings of 400 frames, two layers of 256 GRU units both ways."""
    torch.manual_seed(0)
    layout, spec = Layout([400] * 16), Symbols(30, 0, 1, 2)
    steps = Steps(torch.randn(layout.total, 40), layout)
    options = {"cell": "gru", "hidden_size": 256, "layers": 2, "embedding_size": 128}
    encoder = make("encoders", "recurrent", (Values(40),), options)
    head = make("heads", "ctc", (spec, [Sizes(encoder.steps_size, None)]), {})
    targets = Steps(torch.randint(3, 30, (16 * 40,)), Layout([40] * 16))
    stack = encoder.stack
    embedded = Steps(torch.randn(layout.total, 128), layout)

    def alone():
        stack(embedded, None)[0].values.square().mean().backward()

    def whole():
        read = encoder.encode(steps)
        head.loss([Encoded(read.steps, None, None)], targets).total.backward()

    return [layout.total / median for median in side_by_side(whole, alone)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    place = parser.parse_args().json
    torch.set_num_threads(1)
    whole, alone = training()
    result = {
        "machine": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "features of an hour at 8,000": round(features(8000), 2),
        "features of an hour at 16,000": round(features(16000), 2),
        "real-time factor of recognition": round(recognition(), 4),
        "steps a second of CTC training": round(whole),
        "steps a second of its recurrent layers": round(alone),
        "ratio": round(whole / alone, 3),
    }
    print(json.dumps(result, indent=1))
    if place is not None:
        place.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
