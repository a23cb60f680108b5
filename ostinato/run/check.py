"""What a recipe will build, before it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ostinato.model.graph import Graph
from ostinato.preprocessing.prepare import Prepared, prepare
from ostinato.recipe.columns import second_readings
from ostinato.recipe.read import Recipe
from ostinato.run.flops import flops
from ostinato.run.transfer import transfer_of


@dataclass(frozen=True)
class Check:
    """What a recipe will build.

    Args:
        recipe: where it comes from.
        parameters: their number by part of the model.
        kernels: what computes the recurrences of each part.
        update_steps: real steps of the first update.
        update_flops: multiplications and additions of its products, forward and backward (`flops`).
        look_ahead: of each input the steps to wait for before the first answer; None: the whole input.
        look_ahead_seconds: likewise from the beginning of a step, where steps have a length in time.
        chosen: path, value and reason of each setting chosen from the data.
        notes: what was noticed in the data.
        yaml: the recipe with every default and chosen size.
    """

    recipe: str
    parameters: dict[str, int]
    kernels: dict[str, str]
    update_steps: int
    update_flops: int
    look_ahead: dict[str, int | None]
    look_ahead_seconds: dict[str, float | None]
    chosen: list[tuple[str, Any, str]]
    notes: list[str]
    yaml: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check(recipe: Recipe, roots: Sequence[Path], say: Callable[[str], None]) -> Check:
    """Prepares the data as for training, builds the model and counts the cost of one update."""
    transfer = transfer_of(recipe, roots)
    recipe, known = (recipe, {}) if transfer is None else (transfer.recipe, transfer.facts)
    prepared = prepare(recipe, roots=roots, known=known, say=say)
    settings, reasons = prepared.recipe.settings, prepared.recipe.reasons
    graph = Graph(settings.inputs, settings.outputs, prepared.modalities)
    if transfer is not None:
        transfer.start(graph, prepared.modalities, say)
    graph.freeze(settings.training.freeze)
    steps, flops = _update_cost(prepared, graph)
    again = second_readings(settings)
    names = [name for name in settings.inputs if f"inputs.{name}" not in again]
    ahead = {name: graph.encoder(name).look_ahead for name in names}
    return Check(
        recipe.origin,
        graph.parts(),
        graph.recurrences(),
        steps,
        flops,
        ahead,
        {
            name: None if steps is None else prepared.modalities[f"inputs.{name}"].latency(steps)
            for name, steps in ahead.items()
        },
        [(path, prepared.recipe.at(path), why) for path, why in reasons.items()],
        prepared.notes,
        prepared.recipe.yaml(),
    )


def _update_cost(prepared: Prepared, graph: Graph) -> tuple[int, int]:
    """Real steps of the first update, and the multiplications and additions of its products."""
    training, examples = prepared.recipe.settings.training, prepared.splits["train"]
    batches = [examples.fetch(part) for part in examples.batches(training).epoch(0)[: training.accumulate]]
    steps = sum(
        column.layout.total for batch in batches for column in (*batch.inputs.values(), *batch.targets.values())
    )
    graph.train()

    def update() -> None:
        carried = ()
        for batch in batches:
            losses, carried = (graph.losses(batch), ()) if batch.pieces is None else graph.losses_from(batch, carried)
            sum(loss.total for loss in losses.values()).backward()

    return steps, flops(update)
