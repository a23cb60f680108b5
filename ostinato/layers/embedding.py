"""The first layer of an encoder: one vector per step, whatever a step is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

import torch
from pydantic import BeforeValidator, Discriminator, Tag
from torch import Tensor, nn
from torch.nn import functional

from ostinato.errors import ConfigError
from ostinato.kernels.watch import shown
from ostinato.layers.characters import FILTERS, WIDTH, Characters, without_characters
from ostinato.modalities.contract import MISSING, Labels, Spec, Symbols, Values
from ostinato.registry import Count, Settings
from ostinato.steps import Steps

KINDS = ("learnt", "one_hot")


class Vectors(Settings):
    """Vectors of words that somebody has trained before: what a learnt embedding starts from.

    Args:
        file: text as GloVe or word2vec write it, also .gz: a word a line and its numbers; relative to the recipe, then
            to the data root.
        frozen: whether the embedding stays as it starts, also where the file has no vector of a word.
        extend: whether words of the file that training lacks are known too, by their vectors there: true for all of
            them, or how many of the file's first words, the most frequent in GloVe's files. These vectors stay as they
            are, frozen or not.
    """

    file: str
    frozen: bool = False
    extend: bool | Count = False


def _known(value: Any) -> Any:
    if isinstance(value, str) and value not in KINDS:
        raise ValueError(f"input should be {', '.join(KINDS)} or a mapping {{file: PATH}} that names vectors of words")
    return value


Kind = Annotated[
    Union[Annotated[Literal["learnt", "one_hot"], Tag("kind")], Annotated[Vectors, Tag("vectors")]],  # noqa: UP007
    Discriminator(lambda value: "vectors" if isinstance(value, (dict, Vectors)) else "kind"),
    BeforeValidator(_known),
]
"""What an embedding is made of: learnt from nothing, one-hot, or learnt from these vectors on."""


class Table(nn.Embedding):
    """A learnt vector for each symbol: torch's module, on a CPU with faster rows and gradients."""

    def forward(self, numbers: Tensor) -> Tensor:
        # On a CPU the same rows and, to the bit, the same gradient in less time; on a GPU its sums would have no order.
        return self.weight.index_select(0, numbers) if numbers.device.type == "cpu" else super().forward(numbers)


