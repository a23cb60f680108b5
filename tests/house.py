"""What a file of the core may not do: ask a member for its name. Read from the source, so that one test holds for all
files.

The core is everything but the members' own files, `recipe/infer.py`, `recipe/continued.py`, `recipe/first_rows.py`,
`recipe/guessed.py` and `recipe/column_types.py` (which choose a member for a column), `recipe/migrate.py` (which reads
old names), `recipe/other_tools.py` (which answers the words of other tools), the files that importers share (which
describe models of other tools in Ostinato's words), `kernels/` (whose tables name C++ steps, as a cell's `native` gives
them) and `nn/` (which is three cells under torch's names).
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch

import ostinato
from ostinato import registry

ROOT = Path(ostinato.__file__).parent
DEBTS = Path(__file__).with_name("house_debts.txt")
"""What is still to be mended, a line each: file, rule, what. A new one fails, and so does one that is mended and still
listed."""

CHOOSERS = {
    ROOT / "recipe" / name
    for name in (
        "infer.py",
        "continued.py",
        "first_rows.py",
        "guessed.py",
        "column_types.py",
        "migrate.py",
        "other_tools.py",
    )
}
CHOOSERS |= set((ROOT / "importers").glob("_*.py"))
OUTSIDE = ("kernels", "nn")
ORDINARY = frozenset(
    ["calibration", "char", "compare", "constant", "label", "number", "sample", "series", "step", "text", "word"]
    + ["normal", "point"]
)
"""Members whose names are words that mean something else too: a unit, a setting, a key of JSON, a command. Only beside
a `type` are they asked."""
COINCIDENCES = frozenset({"chain", "config", "context", "reader", "totals"})
"""Attributes of a single member that others have too: autograd's `ctx.chain`, transformers' `model.config`, YAML's
`why.context`, `csv.reader`, sacreBLEU's sums."""
ALIGNMENTS = frozenset({"summary", "each", "next", "free", "ahead"})
OTHERS = (str, bytes, list, dict, tuple, set, torch.Tensor, torch.nn.Module, np.ndarray, Path, ast.AST)
"""Classes of other packages whose attributes are no member's."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def members() -> dict[Path, tuple[str, str]]:
    """File -> room and name, of the members that are Ostinato's own."""
    found = {
        registry.folder(room) / f"{name}.py": (room, name) for room in registry.ROOMS for name in registry.names(room)
    }
    return {path: member for path, member in found.items() if path.exists()}


@cache
def core() -> tuple[Path, ...]:
    apart = set(members()) | CHOOSERS
    files = (path for path in sorted(ROOT.rglob("*.py")) if path not in apart)
    return tuple(path for path in files if path.relative_to(ROOT).parts[0] not in OUTSIDE)


def names() -> set[str]:
    return {name for _, name in members().values()}


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(local name, dotted origin) of each import of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name.partition(".")[0], alias.name) for alias in node.names)


def asks_type(node: ast.AST) -> bool:
    """Whether an expression is `x.type`, `x["type"]` or `x.get("type")`."""
    if isinstance(node, ast.Attribute):
        return node.attr == "type"
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "type"
    is_get = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
    return is_get and bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == "type"


def literals(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def compared(tree: ast.Module) -> Iterator[str]:
    """`.type` beside the name of a member, whether in a comparison or a `match`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(map(asks_type, (node.left, *node.comparators))):
            yield from sorted(literals(node) & names())
        elif isinstance(node, ast.Match) and asks_type(node.subject):
            yield from sorted(set().union(*(literals(case.pattern) for case in node.cases)) & names())


def aligned(tree: ast.Module) -> Iterator[str]:
    """The name of an alignment in a comparison, where the alignment could be asked."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and "align" in ast.unparse(node):
            yield from sorted(literals(node) & ALIGNMENTS)


def told_apart(tree: ast.Module) -> Iterator[str]:
    """isinstance, issubclass, `type(x) is` or a `case` on the class of a member."""
    classes = {name for name, origin in imported(tree) if _is_member(origin)}
    for node in ast.walk(tree):
        asked: list[ast.AST] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            asked = list(node.args[1:2]) if node.func.id in ("isinstance", "issubclass") else []
        elif isinstance(node, ast.Compare) and any(isinstance(op, (ast.Is, ast.IsNot, ast.Eq)) for op in node.ops):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchClass):
            asked = [node.cls]
        used = {one.id for part in asked for one in ast.walk(part) if isinstance(one, ast.Name)}
        yield from sorted(used & classes)


