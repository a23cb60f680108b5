"""The search of a trained run with what a command or Python changes of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ostinato.errors import ConfigError
from ostinato.recipe import other_tools
from ostinato.recipe.paths import parse_set, set_path
from ostinato.recipe.read import check as check_recipe
from ostinato.registry import Settings, component, names
from ostinato.run.predict import ranks_labels
from ostinato.run.run import Run


def search_of(run: Run, sets: Iterable[str], n_best: int | None = None, stop: Sequence[str] = ()) -> Settings:
    """The run's search with `search.x=y` overrides, for so many answers.

    Args:
        run: whose search it is.
        sets: `search.x=y`, as --set takes them.
        n_best: answers to each row; None: the search's own.
        stop: texts before which an answer ends; none: the search's own.

    Errors:
        ConfigError: a setting that cannot change once a model is trained, or a search that cannot give so many answers.
    """
    if n_best is not None and n_best < 1:
        raise ConfigError(f"--n-best {n_best}: the number of answers to each row, 1 or more")
    plain, origin = run.recipe.plain(), []
    if isinstance(stop, str):
        raise ConfigError(f"stop: {stop!r} is one text; give a list of texts: [{stop!r}]")
    for change in [*sets, *([f"search.stop={json.dumps(list(stop), ensure_ascii=False)}"] if stop else [])]:
        path, value = parse_set(change)
        if path.split(".")[0] != "search":
            word = other_tools.advice(path, value, {}) or ""
            ours = f"; '{path}' of other tools is --set '{word}'" if word.startswith("search") else ""
            raise ConfigError(
                f"--set {change}: of a trained run only the search can be changed: search.width=5, search=greedy"
                f" ...{ours}"
            )
        if path == "search.type":
            plain["search"] = {"type": value}
        else:
            set_path(plain, path, value)
        origin.append(f"--set {change}")
    if n_best is not None and "search" in plain:
        search = check_recipe(plain, " ".join(origin) or str(run.folder)).search
        if "n_best" not in type(search).model_fields:
            if n_best > 1:
                advice = f"--set search=beam --set search.width={max(5, n_best)}"
                raise ConfigError(f"--n-best {n_best}: search '{search.type}' gives one answer; add {advice}")
        else:
            set_path(plain, "search.n_best", n_best)
            origin.append(f"--n-best {n_best}")
    elif n_best is not None and n_best > 1 and not any(ranks_labels(run, output) for output in run.outputs):
        outputs = ", ".join(run.outputs)
        raise ConfigError(
            f"--n-best {n_best}: {outputs}: one answer to each row, since it is no label and nothing is searched;"
            " leave it out"
        )
    return check_recipe(plain, " ".join(origin)).search if origin else run.recipe.settings.search


def sampling(run: Run, sets: Iterable[str], temperature: float | None, top_p: float | None) -> list[str]:
    """`search.x=y` for a search that draws at this temperature from this share of probability; at 0 for a greedy one.

    Args:
        run: whose search is changed.
        sets: further changes.
        temperature: below 1 sharpens, above 1 flattens; None: the search's own.
        top_p: the share of probability that may be drawn; None: the search's own.
    """
    if temperature == 0:
        drawing = [f"--set {change}" for change in sets if _draws(*parse_set(change))]
        clash = [*drawing, *(["--top-p"] if top_p is not None else [])]
        if clash:
            raise ConfigError(
                f"--temperature 0 takes the likeliest symbol, and {clash[0]} asks for another search; leave one out"
            )
    values = {"temperature": temperature or None, "top_p": top_p}
    changes = [f"search.{name}={value}" for name, value in values.items() if value is not None]
    if temperature == 0:
        return ["search=greedy", *sets, *changes]
    draws = not changes or "temperature" in type(run.recipe.settings.search).model_fields
    return [*([] if draws else ["search=sample"]), *sets, *changes]


def _draws(path: str, value: Any) -> bool:
    """Whether a change asks for a search that draws."""
    kind = value.get("type") if isinstance(value, Mapping) else value
    search = kind if path in ("search", "search.type") and kind in names("searches") else None
    return path == "search.temperature" or (search is not None and component("searches", search).random)
