"""How fast are packed sequences on a GPU, beside torch's own layers and beside padding, in one run?

    python benchmarks/gpu.py                everything, about 90 seconds on an H100
    python benchmarks/gpu.py --quick        small shapes, to see that it runs; on a CPU too

Each line is a whole training step: forward, backward and update; of recurrent layers forward and backward, the
gradients of the input and of all weights. Lengths are all T (full) or uniform in [T/5, T], by seed. Contestants have
equal inputs and, but for the tagger's, equal weights; one that computes something else ends the run. They take turns; a
figure is the median of the rounds in milliseconds, with the least and the most; the ratio is theirs / ours. Layouts,
packing and unpacking are inside.

- recurrent: `ostinato.nn` on packed steps, torch.nn's module padded (which computes padding too) and packed, float32;
- attention: four layers 256 wide on packed steps, and the same layers on padded ones around
  scaled_dot_product_attention with a mask of what is real (causal: none is needed), bfloat16 by autocast, AdamW;
- tagger: embedding, LSTM in both directions, cross entropy; by the encoder and the head of a recipe, and by torch.nn
  with packed sequences, bfloat16 by autocast, AdamW.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import ostinato.nn
from ostinato import registry
from ostinato.encoders.contract import Sizes
from ostinato.layers.ragged_attention import Groups, Sight
from ostinato.layers.transformer import TransformerStack
from ostinato.modalities.contract import Labels, Symbols
from ostinato.steps import Layout, Steps

SEED = 20150101
SIZE, LAYERS, HEADS = 256, 4, 4
WORDS, TAGS = 10_000, 20
TORCHS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
OURS = {"rnn": ostinato.nn.RNN, "gru": ostinato.nn.GRU, "lstm": ostinato.nn.LSTM}
Call = Callable[[], Tensor]
"""A step; gives what must be equal between contestants."""


def lengths_of(rows: int, longest: int, ragged: bool) -> Tensor:
    random = torch.Generator().manual_seed(SEED)
    lengths = torch.randint(longest // 5, longest + 1, (rows,), generator=random)
    lengths[0] = longest
    return lengths if ragged else torch.full((rows,), longest)


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def timed(calls: dict[str, Call], device: str, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of each round of each contestant, in turns."""
    for call in calls.values():
        for _ in range(3):
            call()
    wait(device)
    begun = time.perf_counter()
    next(iter(calls.values()))()
    wait(device)
    count = max(1, int(0.05 / (time.perf_counter() - begun)))
    rounds: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rounds[next(iter(calls))]) < 3:
        for name, call in calls.items():
            begun = time.perf_counter()
            for _ in range(count):
                call()
            wait(device)
            rounds[name].append(1000 * (time.perf_counter() - begun) / count)
    return rounds


def report(row: str, calls: dict[str, Call], device: str, seconds: float, share: float) -> None:
    """Prints a line; ours is the first contestant."""
    first, *others = (call().double() for call in calls.values())
    for name, other in zip(list(calls)[1:], others):
        apart = ((first - other).norm() / other.norm()).item()
        if not apart <= share:
            sys.exit(f"{row}: {name} gives something else than ours: {apart:.2g} apart, {share} are allowed")
    rounds = timed(calls, device, seconds)
    medians = {name: statistics.median(times) for name, times in rounds.items()}
    ours = next(iter(medians.values()))
    spread = {name: [round(min(times), 3), round(max(times), 3)] for name, times in rounds.items()}
    ratios = {name: round(value / ours, 2) for name, value in list(medians.items())[1:]}
    line = {"row": row, "ms": {name: round(value, 3) for name, value in medians.items()}}
    print(json.dumps({**line, "least and most": spread, "theirs / ours": ratios}), flush=True)


