"""House laws over all rooms: what help, schema and docs are made from is there, and the schema says what the recipe
says."""

import ast
import importlib
import inspect
import itertools
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import ostinato
from ostinato import contracts, registry
from ostinato.model.columns import InputFields, OutputFields
from ostinato.recipe import read as recipe_read
from ostinato.recipe import schema as recipe_schema
from ostinato.recipe.yaml_text import parse_yaml
from ostinato.training.loop import Training
from tests import house, house_advice

ROOT = Path(ostinato.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MEMBERS = [(room, name) for room in registry.ROOMS for name in registry.names(room)]
DECLARED = [pytest.param(registry.component(room, name), id=f"{room}.{name}") for room, name in MEMBERS] + [
    pytest.param(cls, id=cls.__name__) for cls in (InputFields, OutputFields, Training)
]
RECIPES = sorted([*(ROOT.parent / "recipes").glob("*.yaml"), *(ROOT / "builtin").glob("[ds]*.yaml")])


def described(cls):
    """The parameters that a class's docstring describes under `Args:`, and the text of each."""
    part = re.search(r"^Args:\n((?:    .*\n?|\n)*)", inspect.getdoc(cls) or "", re.MULTILINE)
    lines = re.findall(r"^    (\w+): (.+)$", part[1] if part else "", re.MULTILINE)
    return dict(lines)


@pytest.mark.parametrize("cls", DECLARED)
def test_every_setting_is_annotated_and_described(cls):
    settings = {parameter.name for parameter in registry.keyword_only(cls)}
    missing = settings - set(described(cls))
    assert not missing, f"{cls.__name__}: no line under `Args:` for {', '.join(sorted(missing))}"


@pytest.mark.parametrize("cls", DECLARED)
def test_every_described_parameter_is_one(cls):
    parameters = set(inspect.signature(cls.__init__).parameters)
    assert set(described(cls)) <= parameters, f"{cls.__name__} describes what it does not take"


@pytest.mark.parametrize("cls", DECLARED)
def test_the_first_line_of_a_docstring_is_one_sentence(cls):
    first, *rest = inspect.getdoc(cls).split("\n")
    assert first.endswith(".") and (not rest or not rest[0]), f"{cls.__name__}: {first}"


@pytest.mark.parametrize(("room", "name"), MEMBERS)
def test_a_file_in_a_room_names_its_class(room, name):
    cls = registry.component(room, name)
    assert (
        cls.__name__.lower() in (name.replace("_", ""), name.replace("_", "") + room.removesuffix("s"))
        and cls.__module__ == f"{registry.ROOMS[room]}.{name}"
    )


@pytest.mark.parametrize(("room", "name"), MEMBERS)
def test_a_member_keeps_its_rooms_contract_and_is_never_a_base(room, name):
    contract = __import__(f"{registry.ROOMS[room]}.contract", fromlist=["_"])
    cls = registry.component(room, name)
    own = [base for base in cls.__mro__[1:] if base.__module__ == contract.__name__]
    assert own and not inspect.isabstract(cls)
    others = {registry.component(other, one) for other, one in MEMBERS} - {cls}
    assert not others & set(cls.__mro__), "a member is final: never subclassed"


@pytest.mark.parametrize(("room", "name"), MEMBERS)
def test_settings_are_frozen_strict_and_complete(room, name):
    settings = registry.settings_class(room, name)
    assert (
        settings.model_config["frozen"]
        and settings.model_config["strict"]
        and settings.model_config["extra"] == "forbid"
    )
    wanted = [parameter.name for parameter in registry.keyword_only(registry.component(room, name))]
    assert list(settings.model_fields) == ["type", *wanted]


def test_no_room_is_outside_the_registry():
    rooms = {path.parent for path in ROOT.rglob("contract.py")}
    listed = {registry.folder(room) for room in registry.ROOMS}
    assert rooms - listed == {ROOT / "kernels", ROOT / "data"}, "these two are chosen by the machine and by the file"
    assert not listed - rooms


def public(module):
    """The names that a module defines itself, without an underscore in front."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id


@pytest.mark.parametrize("room", registry.ROOMS)
def test_every_public_name_of_a_rooms_contract_is_re_exported(room):
    contract = importlib.import_module(f"{registry.ROOMS[room]}.contract")
    missing = {name for name in public(contract) if not name.startswith("_")} - set(contracts.__all__)
    assert not missing, f"add them to the imports of ostinato/contracts.py: {', '.join(sorted(missing))}"


def functions(tree):
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))


def test_no_function_takes_whatever_comes():
    """Save to refuse it with what to write, and in the one signature that scikit-learn prescribes."""
    for path in FILES:
        for node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "set_params":
                continue
            assert node.args.kwarg is None or node.args.kwarg.arg == "refused", (
                f"{path}:{node.lineno}: name every setting in place of **{node.args.kwarg.arg}"
            )


def test_nothing_asks_hasattr_or_catches_everything():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            asks = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("hasattr", "eval", "exec")
            )
            assert not asks, f"{path}:{node.lineno}: {node.func.id}"
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or (
                    isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
                )
                raises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                assert not broad or raises, f"{path}:{node.lineno}: a broad except that does not raise again"


def test_nothing_is_unpickled():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load"):
                continue
            owner = node.func.value
            loads = isinstance(owner, ast.Name) and owner.id in ("torch", "pickle")
            safely = any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in node.keywords)
            assert not loads or (owner.id == "torch" and safely), f"{path}:{node.lineno}"


def test_the_core_asks_no_member_for_its_name():
    """See tests/house.py for what that means, and tests/house_debts.txt for what is left to be mended."""
    new = house.faults() - house.debts()
    assert not new, "ask the member by its contract (what must wait stands in tests/house_debts.txt):\n" + "\n".join(
        sorted(new)
    )


def test_what_is_mended_is_listed_no_more():
    stale = house.debts() - house.faults()
    assert not stale, "run python -m tests.house:\n" + "\n".join(sorted(stale))


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("settings.type == 'gru'", "compared"),
        ("settings['type'] in ('gru', 'lstm')", "compared"),
        ("plain.get('type') != 'lstm'", "compared"),
        ("match settings.type:\n    case 'lstm': pass", "compared"),
        ("align_of(one) == 'next'", "aligned"),
        ("from ostinato.cells.lstm import LSTM\nisinstance(cell, LSTM)", "told_apart"),
        ("from ostinato.cells.lstm import LSTM\ntype(cell) is LSTM", "told_apart"),
        ("from ostinato.cells.lstm import LSTM\nmatch cell:\n    case LSTM(): pass", "told_apart"),
        ("GATED = ('lstm', 'gru')", "named"),
        ("{('lstm', 1): 2}", "named"),
        ("settings.coverage_penalty", "sole"),
        ("getattr(settings, 'coverage_penalty', 0)", "sole"),
        ("square = lambda x: x * x", "lambdas"),
    ],
)
def test_the_reader_of_the_core_sees_what_asks_for_a_name(code, rule):
    assert list({**house.RULES, "lambdas": house.lambdas}[rule](ast.parse(code))), code


def test_every_advice_is_followed_by_a_test():
    """See tests/house_advice.py for what advises, and for how a test follows it."""
    strings = house_advice.every()
    left = {house_advice.shown(string): string for string in house_advice.left(strings, house_advice.units())}
    new = [f"{left[text].place}: {text}" for text in left.keys() - house_advice.EXCUSED.keys()]
    assert not new, "let a row or a test with `advice` in its name take the advice of:\n" + "\n".join(sorted(new))
    stale = house_advice.EXCUSED.keys() - left.keys()
    assert not stale, "followed, or gone: take it out of EXCUSED:\n" + "\n".join(sorted(stale))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("raise ValueError(f'{name}: it has none; leave it out, or set x')", "leave it out"),
        ("note('this may be wrong, set x: 3')", "set x: 3"),
        ("fail(f'did it fail? `ostinato look {data}` shows why')", "ostinato look"),
        ("fail('use --data FILE')", "--data FILE"),
        ("fail(f'two of {x}, ' f'or give three')", "give three"),
    ],
)
def test_the_reader_of_advice_sees_it(code, advice):
    (string,) = house_advice.advising(ast.parse(code), "x.py")
    assert string.advice == advice and house_advice.left((string,), ()) == [string]
    assert not house_advice.left((string,), (string.text.replace(house_advice.HOLE, "3"),))


@pytest.mark.parametrize(
    "code",
    ["'''Leave it out; set x.'''", "option(help='Give one, or set x.')", "note('a set of labels')", "note('left out')"],
)
def test_the_reader_of_advice_leaves_what_advises_nothing_alone(code):
    assert not [*house_advice.advising(ast.parse(code), "x.py")]


def test_two_messages_with_one_advice_need_a_unit_each():
    first, second = (
        string
        for what in ("a is 3 now", "b is 5 later")
        for string in house_advice.advising(ast.parse(f"fail('{what}; leave it out')"), "x.py")
    )
    assert house_advice.left((first, second), ("b is 5 later; leave it out",)) == [first]
    assert house_advice.left((first, second), ("leave it out", "a is 3 now")) == [first, second]


@pytest.mark.parametrize(
    "code",
    [
        "def f(cell='lstm'): pass",
        "{'cell': 'gru'}",
        "settings_class('searches', 'greedy')",
        "x.device.type == 'cpu'",
        "unit == 'step'",
        "f'{a} lstm'",
        "import torch\ntorch.optim.Adam",
        "from ostinato.cells.contract import Cell\nisinstance(cell, Cell)",
    ],
)
def test_the_reader_of_the_core_leaves_what_chooses_a_member_alone(code):
    assert not [what for rule in house.RULES.values() for what in rule(ast.parse(code))]


def test_at_most_12_modules_stand_in_the_packages_root():
    assert len(list(ROOT.glob("*.py"))) <= 12


def test_naming_the_members_of_rooms_imports_none_of_them():
    code = (
        "import sys; from ostinato.registry import ROOMS, names, summaries\n"
        "for room, module in ROOMS.items():\n"
        "    for name in names(room): assert f'{module}.{name}' not in sys.modules, name\n"
        "    summaries(room)\n"
        "    for name in names(room): assert f'{module}.{name}' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("room", "name"), MEMBERS)
def test_the_line_that_list_shows_is_the_docstrings_first(room, name):
    assert registry.summaries(room)[name] == inspect.getdoc(registry.component(room, name)).split("\n")[0]


# The schema, judged by a validator that knows nothing of ours.


@pytest.fixture(scope="module")
def validator():
    schema = recipe_schema.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def read(path):
    return parse_yaml(path.read_text(encoding="utf-8"), path.name)


def test_there_are_recipes_to_judge():
    assert len(RECIPES) >= 9


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_schema_and_the_recipe_take_every_recipe_that_is_shipped(validator, path):
    validator.validate(read(path))
    recipe_read.load(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_schema_takes_every_full_recipe(validator, path):
    full = recipe_read.load(path).plain()
    validator.validate(full)
    assert recipe_read.restore(full, "full").plain() == full, "what is kept with a model reads back as itself"


def places(plain, path=()):
    """The path of every mapping of a recipe, but the ones whose keys are names that the user gives."""
    if isinstance(plain, dict):
        if path not in (("inputs",), ("outputs",)) and path[:1] != ("data",):
            yield path
        for key, value in plain.items():
            yield from places(value, (*path, key))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_schema_and_the_recipe_refuse_a_misspelt_key_anywhere(validator, path):
    for place in [*places(read(path))]:
        plain = read(path)
        here = plain
        for key in place:
            here = here[key]
        here["hiden_size"] = 3
        assert not validator.is_valid(plain), f"the schema takes a misspelt key at {'.'.join(place) or 'the top'}"
        with pytest.raises(ostinato.errors.ConfigError, match="hiden_size"):
            recipe_read.check(plain, "test")


WRONG = {
    "inputs.a": ("txt", {"type": "txt"}, 5, {"encoder": "recurent"}, {"encoder": {"hidden_size": "large"}}),
    "outputs.b": (
        "txt",
        {"type": "text", "head": "autoregresive"},
        {"type": "text", "head": {"decoder": {"cell": "gruu"}}},
        None,
    ),
    "search": ("bean", {"type": "beam", "width": 0}, 7),
    "training.optimizer": ("adamm", {"type": "adam", "learning_rate": -1}),
    "training.epochs": (0, 1.5, "3", None),
    "version": (4, "3"),
}
WRONGS = [(path, value) for path, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("path", "value"), WRONGS, ids=lambda value: str(value))
def test_what_the_recipe_refuses_the_schema_refuses_too(validator, path, value):
    plain = {"inputs": {"a": "text"}, "outputs": {"b": "text"}}
    *parents, last = path.split(".")
    here = plain
    for key in parents:
        here = here.setdefault(key, {})
    here[last] = value
    with pytest.raises(ostinato.errors.ConfigError):
        recipe_read.check(plain, "test")
    assert not validator.is_valid(plain), f"the schema takes {path}: {value}"


def test_the_schema_takes_the_short_forms(validator):
    for encoder, attention in itertools.product(
        ("recurrent", {"cell": "gru"}, {"same_as": "a"}), ("none", None, "dot", {"size": 4})
    ):
        plain = {
            "inputs": {"a": "text", "b": {"type": "text", "encoder": encoder}},
            "outputs": {
                "c": {"type": "text", "tokenizer": {"same_as": "a"}, "head": {"decoder": {"attention": attention}}}
            },
            "search": "greedy",
        }
        validator.validate(plain)
        recipe_read.check(plain, "test")
