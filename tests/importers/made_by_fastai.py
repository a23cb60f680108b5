"""Small models of fastai with random weights, and what fastai itself computes with them.

python -m tests.importers.made_by_fastai writes those that are kept, where fastai 2.8 is installed.
"""

import json
import sys

import torch

from tests.importers.made_by_joeynmt import KEPT

WORDS = ["xxunk", "xxpad", "xxbos", "xxfld", "xxmaj", "a", "dog", "runs", ".", "the", "cat", "xxfake", "xxfake"]
SIZES = {"emb_sz": 5, "n_hid": 6, "n_layers": 3, "pad_token": 1, "bidir": False}
RATES = {"output_p": 0.1, "hidden_p": 0.1, "input_p": 0.1, "embed_p": 0.1, "weight_p": 0.1}
CASES = {
    "fastai-language-model": {},
    "fastai-classifier": {"labels": ["good", "bad", "neither"]},
    "one layer": {"layers": 1},
    "not tied": {"tied": False},
    "no bias": {"bias": False},
    "no hidden layer": {"labels": ["no", "yes"], "hidden": []},
    "saved with the learner's save": {"inside": "model"},
}
TEXTS = ["the dog runs .", "a unknown cat", "xxmaj the", "cat"]


@torch.no_grad()
def write(folder, case):
    """Writes a case into a folder, with expected.json beside: log-probabilities of the next words, or of labels."""
    from fastai.text.models.awdlstm import AWD_LSTM
    from fastai.text.models.core import get_language_model, get_text_classifier

    folder.mkdir(parents=True)
    torch.manual_seed(1)
    sizes, labels = SIZES | {"n_layers": case.get("layers", 3)}, case.get("labels")
    if labels is None:
        config = {**sizes, **RATES, "tie_weights": case.get("tied", True), "out_bias": case.get("bias", True)}
        model = get_language_model(AWD_LSTM, len(WORDS), config)
    else:
        model = get_text_classifier(
            AWD_LSTM, len(WORDS), len(labels), config=sizes | RATES, lin_ftrs=case.get("hidden", [4]), ps=None
        )
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "running_var" in name else tensor.normal_(0.0, 0.4)
    model.eval()
    model.reset()
    state = model.state_dict()
    torch.save({case["inside"]: state, "opt": {}} if "inside" in case else state, folder / "model.pth")
    vocabulary = {"vocab": WORDS} | ({} if labels is None else {"labels": labels})
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    expected = {"rows": []}
    for number, text in enumerate(TEXTS):
        symbols = [WORDS.index(word) if word in WORDS else 0 for word in ("xxbos", *text.split())]
        model.reset()
        scores = model(torch.tensor([symbols]))[0][0].log_softmax(-1)
        if labels is None:
            truth = torch.tensor([*symbols[1:], 2])
            expected["rows"].append({"text": text})
            expected.setdefault("by_step", []).append(scores.gather(1, truth[:, None])[:, 0].tolist())
        else:
            label = number % len(labels)
            expected["rows"].append({"text": text, "label": labels[label]})
            expected.setdefault("whole", []).append(scores[label].item())
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))


if __name__ == "__main__":
    for name in sys.argv[1:] or [name for name in CASES if name.startswith("fastai-")]:
        write(KEPT / name, CASES[name])