def recurrent(cell: str, rows: int, longest: int, ragged: bool, device: str, seconds: float) -> None:
    torch.manual_seed(SEED)
    lengths = lengths_of(rows, longest, ragged)
    theirs = TORCHS[cell](SIZE, SIZE).to(device)
    own = OURS[cell](SIZE, SIZE).to(device)
    own.load_state_dict(theirs.state_dict())
    padded = torch.randn(longest, rows, SIZE, device=device)
    layout = Layout(lengths, device)
    packed = Steps.from_padded(padded.transpose(0, 1).contiguous(), layout).values.clone()
    mask = layout.mask.T.unsqueeze(2)

    def gradients(hidden: Tensor, leaf: Tensor, module: nn.Module) -> Tensor:
        loss = hidden.square().sum()
        return torch.autograd.grad(loss, (leaf, *module.parameters()))[1]

    def ours() -> Tensor:
        leaf = packed.requires_grad_()
        return gradients(own(Steps(leaf, Layout(lengths, device)))[0].values, leaf, own)

    def as_padded() -> Tensor:
        leaf = padded.requires_grad_()
        return gradients(theirs(leaf)[0] * mask, leaf, theirs)

    def as_packed() -> Tensor:
        leaf = padded.requires_grad_()
        hidden = pad_packed_sequence(theirs(pack_padded_sequence(leaf, lengths, enforce_sorted=False))[0])[0]
        return gradients(hidden, leaf, theirs)

    row = f"{cell}, T {longest}, B {rows}, {SIZE} wide, {'ragged' if ragged else 'full'}"
    report(row, {"ours": ours, "torch padded": as_padded, "torch packed": as_packed}, device, seconds, 1e-2)


