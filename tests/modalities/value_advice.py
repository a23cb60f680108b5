"""How the advice on a value or a setting of a modality is followed."""

import numpy as np
import pytest

from ostinato.errors import OstinatoError
from ostinato.registry import make


def used(type, options, column, raw=None):
    """A modality with these options fitted on a column; a value encoded, decoded and written."""
    raw, column = raw() if callable(raw) else raw, [cell() if callable(cell) else cell for cell in column]
    modality = make("modalities", type, options=options)
    modality.fit(column)
    raw = column[0] if raw is None else raw
    steps = modality.encode(raw)
    assert len(steps) and np.isfinite(np.asarray(steps, np.float64)).any()
    modality.decode(steps)
    modality.write(raw)


def follow(row):
    """What is refused with the advice is read with each change that follows it."""
    type, options, column, raw, advice, *changes = row
    refused = {"type": type, "options": options, "column": column, "raw": raw}
    with pytest.raises(OstinatoError) as refusal:
        used(**refused)
    assert all(part in str(refusal.value) for part in advice.split(" ... "))
    for change in changes:
        used(**refused | change)
