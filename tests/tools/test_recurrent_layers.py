"""The benchmark of recurrent layers at tiny shapes: that it runs, what it counts, what a wrong or dead peer does to
it."""

import gzip
import importlib
import json
import math
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
TINY = ["--shapes", "6,3,4,5", "5,1,4,5", "--stream-sizes", "8", "--cells", "rnn", "lstm", "--rounds", "2"]

PEER = """
import sys
sys.path.insert(0, {benchmarks!r})
import numpy
from _peer_service import Made, begin, serve

def make(case):
    given = numpy.load(case["numbers"])
    weights = [given[name].astype(float) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
    if case["what"] != "inference" or case["cell"] != "rnn":
        return None

    def call():
        {first}
        h, seen = numpy.zeros((given["x"].shape[1], len(weights[1]))), []
        for x in given["x"]:
            h = numpy.tanh(x @ weights[0].T + h @ weights[1].T + weights[2] + weights[3]) * {factor}
            seen.append(h)
        real = numpy.arange(len(seen))[:, None] < numpy.array(case["lengths"])
        return {{"hidden": float((numpy.array(seen)[real] ** 2).mean())}}

    return Made(call, call)

serve(begin(1), {{"made": "1.0"}}, make)
"""
"""A peer that has the inference of an RNN and nothing else."""


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """benchmarks/recurrent_layers.py, where no peer is installed."""
    monkeypatch.syspath_prepend(HOME / "benchmarks")
    tool = importlib.import_module("recurrent_layers")
    monkeypatch.setattr(tool._layer_peers, "FOLDER", tmp_path / "no-peers")
    monkeypatch.setattr(tool, "TURN_SECONDS", 1e-4)
    monkeypatch.setattr(tool, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(tool, "PEAK_SIZE", 128)
    return tool


@pytest.fixture
def peer(benchmark, monkeypatch, tmp_path):
    """Installs the made-up peer in the place of ONNX Runtime's; what it does on a call, and by how much it is wrong."""

    def install(first: str = "pass", factor: float = 1.0) -> None:
        script = tmp_path / "peer.py"
        script.write_text(PEER.format(benchmarks=str(HOME / "benchmarks"), first=first, factor=factor))
        python = tmp_path / "no-peers" / "made" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        monkeypatch.setitem(
            benchmark._layer_peers.KNOWN, "onnx", benchmark._layer_peers.Installed("made", str(script), ())
        )

    return install


def run(benchmark, monkeypatch, folder: Path, *words: str) -> dict:
    monkeypatch.setattr(
        sys, "argv", ["recurrent_layers.py", *TINY, "--data-root", str(folder), "--out", str(folder), *words]
    )
    benchmark.main()
    return json.loads((folder / "recurrent_layers.json").read_text())


def test_without_peers_it_says_so_and_measures_ours_beside_torch(benchmark, tmp_path, monkeypatch, capsys):
    found = run(benchmark, monkeypatch, tmp_path)
    told = capsys.readouterr().out
    for name in ("Flax", "ONNX Runtime", "Keras"):
        assert f"{name} is not installed (--install-peers does it): measured without" in told
    assert found["finished"] and found["peers"] == {} and found["machine"]["threads"]
    rows = [(row["cell"], row["shape"][1], row["lengths"], row["what"]) for row in found["rows"]]
    whats = [("full", "train"), ("full", "inference"), ("uniform", "train"), ("uniform", "inference")]
    assert rows == [
        *((cell, 3, *one) for cell in ("rnn", "lstm") for one in whats),
        *((cell, 1, *one) for cell in ("rnn", "lstm") for one in whats[:2]),
    ], "one sequence alone has no other to be longer than"
    assert all(set(row["ratio"]) == {"ours padded", "torch padded", "torch packed"} for row in found["rows"])
    assert all(len(row["seconds"]["ours"]["all"]) == 2 for row in found["rows"])
    assert [set(row["ratio"]) for row in found["stream"]] == [{"torch module", "torch cell"}] * 2
    for path in tmp_path.glob("recurrent_layers.*"):
        assert path.suffix == ".png" or str(tmp_path) not in path.read_text(), path
    page = (tmp_path / "recurrent_layers.md").read_text()
    assert "| lstm | 6,3,4,5 | uniform |" in page and "cut off" not in page and "us and 0 KiB of W_h each" in page
    assert (tmp_path / "recurrent_layers.png").stat().st_size > 5000


def test_a_run_that_is_cut_off_keeps_the_groups_that_it_finished(benchmark, tmp_path, monkeypatch):
    whole = benchmark._layer_calls.whole

    def interrupted(case, numbers):
        if case.cell == "lstm":
            raise KeyboardInterrupt
        return whole(case, numbers)

    monkeypatch.setattr(benchmark._layer_calls, "whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(benchmark, monkeypatch, tmp_path)
    found = json.loads((tmp_path / "recurrent_layers.json").read_text())
    assert not found["finished"] and [row["cell"] for row in found["rows"]] == ["rnn"] * 4 and len(found["stream"]) == 2
    run(benchmark, monkeypatch, tmp_path, "--draw")
    assert "The run was cut off" in (tmp_path / "recurrent_layers.md").read_text()


def test_a_peer_takes_turns_in_the_rows_that_it_has(benchmark, peer, tmp_path, monkeypatch):
    peer()
    found = run(benchmark, monkeypatch, tmp_path, "--peers", "onnx")
    assert found["peers"] == {"onnx": {"made": "1.0"}}
    for row in found["rows"]:
        assert ("onnx" in row["ratio"]) is (row["cell"] == "rnn" and row["what"] == "inference")


def test_a_peer_that_computes_something_else_ends_the_run(benchmark, peer, tmp_path, monkeypatch):
    peer(factor=1.01)
    with pytest.raises(SystemExit, match="onnx has .*: it computes something else"):
        run(benchmark, monkeypatch, tmp_path, "--peers", "onnx")


@pytest.mark.parametrize("when", [1, 4], ids=["at its first call", "between the rounds"])
def test_a_peer_that_dies_is_named_and_the_rest_is_measured_without_it(
    benchmark, peer, tmp_path, monkeypatch, capsys, when
):
    peer(first=f"weights.append(0); len(weights) >= 4 + {when} and sys.exit('the memory is gone')")
    found = run(benchmark, monkeypatch, tmp_path, "--peers", "onnx")
    assert capsys.readouterr().out.count("ONNX Runtime ended: the memory is gone; measured without from here on") == 1
    assert found["finished"] and len(found["rows"]) == 12 and not any("onnx" in row["ratio"] for row in found["rows"])


def test_contestants_that_do_not_compute_the_same_are_not_timed(benchmark, tmp_path, monkeypatch):
    whole = benchmark._layer_calls.whole

    def wrong(case, numbers):
        calls = whole(case, numbers)
        right = calls["torch packed"]
        calls["torch packed"] = lambda: [*right()[:-1], right()[-1] * 1.001]
        return calls

    monkeypatch.setattr(benchmark._layer_calls, "whole", wrong)
    with pytest.raises(SystemExit, match="d_bias of torch packed is .* away from ours"):
        run(benchmark, monkeypatch, tmp_path)


def test_turns_are_taken_in_an_order_that_rotates_and_begin_with_a_call_that_does_not_count(benchmark):
    log = []

    class Logged:
        def __init__(self, name):
            self.name = name

        def turn(self, calls):
            log.append((self.name, calls))
            return float(len(log))

    seconds = {"a": benchmark.TURN_SECONDS / 3, "b": 10.0, "c": 0.0}
    taken = benchmark.interleaved({name: Logged(name) for name in "abc"}, seconds | {"c": 10.0}, 2)
    assert log == [("a", 1), ("a", 3), ("b", 1), ("c", 1), ("b", 1), ("c", 1), ("a", 1), ("a", 3)]
    assert taken == {"a": [2.0, 8.0], "b": [3.0, 5.0], "c": [4.0, 6.0]}


def test_real_lengths_stand_where_they_make_a_difference(benchmark, tmp_path):
    for path, lines in (
        ("multi30k-translation/train.en.gz", ["A dog .", "", "Two dogs run in a park ."]),
        ("protein-secondary-structure/sampled.fasta.gz", [">1es5-A SET=train", "C" * 300, ">2x-B SET=test", "H" * 90]),
    ):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(gzip.compress("\n".join(lines).encode()))
    real = benchmark.RealLengths.read(tmp_path)
    assert real == ([3, 7], [300, 90])
    kinds = {shape: benchmark.lengths_of(shape, real) for shape in benchmark.SHAPES}
    assert {shape.T for shape in kinds if "multi30k" in kinds[shape]} == {50, 100, 25, 30}
    assert {shape.T for shape in kinds if "proteins" in kinds[shape]} == {100, 200, 400}
    for shape, found in kinds.items():
        assert found["full"] == (shape.T,) * shape.B
        assert all(len(lengths) == shape.B and max(lengths) <= shape.T for lengths in found.values())
        if shape.B > 1:
            assert min(found["uniform"]) >= shape.T / 5 and len(set(found["uniform"])) > 3
        assert found == benchmark.lengths_of(shape, real)
    assert set(kinds[benchmark.Shape(200, 16, 128, 128)]["proteins"]) == {200, 90}


def test_useful_operations_are_those_of_real_steps(benchmark):
    shape = benchmark.Shape(7, 2, 3, 5)
    case = benchmark.Case("lstm", shape, "uniform", "train", (7, 2))
    assert case.useful == 6 * 9 * 4 * 5 * (3 + 5)
    assert benchmark.Case("gru", shape, "full", "inference", (7, 7)).useful == 2 * 14 * 3 * 5 * 8
    assert benchmark.Case("rnn", shape, "stream", "stream", (1,)).weight_bytes == 5 * 8 * 4


def same(numbers: dict[str, float]) -> dict[str, dict]:
    return {name: {"median": one, "low": one, "high": one} for name, one in numbers.items()}


def row(cell: str, padded: float, packed: float, *, lengths="uniform", what="train", sequences=32, ours=1.0) -> dict:
    others = {"ours padded": 1.0, "torch padded": padded, "torch packed": packed}
    return {
        "cell": cell, "shape": [50, sequences, 256, 256], "lengths": lengths, "what": what, "steps": 800, "longest": 50,
        "useful": 10**9, "weight_bytes": 1, "rates": {"read": 1e12, "activate": 1e12}, "ratio": same(others),
        "seconds": same({"ours": ours} | {name: one * ours for name, one in others.items()}),
    }  # fmt: skip


def peaks(mm: float, own: float) -> dict:
    return same({"torch.mm": mm, "ostinato": own})


def test_the_summary_judges_each_need(benchmark):
    report = benchmark._layer_report
    steps = [{"torch module": {"median": one}, "torch cell": {"median": 1.0}} for one in (2, 8)]
    streams = [row("rnn", 1, 1, what="stream", lengths="stream") | {"ratio": ratio} for ratio in steps]
    rows = [
        row("lstm", 1.0, 8.0),
        row("gru", 9.0, 4.0),
        row("gru", 9.0, 4.0, what="inference"),
        row("lstm", 0.8, 5.0, lengths="full"),
        row("rnn", 2.0, 5.0, lengths="full", sequences=1, ours=9.0),
    ]
    found = {
        need["what"]: need for need in report.summary({"rows": rows, "stream": streams, "peaks": peaks(1.6e9, 4e9)})
    }

    def verdict(begin: str) -> tuple:
        (need,) = (need for what, need in found.items() if what.startswith(begin))
        return round(need["value"], 2), need["verdict"], need["more"]

    assert verdict("ragged training against the better") == (2.0, "pass", "geometric mean of 2 rows")
    assert verdict("... LSTM")[:2] == (1.0, "missed by 0.50") and verdict("... GRU")[:2] == (4.0, "pass")
    assert verdict("ragged training against torch packed")[0] == round(math.sqrt(32), 2)
    assert verdict("full-length training against the better")[:2] == (round(math.sqrt(1.6), 2), "pass")
    assert verdict("... its lowest row") == (0.8, "missed by 0.10", "lstm 50,32,256,256 full")
    assert verdict("one streaming step")[:2] == (4.0, "pass")
    assert verdict("full-length training, H >= 256, B >= 25: lowest share of the peak of torch.mm")[0] == 62.5
    assert verdict("ragged training, H >= 256, B >= 25: lowest share of the peak of the native") == (
        25.0,
        "missed by 25.00 %",
        "lstm 50,32,256,256 uniform; 0 of 2 rows reach it",
    )
    assert found["... RNN"]["verdict"] == "not measured"


def test_what_bounds_a_row_is_told_by_the_rates_of_the_same_run(benchmark):
    report = benchmark._layer_report
    # 800 steps of 256 units, I = H: a third of the operations are the recurrent ones.
    one = row("lstm", 1, 1) | {"useful": 6 * 800 * 1024 * 512, "rates": {"read": 1e12, "activate": 1e9}}
    fast = report.parts(one, peaks(1e9, 1e10), threads=2)
    assert fast["products"] == pytest.approx(one["useful"] / 1e10) and fast["weights"] == 0
    assert fast["activations"] == pytest.approx(800 * 256 * 5 / 1e9) and sum(fast.values()) == pytest.approx(1)
    slow = report.parts(one | {"rates": {"read": 2e9, "activate": 1e9}}, peaks(1e9, 1e10), threads=2)
    assert slow["weights"] == pytest.approx(2 * 50 * 4 * 256 * 256 * 4 / 1e9), "each of two threads reads all of W_h"
    assert slow["products"] == pytest.approx(fast["products"] * 2 / 3)
    alone = one | {"shape": [50, 1, 256, 256], "steps": 50, "rates": {"read": 2e9, "activate": 1e9}}
    halves = report.parts(alone, peaks(1e9, 1e10), threads=2)["weights"]
    assert halves == pytest.approx(slow["weights"] / 2), "each of two threads reads its half"
    assert report.bound(one, peaks(1e9, 1e10), 2).endswith(
        "50 steps of 16.0 sequences, 20000.0 us and 1,024 KiB of W_h each"
    )


def test_nothing_to_draw_and_a_wrong_shape_are_told(benchmark, tmp_path, monkeypatch, capsys):
    for words, told in (
        (["--draw"], "there is no result to draw"),
        (["--shapes", "1,2,3"], "four numbers above 0 are needed"),
    ):
        with pytest.raises(SystemExit):
            run(benchmark, monkeypatch, tmp_path, *words)
        assert told in capsys.readouterr().err


def test_quick_is_no_result_for_the_docs(benchmark, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(benchmark, "HOME", tmp_path)
    monkeypatch.setattr(sys, "argv", ["recurrent_layers.py", "--quick"])
    monkeypatch.setattr(benchmark, "measure", lambda out, **words: asked.update(words, out=out))
    with pytest.raises(SystemExit):
        benchmark.main()
    assert asked["out"] == tmp_path / "runs" / "recurrent_layers" and len(asked["shapes"]) == 2
