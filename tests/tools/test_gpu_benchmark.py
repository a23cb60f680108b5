"""benchmarks/gpu.py on a CPU, at a small size: every contestant is still built and computes the same."""

import json

import pytest

from tests.scripts import script

BENCHMARK = script("benchmarks/gpu.py")


@pytest.mark.parametrize(("ragged", "causal"), [(True, False), (False, True)])
def test_attention_and_its_padded_rival_compute_the_same(capsys, ragged, causal):
    BENCHMARK.attention(2, 16, ragged, causal, "cpu", 0.0)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[-1]["ms"].keys() == {"ours", "padded"}


def test_the_tagger_and_its_rival_both_guess_at_first(capsys):
    BENCHMARK.tagger(2, 8, "cpu", 0.0)
    assert json.loads(capsys.readouterr().out)["ms"].keys() == {"ours", "torch packed"}
