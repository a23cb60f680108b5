"""A language model beside the model that answers (shallow fusion)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads.contract import Adapted, Generator
from ostinato.modalities.contract import Modality, Symbols, Tokenized
from ostinato.model.continuation import pieces_of
from ostinato.run.run import Run
from ostinato.run.spelling import Spelled
from ostinato.steps import Layout, Steps

Adapt = Callable[[Modality, Generator], Generator]
"""Changes the generator of an output of this modality."""
MOST_LARGER = 0.1
"""Of the pieces of a language model that an output can spell, the share that it may have to spell with several symbols
of its own: of letters that were read within pieces alone the probabilities mean nothing."""
OWN = "language model, "
"""How the names of the language model's values in a state begin."""


class Fused(Adapted):
    """A generator whose symbols a language model judges too.

        score(v) = log p(v | y, x) + weight log q(v | y)

    Args:
        generator: p.
        language: q, which continues from nothing.
        symbols: (V,) the language model's number of each symbol of the generator.
        unknown: its number of what the generator copies though V lacks it.
        weight: of the language model.

    Source: Gulcehre et al. 2015, arXiv:1503.03535, section 4.1; of CTC: Hannun et al. 2014, arXiv:1408.2873.
    """

    def __init__(
        self,
        generator: Generator,
        language: Generator,
        nothing: Callable[[int], Decoding],
        symbols: Tensor,
        unknown: int,
        weight: float,
    ):
        super().__init__(generator)
        self.language, self.nothing, self.symbols, self.weight = language, nothing, symbols, weight
        self.unknown = unknown

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        values = {name: value for name, value in state.values.items() if not name.startswith(OWN)}
        own = {name.removeprefix(OWN): value for name, value in state.values.items() if name.startswith(OWN)}
        distribution, after = self.generator.step(steps, replace(state, values=values))
        before = self.nothing(len(steps))
        before = replace(before, values=own) if own else before
        logs = distribution.by_symbol(self.num_symbols)
        copied = max(logs.shape[1], int(steps.max()) + 1 if len(steps) else 0) - len(self.symbols)
        symbols = pad(self.symbols, (0, copied), value=self.unknown)
        judged, read = self.language.step(symbols[steps.long()], before)
        scores = logs + self.weight * judged.by_symbol(self.language.num_symbols)[:, symbols[: logs.shape[1]]]
        values = after.values | {OWN + name: value for name, value in read.values.items()}
        return Categorical(scores, normalized=True), replace(after, values=values)


def fused_with(run: Run, weight: float, beside: Run) -> Adapt:
    """Puts a language model beside the generators of outputs of text, each symbol found by its text; of words that are
    apart from each other the letters are judged.

    Args:
        run: of an output that continues a text and reads nothing else.
        weight: of its logarithms.
        beside: the run that answers.

    Errors:
        ConfigError: the run is none of a language model, or the other generates nothing; and when an output has no
            texts, or its symbols are parts of those that the language model judges.
    """
    no_text = ConfigError("--language-model: judges the symbols of a text, and this output is none; leave it out")
    if not any(head.generates for head in beside.graph.heads.values()):
        raise no_text
    outputs = [name for name in run.graph.continues if len(run.graph.reads[name]) == 1]
    modality = run.modalities[f"outputs.{outputs[0]}"] if outputs else None
    if modality is None or not isinstance(modality, Tokenized):
        raise ConfigError(
            f"--language-model: {run.folder} continues no text; train one with `ostinato train texts.txt`, whose output"
            " is what follows"
        )
    name = outputs[0]
    of, language = run.graph.continues[name], run.graph.generator(name)
    spec, encoder = modality.spec, run.graph.encoder(of)
    pieces = pieces_of(modality)
    numbers = {text: number for number, text in reversed(list(enumerate(pieces.texts)))}
    assert isinstance(spec, Symbols)

    def nothing(rows: int) -> list[Encoded]:
        empty = Steps(torch.zeros(0, dtype=torch.int64, device=run.device), Layout([0] * rows, run.device))
        return [encoder.encode(empty)]

    def adapt(other: Modality, generator: Generator) -> Generator:
        if not isinstance(other, Tokenized) or not generator.num_symbols:
            raise no_text
        assert isinstance(other.spec, Symbols)
        texts = pieces_of(other).texts
        if pieces.apart and " " in texts and not pieces_of(other).apart:
            letters = Spelled(language, spec.unknown, pieces.texts, texts, int(generator.begin), int(generator.end))
            every = torch.arange(len(texts), device=run.device)
            unknown = other.spec.unknown
            return Fused(generator, letters, lambda rows: letters.start(nothing(rows)), every, unknown, weight)
        known = set(texts)
        larger = [piece for piece in pieces.texts if len(piece) > 1 and piece not in known and known.issuperset(piece)]
        shared = known.intersection(pieces.texts)
        if len(larger) > MOST_LARGER * (len(larger) + len(shared)):
            raise ConfigError(
                f"--language-model: {run.folder} judges pieces such as {larger[0]!r}, which this output spells out;"
                " train it with the tokenizer of this output, such as `ostinato train texts.txt --set data.rows=lines"
                " --set inputs.text.tokenizer=char`, or with one of words where the output has blanks"
            )
        symbols = torch.tensor([numbers.get(text, spec.unknown) for text in texts], device=run.device)
        symbols[int(generator.begin)], symbols[int(generator.end)] = spec.begin, spec.end
        return Fused(generator, language, lambda rows: language.start(nothing(rows)), symbols, spec.unknown, weight)

    return adapt
