"""The loss of the newest nanoGPT checkpoint for small_language_models.py; runs in nanoGPT's folder.

Prints nats per character over consecutive rows of the validation text, each with the characters before it in the row.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path.cwd()))
from model import GPT, GPTConfig

kept = torch.load("out-shakespeare-char/ckpt.pt", map_location="cpu", weights_only=True)
model = GPT(GPTConfig(**kept["model_args"]))
model.load_state_dict(kept["model"])
model.eval()
length = kept["model_args"]["block_size"]
text = torch.from_numpy(np.fromfile("data/shakespeare_char/valid.bin", dtype=np.uint16).astype(np.int64))
rows = (len(text) - 1) // length
read, truth = text[: rows * length].view(rows, length), text[1 : rows * length + 1].view(rows, length)
with torch.no_grad():
    losses = [
        model(some, targets)[1] * len(some) for some, targets in zip(read.split(100), truth.split(100), strict=True)
    ]
print(float(sum(losses) / rows))
