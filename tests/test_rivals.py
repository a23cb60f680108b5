"""Plain rivals: what they are given, and that nothing is read where there is none."""

from types import SimpleNamespace

from ostinato import rivals
from ostinato.recipe import align_of, from_arguments


class Unread:
    """A table that nobody may read."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} of a table is asked for, and no output has a rival")


def unopened():
    raise AssertionError("the training rows are opened, and no output has a rival that learns from them")


def test_where_no_output_has_a_rival_no_row_is_read():
    settings = from_arguments({"de": "text"}, {"en": "text"}).settings
    run = SimpleNamespace(outputs=settings.outputs, inputs=settings.inputs, recipe=SimpleNamespace(settings=settings))
    assert align_of(settings.outputs["en"]) == "free"
    assert rivals.measured(run, unopened, (Unread(), None)) == {}
