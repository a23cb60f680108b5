"""JoeyNMT 2.3.0 under the clock of translation_training.py; runs in the peer's own environment, beside the data.

It reads orders from standard input, a JSON array a line, and answers each with a JSON object a line on standard output:

    ["train", updates]               updates of its own TrainManager on its own batches: seconds, tokens
    ["decode", shortest, longest]    its own prediction.predict, beam 5, on the test split: seconds, sentences, tokens
"""

import json
import os
import sys
import time
from functools import partial
from itertools import repeat

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever JoeyNMT prints goes to standard error

import torch  # noqa: E402
from joeynmt import prediction  # noqa: E402
from joeynmt.config import parse_global_args  # noqa: E402
from joeynmt.search import search  # noqa: E402
from joeynmt.training import TrainManager  # noqa: E402


def side(language: str) -> dict:
    return {"lang": language, "max_length": 60, "lowercase": False, "level": "word", "voc_file": f"voc.{language}"}


EMBEDDINGS = {"embedding_dim": 256, "scale": False, "dropout": 0.3}
CONFIG = {
    "name": "m30k",
    "joeynmt_version": "2.3.0",
    "model_dir": "joey_out",
    "use_cuda": False,
    "fp16": False,
    "random_seed": 42,
    "data": {
        "train": "train",
        "dev": "dev",
        "test": "test",
        "dataset_type": "plain",
        "src": side("de"),
        "trg": side("en"),
        "special_symbols": {
            "unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>",
            "unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3,
        },
    },
    "testing": {"n_best": 1, "beam_size": 5, "beam_alpha": 1.0, "batch_size": 64, "batch_type": "sentence",
                "eval_metrics": []},
    "training": {
        "scheduling": "exponential", "decrease_factor": 0.9, "optimizer": "adamw", "learning_rate": 0.001,
        "learning_rate_min": 0.00001, "clip_grad_norm": 1.0, "weight_decay": 0.0, "label_smoothing": 0.1,
        "batch_size": 64, "batch_type": "sentence", "epochs": 1, "early_stopping_metric": "loss",
        "overwrite": True, "shuffle": True, "keep_best_ckpts": 1,
    },
    "model": {
        "initializer": "xavier_uniform",
        "tied_embeddings": False,
        "tied_softmax": False,
        "encoder": {
            "type": "recurrent", "rnn_type": "gru", "embeddings": EMBEDDINGS, "hidden_size": 256,
            "bidirectional": True, "dropout": 0.3, "num_layers": 1,
        },
        "decoder": {
            "type": "recurrent", "rnn_type": "gru", "embeddings": EMBEDDINGS, "hidden_size": 512, "dropout": 0.3,
            "hidden_dropout": 0.3, "num_layers": 1, "input_feeding": True, "init_hidden": "bridge",
            "attention": "bahdanau",
        },
    },
}  # fmt: skip


class Peer:
    """A model, its trainer and its data, all of them JoeyNMT's own."""

    def __init__(self):
        self.arguments = parse_global_args(CONFIG, rank=0, mode="train")
        self.arguments.model_dir.mkdir(exist_ok=True)
        self.model, data, _, self.test = prediction.prepare(self.arguments, rank=0, mode="train")
        self.trainer = TrainManager(
            model=self.model,
            model_dir=self.arguments.model_dir,
            device=self.arguments.device,
            n_gpu=0,
            rank=0,
            num_workers=0,
            autocast=self.arguments.autocast,
            seed=self.arguments.seed,
            train_args=self.arguments.train,
            dev_args=self.arguments.test,
        )
        wanted = self.arguments.train
        batches = data.make_iter(
            batch_size=wanted.batch_size,
            batch_type=wanted.batch_type,
            seed=self.arguments.seed,
            shuffle=wanted.shuffle,
            eos_index=self.model.eos_index,
            pad_index=self.model.pad_index,
            device=self.arguments.device,
        )
        self.batches = (batch for epoch in repeat(batches) for batch in epoch)

    def train(self, updates: int) -> dict[str, float]:
        """The lines of TrainManager.train_and_validate between two validations."""
        tokens, began = 0, time.perf_counter()
        for _ in range(updates):
            batch = next(self.batches)
            self.trainer._train_step(batch)
            self.trainer.clip_grad_fun(parameters=self.model.parameters())
            self.trainer.optimizer.step()
            self.model.zero_grad()
            tokens += batch.ntokens
        return {"seconds": time.perf_counter() - began, "tokens": tokens}

    def decode(self, shortest: int, longest: int) -> dict[str, float]:
        # `predict` hands the longest length on to its search and forgets the shortest
        prediction.search = partial(search, min_output_length=shortest)
        wanted = self.arguments.test._replace(max_output_length=longest)
        plain = {"n_gpu": 0, "autocast": self.arguments.autocast}
        began = time.perf_counter()
        found = prediction.predict(self.model, self.test, self.arguments.device, args=wanted, **plain)
        return {"seconds": time.perf_counter() - began, "sentences": len(found[2]), "tokens": sum(map(len, found[3]))}


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]))
    peer = Peer()
    orders = {"train": peer.train, "decode": peer.decode}
    ready = {"parameters": sum(one.numel() for one in peer.model.parameters()), "torch": torch.__version__}
    print(json.dumps(ready), file=ANSWERS, flush=True)
    for line in sys.stdin:
        order, *numbers = json.loads(line)
        print(json.dumps(orders[order](*numbers)), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
