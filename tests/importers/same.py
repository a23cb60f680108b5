"""A folder of another tool, imported: its run gives what the tool gave, as expected.json has it."""

import json

import numpy as np

from ostinato import api
from ostinato.run.score import scores

TOLERANCE = 1e-5


def imported(folder, out, **options):
    """The run of a folder, read back from disk."""
    api.import_model(folder, out, **options)
    return api.Run.load(out)


def check_same(folder, out, output):
    """Compares scores of targets, and answers where there are some; gives the run."""
    run = imported(folder, out)
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    given = scores([run], expected["rows"])[output]
    assert given.rows == list(range(len(expected["rows"])))
    if "by_step" in expected:
        for ours, theirs in zip(given.by_step, expected["by_step"], strict=True):
            np.testing.assert_allclose(ours[:, 0], theirs, atol=TOLERANCE, rtol=0)
    for ours, theirs in zip(given.scored.log_probability.tolist(), expected.get("whole", []), strict=False):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE * 10, rtol=0)
    return run, expected
