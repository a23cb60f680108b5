"""A trained run with other values of those settings of its heads that no weight depends on."""

from __future__ import annotations

from collections.abc import Iterable

from ostinato.errors import ConfigError
from ostinato.model.graph import Graph
from ostinato.recipe.paths import parse_set, set_path
from ostinato.recipe.read import restore
from ostinato.run.run import Run


def adjusted(run: Run, sets: Iterable[str]) -> tuple[Run, list[str]]:
    """The run as these settings have it, and those settings that are none of its heads' (`Head.after_training`).

    Args:
        run: whose weights stay as they are.
        sets: `outputs.NAME.head.SETTING=VALUE` and others, as --set takes them.

    Errors:
        ConfigError: a value that the setting cannot have, or a run of several members.
    """
    own, others = list[str](), list[str]()
    for change in sets:
        (own if _is_after_training(run, parse_set(change)[0]) else others).append(change)
    if not own:
        return run, others
    if run.bundle.members:
        raise ConfigError(
            f"--set {own[0]}: {run.folder} has several members; leave it out, or name the members as runs"
        )
    plain = run.recipe.plain()
    for change in own:
        set_path(plain, *parse_set(change))
    recipe = restore(plain, " ".join(f"--set {change}" for change in own))
    graph = Graph(recipe.settings.inputs, recipe.settings.outputs, run.modalities)
    graph.load_state_dict(run.graph.state_dict())
    for output, head in graph.heads.items():
        head.temperature = run.graph.heads[output].temperature
    device = next(run.graph.parameters()).device
    return Run(recipe, run.bundle, run.modalities, graph.to(device).eval(), run.folder), others


def _is_after_training(run: Run, path: str) -> bool:
    side, _, rest = path.partition(".")
    output, _, setting = rest.rpartition(".head.")
    return side == "outputs" and output in run.outputs and setting in run.graph.heads[output].after_training