def _is_member(origin: str) -> bool:
    module, _, cls = origin.rpartition(".")
    path = ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return path in members() and _is_class(module, cls)


def _is_class(module: str, name: str) -> bool:
    return isinstance(getattr(importlib.import_module(module), name, None), type)


def named(tree: ast.Module) -> Iterator[str]:
    """A literal equal to a member's name, save where a member is chosen and not asked: a default, a value of settings,
    the arguments of the registry; and save a word of a text."""
    chosen: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            chosen.update(one for one in (*node.defaults, *node.kw_defaults) if one is not None)
        elif isinstance(node, ast.keyword):
            chosen.add(node.value)
        elif isinstance(node, ast.Dict):
            chosen.update(node.values)
        elif isinstance(node, ast.Call) and any(literals(one) & set(registry.ROOMS) for one in node.args):
            chosen.update(node.args)
        elif isinstance(node, ast.JoinedStr):
            chosen.update(node.values)
        elif isinstance(node, ast.Expr):
            chosen.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in chosen and node.value in names() - ORDINARY:
            yield node.value


def defined(tree: ast.Module) -> set[str]:
    """The attributes that the classes of a file have: class attributes, methods, `self.x`, settings; and its own
    functions."""
    found = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                targets = inner.targets if isinstance(inner, ast.Assign) else [getattr(inner, "target", None)]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
                if isinstance(inner, ast.FunctionDef):
                    found.add(inner.name)
                    if inner.name == "__init__":
                        found |= {one.arg for one in inner.args.kwonlyargs}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


@cache
def of_one_member() -> set[str]:
    """Attributes that exactly one member has, and nothing in the core."""
    holders: dict[str, set[Path]] = {}
    for path in members():
        for name in defined(tree_of(path)):
            holders.setdefault(name, set()).add(path)
    shared = COINCIDENCES.union(*(defined(tree_of(path)) for path in core()), *map(dir, OTHERS))
    return {name for name, paths in holders.items() if len(paths) == 1 and not name.startswith("_")} - shared


def root_of(node: ast.AST) -> str | None:
    """`torch` of `torch.optim.Adam`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def sole(tree: ast.Module) -> Iterator[str]:
    """An attribute that only one member sets."""
    modules = {name for name, origin in imported(tree)}
    for node in ast.walk(tree):
        name = None
        if isinstance(node, ast.Attribute) and root_of(node) not in modules:
            name = node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            name = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
        if name in of_one_member():
            yield name


def reached_into(path: Path) -> Iterator[str]:
    """An import of a `_module` of another room."""
    room = path.relative_to(ROOT).parts[0]
    for _, origin in imported(tree_of(path)):
        package, *parts = origin.split(".")
        private = any(part.startswith("_") and not part.startswith("__") for part in parts)
        if package == "ostinato" and private and parts[0] != room:
            yield origin


def lambdas(tree: ast.Module) -> Iterator[str]:
    """A lambda bound to a name."""
    for node in ast.walk(tree):
        value = getattr(node, "value", None) if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) else None
        if isinstance(value, ast.Lambda):
            yield ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)


RULES = {"aligned": aligned, "compared": compared, "told_apart": told_apart, "named": named, "sole": sole}
"""Of the core."""


@cache
def faults() -> set[str]:
    found = {
        f"{name_of(path)}: {rule}: {what}" for path in core() for rule in RULES for what in RULES[rule](tree_of(path))
    }
    for path in sorted(ROOT.rglob("*.py")):
        found |= {f"{name_of(path)}: private: {what}" for what in reached_into(path)}
        found |= {f"{name_of(path)}: lambda: {what}" for what in lambdas(tree_of(path))}
    return found


def debts() -> set[str]:
    return set(DEBTS.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    # After mending: drops from the list what is no longer so, and adds nothing.
    DEBTS.write_text("".join(f"{line}\n" for line in sorted(debts() & faults())), encoding="utf-8")
    print(f"{len(debts())} left")
