"""The list of what is still to be mended holds nothing that is."""

from tests import house


def test_what_is_mended_is_listed_no_more():
    stale = house.debts() - house.faults()
    assert not stale, "run python -m tests.house:\n" + "\n".join(sorted(stale))