class Embedding(nn.Module):
    """One vector per step, learnt or one-hot.

        learnt, symbols:    e[t] = E[x[t]]                      a row of a table
        learnt, values:     e[t] = W x[t] + b
        added words:        e[t] = G[x[t] - V]                  the vectors of a file, behind the V symbols of training
        one-hot, symbols:   e[t] = 1 at x[t], 0 elsewhere       no parameters, as wide as there are symbols

    A learnt table may start from vectors of words; who builds it gives them to `start_from`, since the file is needed
    but once. Labels, one each, are symbols; several at once are values. A step that nobody gave a label is zeros; of
    several, none is set. A missing value is 0.
    Words with their spelling have a vector of their characters beside (`Characters`): E is then as much wider.

    With `rare_word_dropout` a training step reads a symbol as the unknown one now and then, the rarer the more often;
    its characters are read in any case:

        p(unknown for v) = alpha / (alpha + count(v))           0 for an added word, which no update changes

    Shapes:
        symbols (N,) whole numbers, words with characters (N, 1 + L), or values (N, C); returns (N, E)

    Args:
        spec: what one step is.
        size: E without characters; None: as wide as there are symbols, or values.
        kind: learnt, one-hot, or the vectors that it starts from.
        rare_word_dropout: alpha.
        init: how a learnt table of symbols begins: normal has variance 1, uniform 1 / E, so that what is seldom seen is
            no noise beside the rest.
        character_size, character_width: the filters over characters, and how many of these each reads.

    The attribute `size` is the whole E.

    Errors:
        ConfigError: one-hot steps of real numbers, or of another size than there are symbols; vectors of words where
            steps are no symbols, or without their size; `rare_word_dropout` of what was not counted;
            filters over characters where there are none.

    Source: uniform within sqrt(3 / E): Ma and Hovy 2016, arXiv:1603.01354, section 3.1; unknown words in training:
        Kiperwasser and Goldberg 2016, arXiv:1603.04351, section 4, after Iyyer 2015.
    """

    def __init__(
        self,
        spec: Spec,
        size: int | None,
        *,
        kind: Literal["learnt", "one_hot"] | Vectors = "learnt",
        rare_word_dropout: float = 0.0,
        init: Literal["normal", "uniform"] = "normal",
        character_size: int = FILTERS,
        character_width: int = WIDTH,
    ):
        super().__init__()
        if isinstance(kind, Vectors) and not isinstance(spec, Symbols):
            raise ConfigError(f"embedding: {kind.file}: the steps of this input are no words; allowed here: learnt")
        if isinstance(kind, Vectors) and size is None:
            raise ConfigError(
                f"embedding: {kind.file}: embedding_size is that of the vectors, which a recipe reads from the file; "
                "give it here"
            )
        width = spec.size if size is None else size
        self.num_symbols = spec.size
        self.learnt = None
        self.known, beside = spec.size, spec.added if isinstance(spec, Symbols) else 0
        self.numbered = spec.stored[0] == "int32"
        self.may_miss = not isinstance(spec, Symbols)
        if kind != "one_hot":
            self.known -= beside
            self.learnt = Table(self.known, width) if self.numbered else nn.Linear(spec.size, width)
        elif not self.numbered:
            raise ConfigError(
                "embedding: one_hot: each step of this input is a vector of real numbers; allowed here: learnt"
            )
        elif width != spec.size:
            raise ConfigError(
                f"embedding_size: {size} with embedding: one_hot, which is as wide as there are symbols ({spec.size}); "
                "leave embedding_size out, or set embedding: learnt"
            )
        if init != "normal":
            if kind != "learnt" or not self.numbered:
                what = "vectors of real numbers" if not self.numbered else "no learnt table that begins anew"
                raise ConfigError(f"embedding_init: {init}: the steps of this input have {what}; leave it out")
            bound = (3 / width) ** 0.5
            nn.init.uniform_(self.learnt.weight, -bound, bound)
        if isinstance(kind, Vectors):
            self.learnt.weight.requires_grad_(not kind.frozen)
        self.characters = None
        if isinstance(spec, Symbols) and spec.characters:
            self.characters = Characters(spec.characters, size=character_size, width=character_width)
        elif (character_size, character_width) != (FILTERS, WIDTH):
            raise without_characters("character_size" if character_size != FILTERS else "character_width")
        self.size = width if self.characters is None else width + self.characters.size
        unknown = None
        if rare_word_dropout:
            counts = spec.counts if self.numbered and not isinstance(spec, Values) else ()
            if not any(counts):
                option = "rare_label_dropout" if isinstance(spec, Labels) else "rare_word_dropout"
                raise ConfigError(
                    f"{option}: needs the counts of an input's symbols or labels, which tokens, text of whole words and"
                    " category keep; leave it out"
                )
            self.unknown = spec.unknown if isinstance(spec, Symbols) else MISSING
            unknown = rare_word_dropout / (rare_word_dropout + torch.tensor(counts, dtype=torch.float32))
            unknown = functional.pad(unknown, (0, beside))
        self.register_buffer("read_as_unknown", unknown, persistent=False)
        # No parameter, so that an update costs what the words of training cost, however many there are beside.
        self.register_buffer("added", torch.zeros(beside, width) if beside and self.learnt is not None else None)
        # A one-hot embedding has no parameters; this tells the type that the module was moved to.
        self.register_buffer("one", torch.ones(()), persistent=False)

    @torch.no_grad()
    def start_from(self, vectors: Tensor, added: Tensor | None = None) -> None:
        """Puts these vectors, one for each symbol, in the place of those that were drawn.

        Shapes:
            vectors (V, size without characters), of the symbols of training
            added (W, size without characters), of the words behind them; None: there are none
        """
        for own, given in ((None if self.learnt is None else self.learnt.weight, vectors), (self.added, added)):
            shapes = [None if tensor is None else tuple(tensor.shape) for tensor in (given, own)]
            if shapes[0] != shapes[1]:
                raise ValueError(f"vectors of shape {shapes[0]} do not fit an embedding of shape {shapes[1]}")
            if own is not None:
                own.copy_(given)

    @torch.no_grad()
    def start_as_added(self, places: Mapping[int, int]) -> None:
        """Lets symbols of training, by their numbers, start from the vectors of added words at these places."""
        for number, place in places.items():
            self.learnt.weight[number] = self.added[place]

    def forward(self, steps: Steps) -> Steps:
        return steps.with_values(shown(self, self._embedded(steps.values), steps.layout, is_input=True))

    def blank(self) -> Tensor:
        """(E,) a step that tells nothing: the embedding of zeros for numbers, else the mean of all symbols, with zeros
        for their characters."""
        if not self.numbered:
            return self.learnt.bias
        if self.learnt is None:
            return self.one.new_full((self.size,), 1 / self.num_symbols)
        mean = self.learnt.weight.mean(0)
        return functional.pad(mean, (0, self.size - len(mean)))

    def _embedded(self, values: Tensor) -> Tensor:
        if not self.numbered:
            return self.learnt((values.nan_to_num() if self.may_miss else values).to(self.one.dtype))
        if self.characters is not None:
            return torch.cat([self._numbered(values[:, 0]), self.characters(values[:, 1:])], 1)
        if not self.may_miss:
            return self._numbered(values)
        values = self._with_unknown(values)
        known = (values != MISSING).unsqueeze(1)
        return self._looked_up(values.clamp(min=0)) * known

    def _numbered(self, numbers: Tensor) -> Tensor:
        return self._looked_up(self._with_unknown(numbers))

    def _with_unknown(self, numbers: Tensor) -> Tensor:
        """Some of them as unknown, in training."""
        if not self.training or self.read_as_unknown is None:
            return numbers
        rates = self.read_as_unknown.index_select(0, numbers.clamp(min=0))
        return numbers.masked_fill(torch.rand_like(rates) < rates, self.unknown)

    def _looked_up(self, numbers: Tensor) -> Tensor:
        if self.learnt is None:
            return functional.one_hot(numbers.long(), self.num_symbols).to(self.one.dtype)
        if self.added is None:
            return self.learnt(numbers)
        own = self.learnt(numbers.clamp(max=self.known - 1))
        theirs = self.added.index_select(0, (numbers - self.known).clamp(min=0))
        return torch.where((numbers < self.known).unsqueeze(1), own, theirs)
