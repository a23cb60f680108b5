"""Rooms, members, slots, and settings from constructors."""

import functools
import importlib.metadata
import json
import typing
from typing import Annotated, Literal

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

import ostinato.settings
from ostinato import registry
from ostinato.cli.main import group
from ostinato.errors import ConfigError
from ostinato.recipe.read import from_arguments
from ostinato.registry import Count, Rate, Room, SameAs, Settings


class Thing:
    """A thing.

    Args:
        cell: its cell.
        extra: another cell, or nothing.
        several: cells in a list.
        reader: an encoder, or another's.
        size: its size.
    """

    def __init__(
        self,
        wired,
        *,
        cell: Annotated[Settings, Room("cells")] = "lstm",
        extra: Annotated[Settings, Room("cells")] | None = None,
        several: list[Annotated[Settings, Room("cells")]] = [],  # noqa: B006
        reader: Annotated[Settings | SameAs, Room("encoders", shared=True)] = "recurrent",
        size: Count = 3,
        rate: Rate = 0.0,
    ):
        self.wired, self.size = wired, size


THING = registry.derive(Thing, {})


def test_keyword_only_parameters_are_the_settings_and_positional_ones_are_not():
    assert list(THING.model_fields) == ["cell", "extra", "several", "reader", "size", "rate"]
    assert THING.__name__ == "Thing" and THING.__doc__ == "A thing."


@pytest.mark.parametrize("given", ["gru", {"type": "gru"}, registry.settings_class("cells", "gru")()])
def test_a_slot_takes_a_name_a_mapping_or_settings(given):
    assert THING(cell=given).cell == registry.settings_class("cells", "gru")()
    assert THING(several=[given, "rnn"]).several[0].type == "gru"


def test_a_mapping_without_a_type_is_the_slots_default():
    assert THING(cell={"peepholes": True}).cell == registry.settings_class("cells", "lstm")(peepholes=True)
    assert THING(reader={"hidden_size": 8}).reader.type == "recurrent"
    with pytest.raises(ValidationError):
        THING(cell={"reset": "before"})


def test_a_slot_that_may_be_empty_takes_none_by_word_too():
    assert (
        THING(extra="none").extra is None and THING(extra=None).extra is None and THING(extra="gru").extra.type == "gru"
    )
    with pytest.raises(ValidationError):
        THING(cell="none")


def test_defaults_are_settings_too():
    made = THING()
    assert made.cell == registry.settings_class("cells", "lstm")() and made.reader.cell.type == "lstm"


def test_a_reference_is_told_apart_by_having_no_type():
    assert THING(reader={"same_as": "a"}).reader == SameAs(same_as="a")
    with pytest.raises(ValidationError):
        THING(reader={"same_as": "a", "hidden_size": 3})
    with pytest.raises(ValidationError):
        THING(cell={"same_as": "a"})


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": "3"}, {"size": 2.0}, {"size": True}, {"rate": 1.0}, {"rate": -0.1}, {"sise": 3}]
)
def test_limits_types_and_names_are_strict(wrong):
    with pytest.raises(ValidationError):
        THING(**wrong)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        THING().size = 4


@pytest.mark.parametrize("room", [room for room in registry.ROOMS])
def test_settings_go_through_plain_values_and_back(room):
    for name in registry.names(room):
        settings = registry.settings_class(room, name)
        required = {key: field.annotation for key, field in settings.model_fields.items() if field.is_required()}
        needed = {key: next(iter(typing.get_args(annotation)), "x") for key, annotation in required.items()}
        made = settings(**needed)
        assert settings.model_validate(made.plain()) == made
        assert settings.model_validate(made.plain(full=False)) == made
        assert made.plain(full=False)["type"] == name


def test_what_was_set_keeps_its_type_through_short_plain_values():
    settings = ostinato.settings
    head = settings.Autoregressive(
        decoder=settings.RecurrentDecoder(cell=settings.GRU(), attention=settings.ScaledDot(size=8))
    )
    assert head.plain(full=False) == {
        "type": "autoregressive",
        "decoder": {"type": "recurrent", "cell": {"type": "gru"}, "attention": {"type": "scaled_dot", "size": 8}},
    }  # fmt: skip


def test_settings_classes_make_the_recipe_that_the_words_make():
    settings = ostinato.settings
    head = settings.Autoregressive(
        decoder=settings.RecurrentDecoder(cell=settings.GRU(reset="before"), attention=settings.Additive(size=8))
    )
    by_class = from_arguments(
        {"a": settings.Text(encoder=settings.Recurrent(cell=settings.GRU()))},
        {"b": settings.Text(head=head)},
        search=settings.Greedy(),
    )
    by_words = from_arguments(
        {"a": {"type": "text", "encoder": {"cell": "gru"}}},
        {
            "b": {
                "type": "text",
                "head": {"decoder": {"cell": {"type": "gru", "reset": "before"}, "attention": {"size": 8}}},
            }
        },
        search="greedy",
    )
    assert by_class.settings == by_words.settings
    assert by_class.settings.inputs["a"].encoder.cell.type == "gru"


