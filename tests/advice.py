"""How a test takes the advice of a message: what was refused says what to do, and that is done."""

import pytest

from ostinato.errors import OstinatoError


def follow(refused, advice, *ways, error=OstinatoError):
    """The message of `refused()` holds the advice, and each of the ways that it advises works."""
    with pytest.raises(error) as refusal:
        refused()
    message = " ".join(str(refusal.value).split())
    assert advice in message, message
    for way in ways:
        way()
