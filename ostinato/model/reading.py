"""What the outputs of a graph make of one batch: each input is encoded once, however many outputs read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Scored
from ostinato.model.continuation import score as score_in_parts
from ostinato.model.graph import Graph, of_rows
from ostinato.steps import Steps


class Reading:
    """The inputs of a batch, each encoded when the first output reads it and kept for the others.

    Of an input that an output continues, that output reads less than others do, and reads it by itself.

    Args:
        graph: that reads.
        inputs: the steps of each input, or of those that the outputs asked for read.
    """

    def __init__(self, graph: Graph, inputs: Mapping[str, Steps]):
        self.graph, self.inputs = graph, inputs
        self._encoded: dict[str, Encoded] = {}

    def encoded(self, name: str) -> Encoded:
        """One input, encoded."""
        if name not in self._encoded:
            self._encoded[name] = self.graph.encode({name: self.inputs[name]})[name]
        return self._encoded[name]

    def _read_by(self, output: str) -> dict[str, Encoded]:
        return {name: self.encoded(name) for name in self.graph.reads[output]}

    def _beside(self, output: str) -> list[Encoded]:
        """What an output reads beside the input that it continues."""
        of = self.graph.continues[output]
        return [self.encoded(name) for name in self.graph.reads[output] if name != of]

    def read(self, output: str, rows: Tensor | None = None) -> list[Encoded]:
        """What an output reads, through its join if it has one; of these rows alone, if any are named."""
        return of_rows(self.graph.wired(output, self._read_by(output), self.inputs), rows)

    def prompted(
        self, output: str, prompt: Steps | None = None, rows: Tensor | None = None
    ) -> tuple[list[Encoded], Tensor | None]:
        """What a generation starts from, and the first symbol of each example, or None for the generator's own.

        Of the input that the output continues all but the last symbol is read; that one is the first.

        Args:
            output: that is generated.
            prompt: in place of the input that the output continues.
            rows: these alone, if any are named.
        """
        of = self.graph.continues.get(output)
        if of is None:
            return self.read(output, rows), None
        read = self.graph.as_continued(output, self.inputs[of] if prompt is None else prompt)
        last = read.layout.offsets[1:].to(read.values.device) - 1
        encoded = [self.graph.encoder(of).encode(read.without_last()), *self._beside(output)]
        first = read.values[last]
        return of_rows(encoded, rows), first if rows is None else first.index_select(0, rows)

    @torch.no_grad()
    def predict_distribution(
        self, output: str, targets: Steps | None = None, rows: Tensor | None = None
    ) -> Distribution:
        """The distribution of an output that needs no search; with `targets` each step of it depends on the true steps
        before it."""
        return self.graph.heads[output].predict_distribution(self.read(output, rows), targets)

    @torch.no_grad()
    def score(self, output: str, targets: Steps, rows: Tensor | None = None) -> Scored:
        """The log-probability of targets: a row for each of `rows`, by default all."""
        graph = self.graph
        head = graph.heads[output]
        if output in graph.joins and graph.joins[output].draws_codes:
            joined, beside = graph.parted(output, list(self._read_by(output).values()))
            encoded, cost = graph.joins[output].scored(joined)
            scored = head.score(of_rows([encoded, *beside], rows), targets)
            cost = cost if rows is None else cost.index_select(0, rows)
            return dataclasses.replace(scored, log_probability=scored.log_probability - cost, distance=cost)
        of = graph.continues.get(output)
        if of is None or not head.generates:
            return head.score(self.read(output, rows), targets)
        read = graph.as_continued(output, self.inputs[of])
        read = read if rows is None else read.select(rows)
        return score_in_parts(graph.encoder(of), head, read, of_rows(self._beside(output), rows), targets)