def test_the_settings_module_knows_every_member_and_gives_the_same_class_twice():
    for room in registry.ROOMS:
        for name in registry.names(room):
            cls = registry.component(room, name)
            made = getattr(ostinato.settings, cls.__name__)
            assert made is getattr(ostinato.settings, cls.__name__) and made.__name__ == cls.__name__


def test_the_advice_on_settings_that_there_are_not():
    """`ostinato list` names the members; the class of one is the setting's."""
    with pytest.raises(AttributeError, match=r"ostinato.settings has no 'Grru'; `(ostinato list)` names what there is"):
        ostinato.settings.Grru
    result = CliRunner().invoke(group, ["list", "--json"])
    assert "gru" in json.loads(result.stdout)["cells"] and ostinato.settings.GRU


def test_two_rooms_never_have_members_of_one_class_name():
    found = [registry.component(room, name).__name__ for room in registry.ROOMS for name in registry.names(room)]
    assert len(found) == len(set(found)), "ostinato.settings could give only one of them"


def test_an_unknown_room_or_member_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="no room is called 'cell'; did you mean 'cells'"):
        registry.names("cell")
    with pytest.raises(ConfigError, match="cells has no 'gruu'; did you mean 'gru'.*allowed here: gru, .*rnn"):
        registry.component("cells", "gruu")


def test_the_advice_on_a_constructor_that_names_or_annotates_no_setting():
    class Open:
        def __init__(self, **options):
            pass

    class Bare:
        def __init__(self, *, size=3):
            pass

    class Named:
        def __init__(self, *, size: int = 3):
            pass

    with pytest.raises(TypeError, match=r"Open.__init__ takes \*\*options: name every setting"):
        registry.derive(Open, {})
    assert registry.derive(Named, {})().size == 3
    with pytest.raises(TypeError, match="size has no annotation"):
        registry.derive(Bare, {})


def test_a_component_is_built_from_its_settings_and_its_sizes():
    cell = registry.make("cells", "gru", (3, 5), {"reset": "before"})
    assert (cell.input_size, cell.hidden_size, cell.late_gates) == (3, 5, 1)


@pytest.fixture
def installed(monkeypatch):
    """Entry points as if a package were installed; the registry knows nothing yet."""
    points = []

    def entry_points():
        return importlib.metadata.EntryPoints(
            importlib.metadata.EntryPoint(name, module, f"ostinato.{where}") for where, name, module in points
        )

    monkeypatch.setattr(registry, "_points", entry_points)
    for name in ("names", "component", "settings_class"):
        monkeypatch.setattr(registry, name, functools.cache(getattr(registry, name).__wrapped__))
    return points


def test_a_package_outside_brings_a_member_by_entry_point(installed, tmp_path, monkeypatch):
    (tmp_path / "outside_cells.py").write_text(
        'from typing import Literal\nclass Leaky:\n    """A leaky cell."""\n'
        "    def __init__(self, a, b, *, leak: Literal[1, 2] = 1):\n"
        "        self.leak = leak\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = registry.names.__wrapped__("cells")
    installed.append(("cells", "leaky", "outside_cells"))
    assert registry.names("cells") == tuple(sorted((*before, "leaky")))
    assert registry.summaries("cells")["leaky"] == "A leaky cell."
    assert registry.make("cells", "leaky", (3, 5), {"leak": 2}).leak == 2
    assert registry.derive(Thing, {})(cell="leaky").cell.leak == 1


def test_entry_points_are_read_once_however_many_members_are_asked_for(monkeypatch):
    reads = []
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda: reads.append(1) or importlib.metadata.EntryPoints())
    for name in ("_points", "names", "component"):
        monkeypatch.setattr(registry, name, functools.cache(getattr(registry, name).__wrapped__))
    for room in ("cells", "heads"):
        for name in registry.names(room):
            registry.component(room, name)
    assert len(reads) == 1


def test_the_advice_on_a_package_outside_that_would_take_the_place_of_a_member(installed):
    installed.append(("cells", "gru", "somebodys.cells"))
    advice = "; give it another name in its entry point ostinato.cells, or uninstall it"
    with pytest.raises(ConfigError, match=f"somebodys.cells brings cells a 'gru', which Ostinato has itself{advice}"):
        registry.names("cells")
    installed[:] = [("cells", "gruff", "somebodys.cells")]
    assert "gruff" in registry.names("cells")
    installed.clear()
    registry.names.cache_clear()
    assert "gruff" not in registry.names("cells")


def test_a_type_is_one_word():
    assert registry.settings_class("cells", "gru").model_fields["type"].annotation == Literal["gru"]