class Padded(nn.Module):
    """The same layers on padded steps (B, T, H), around torch's attention."""

    def __init__(self, stack: TransformerStack):
        super().__init__()
        self.layers = stack.layers

    def forward(self, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        for layer in self.layers:
            read, net, (first, last) = layer.attention, layer.feed_forward, layer.norms
            both = read.queries_keys_values(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
            context = functional.scaled_dot_product_attention(*both, attn_mask=mask, is_causal=causal)
            x = first(x + read.output(context.transpose(1, 2).flatten(2)))
            x = last(x + net.second(net.first(x).relu()))
        return x


def stack(causal: bool, device: str) -> TransformerStack:
    torch.manual_seed(SEED)
    names = "kv_heads norm norm_first norm_epsilon last_norm feed_forward_activation feed_forward_size longest window"
    made = TransformerStack(
        SIZE,
        SIZE,
        causal=causal,
        scaled=False,
        layers=LAYERS,
        heads=HEADS,
        block="vaswani2017",
        positions="none",
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        query_key_norm=None,
        **dict.fromkeys(names.split()),
    )
    return made.to(device)


def updates(model: nn.Module, loss: Callable[[], Tensor], device: str) -> Call:
    """A training step, on a GPU in bfloat16; gives the loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)

    def call() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            total = loss()
        total.backward()
        optimizer.step()
        return total.detach()

    return call


def attending(rows: int, longest: int, ragged: bool, causal: bool, device: str) -> dict[str, Call]:
    """Training steps of the layers, ours first; also read by attention.py."""
    own, theirs = stack(causal, device), Padded(stack(causal, device))
    lengths = lengths_of(rows, longest, ragged)
    padded = torch.randn(rows, longest, SIZE, device=device)
    layout = Layout(lengths, device)
    packed = Steps.from_padded(padded, layout).values.clone()
    real = layout.mask.unsqueeze(2)

    def ours() -> Tensor:
        steps = Steps(packed, Layout(lengths, device))
        return own(steps, keep=False)[0].values.float().square().sum()

    def as_padded() -> Tensor:
        mask = Layout(lengths, device).mask[:, None, None] if ragged and not causal else None
        return (theirs(padded, mask, causal).float() * real).square().sum()

    return {"ours": updates(own, ours, device), "padded": updates(theirs, as_padded, device)}


def kind_of(ragged: bool, causal: bool) -> str:
    return f"{'causal' if causal else 'both ways'}, {'ragged' if ragged else 'full'}"


def attention(rows: int, longest: int, ragged: bool, causal: bool, device: str, seconds: float) -> None:
    layout = Layout(lengths_of(rows, longest, ragged), device)
    query = torch.zeros(layout.total, HEADS, SIZE // HEADS, dtype=torch.bfloat16, device=device)
    why = Groups(layout, layout, Sight(causal), SIZE).obstacle(query)
    print(json.dumps({"torch's packed kernels": why or "used where lengths differ"}), flush=True)
    row = f"attention, T {longest}, B {rows}, {LAYERS} layers of {SIZE}, {kind_of(ragged, causal)}"
    report(row, attending(rows, longest, ragged, causal, device), device, seconds, 2e-2)


class PlainTagger(nn.Module):
    """Embedding, LSTM in both directions, a linear map: as one would write it with torch.nn."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, SIZE)
        self.lstm = nn.LSTM(SIZE, SIZE // 2, bidirectional=True)
        self.output = nn.Linear(SIZE, TAGS)

    def loss(self, words: Tensor, lengths: Tensor, tags: PackedSequence) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, enforce_sorted=False)
        hidden, _ = self.lstm(packed)
        return functional.cross_entropy(self.output(hidden.data).float(), tags.data, reduction="sum")


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        options = {
            "cell": "lstm",
            "hidden_size": SIZE,
            "embedding_size": SIZE,
            "dropout": 0.0,
            "rare_word_dropout": 0.0,
        }
        self.encoder = registry.make("encoders", "recurrent", (Symbols(WORDS, 0, 1, 2),), options)
        sizes = Sizes(self.encoder.steps_size, self.encoder.summary_size, self.encoder.state_sizes)
        self.head = registry.make("heads", "tagger", (Labels(TAGS), [sizes]), {"dropout": 0.0})

    def loss(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        layout = Layout(lengths, words.device)
        return self.head.loss([self.encoder.encode(Steps(words, layout))], Steps(tags, layout)).total


def tagger(rows: int, longest: int, device: str, seconds: float) -> None:
    """Weights differ here: the loss of both is that of guessing."""
    torch.manual_seed(SEED)
    lengths, random = lengths_of(rows, longest, True), torch.Generator().manual_seed(SEED)
    words = torch.randint(3, WORDS, (longest, rows), generator=random).to(device)
    tags = torch.randint(TAGS, (longest, rows), generator=random).to(device)
    layout = Layout(lengths, device)
    own, theirs = Tagger().to(device), PlainTagger().to(device)
    packed_words, packed_tags = (Steps.from_padded(part.T.contiguous(), layout).values for part in (words, tags))
    packed = pack_padded_sequence(tags, lengths, enforce_sorted=False)
    calls = {
        "ours": updates(own, lambda: own.loss(packed_words.int(), packed_tags, lengths), device),
        "torch packed": updates(theirs, lambda: theirs.loss(words, lengths, packed), device),
    }
    report(f"tagger, T {longest}, B {rows}, {SIZE} wide, ragged", calls, device, seconds, 5e-2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small shapes, one short round")
    parser.add_argument("--seconds", type=float, default=1.5, help="of the rounds of a line")
    quick = parser.parse_args().quick
    seconds = 0.1 if quick else parser.parse_args().seconds
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    print(json.dumps({"torch": torch.__version__, "device": name}), flush=True)
    for cell in TORCHS:
        for ragged in (True, False):
            recurrent(cell, 4 if quick else 64, 16 if quick else 256, ragged, device, seconds)
    for longest, rows in ((64, 2048), (256, 512), (1024, 128)):
        for ragged in (True, False):
            for causal in (False, True):
                attention(rows // (128 if quick else 1), longest, ragged, causal, device, seconds)
    tagger(4 if quick else 128, 16 if quick else 64, device, seconds)


if __name__ == "__main__":
    main()
