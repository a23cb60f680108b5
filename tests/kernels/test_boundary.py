"""The C boundary as Python calls it: whatever words it is handed, it answers or says what is wrong; and the
activations' precision.

native/tests/boundary_test.cpp goes further, under sanitizers (`make native-test`).
"""

import itertools
import math
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import KernelError
from ostinato.kernels import structures
from ostinato.kernels.native_library import library

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")

ROOT = Path(__file__).parents[2]

ROOM = 1 << 14
"""Bytes of one buffer; more than any size drawn here needs."""

SCAN = [name for name, _ in structures.Scan._fields_]
GRADIENTS = [name for name, _ in structures.Gradients._fields_]

READ = "x weight_x weight_h bias start_h start_c d_hidden d_last_h d_last_c".split()
WRITTEN = (
    "gates extra hidden last_h last_c d_gates d_extra d_start_h d_start_c d_x d_weight_x d_weight_h d_bias".split()
)
POINTERS = [*READ, *WRITTEN, "bias_n", "peepholes", "mask", "d_bias_n", "d_peepholes"]
NUMBERS = ["cell", "B", "N", "I", "H", "x_stride", "hidden_stride", "d_hidden_stride", "weight_x_stride"]
ODD = [-1, 0, 1, 2, 3, 7, 17, -(1 << 63), (1 << 63) - 1, 1 << 41, 1 << 60]


class Arena:
    """Memory in which every pointer of a call lies, so large that no size drawn here reaches its end from any place in
    it."""

    def __init__(self):
        self.room = torch.zeros((len(POINTERS) + 24) * ROOM, dtype=torch.uint8)
        self.offsets = torch.zeros(40, dtype=torch.int64)
        self.order = torch.zeros(40, dtype=torch.int64)

    def at(self, number, byte=0):
        return self.room.data_ptr() + number * ROOM + byte

    def words(self, cell, lengths, input_size, hidden_size, is_double):
        """A call in which all is right."""
        ends = list(itertools.accumulate(lengths, initial=0))
        self.offsets[:] = torch.tensor(ends + [ends[-1]] * (40 - len(ends)))
        self.order[: len(lengths)] = torch.argsort(
            torch.tensor(lengths, dtype=torch.int64), descending=True, stable=True
        )
        words = dict.fromkeys([*SCAN, *GRADIENTS], 0)
        words |= {name: self.at(place) for place, name in enumerate([*READ, *WRITTEN])}
        words |= {"offsets": self.offsets.data_ptr(), "order": self.order.data_ptr()}
        words |= {
            "cell": cell,
            "is_double": is_double,
            "B": len(lengths),
            "N": ends[-1],
            "I": input_size,
            "H": hidden_size,
        }
        return words | {"x_stride": input_size, "hidden_stride": hidden_size, "d_hidden_stride": hidden_size}


def answer(words):
    """Calls forward, and backward where that answers; the message of what was refused, or None."""
    scan = structures.Scan(**{name: words[name] for name in SCAN})
    gradients = structures.Gradients(**{name: words[name] for name in GRADIENTS})
    try:
        library().forward(scan, 1)
        library().backward(scan, gradients)
    except KernelError as error:
        return str(error)
    return None


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(NUMBERS), st.sampled_from(ODD)),
        st.tuples(st.sampled_from(POINTERS), st.integers(0, 2 * ROOM)),
        st.tuples(st.sampled_from(POINTERS), st.integers(0, len(POINTERS)).map(lambda number: number * ROOM)),
        st.tuples(st.sampled_from(POINTERS), st.just(None)),
        st.tuples(st.sampled_from(["offsets", "order"]), st.tuples(st.integers(0, 6), st.sampled_from(ODD))),
    ),
    max_size=3,
)


@settings(max_examples=1500)
@given(
    cell=st.integers(0, len(library().cells) - 1 if library() else 0),
    lengths=st.lists(st.integers(0, 5), max_size=5),
    input_size=st.integers(0, 8),
    hidden_size=st.integers(1, 20),
    is_double=st.integers(0, 1),
    changes=CHANGES,
)
def test_whatever_the_words_the_library_answers_or_says_what_is_wrong(
    cell, lengths, input_size, hidden_size, is_double, changes
):
    arena = Arena()
    words = arena.words(cell, lengths, input_size, hidden_size, is_double)
    for name, value in changes:
        if isinstance(value, tuple):
            getattr(arena, name)[value[0]] = value[1]
        elif name in POINTERS:
            words[name] = 0 if value is None else arena.at(0, value)
        else:
            words[name] = value
    refused = answer(words)
    if not changes:
        assert refused is None
    elif refused:
        assert len(refused) > len("native forward: ")


REFUSED = [
    ({"cell": 99}, "there is no cell 99"),
    ({"B": -1}, "B = -1 is no size"),
    ({"H": 0}, "H = 0"),
    ({"N": 1 << 41}, "is no size"),
    ({"N": 9}, "but there are N = 9 steps"),
    ({"I": 1 << 39, "x_stride": 1 << 39, "N": 1 << 30}, "larger than memory"),
    ({"x_stride": 2}, "x_stride = 2 is below I = 3"),
    ({"hidden_stride": 4}, "hidden_stride = 4 is below H = 5"),
    ({"weight_h": 0}, "a weight is missing"),
    ({"offsets": 0}, "offsets or order is missing"),
    ({"start_h": 0}, "start_h or last_h is missing"),
    ({"d_gates": 0}, "native backward: d_gates is missing"),
    ({"d_start_h": 0}, "d_start_h or d_start_c is missing"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=lambda value: str(value))
def test_wrong_words_are_named(changes, message):
    arena = Arena()
    assert message in answer(arena.words(3, [2, 0, 4], 3, 5, 0) | changes)


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("offsets", 0, 1, "offsets begin with 1"),
        ("offsets", 1, -3, "offsets fall from 0 to -3 at sequence 0"),
        ("offsets", 3, 5, "offsets end with 5, but there are N = 6"),
        ("order", 0, 3, "order holds 3; there are 3 sequences"),
        ("order", 0, 1, "order does not run from the longest"),
        ("order", 1, 2, "order names a sequence twice"),
    ],
)
def test_wrong_sequences_are_named(name, place, value, message):
    arena = Arena()
    words = arena.words(3, [2, 0, 4], 3, 5, 0)
    getattr(arena, name)[place] = value
    assert message in answer(words)


@pytest.mark.parametrize(
    ("one", "other"),
    [("gates", "x"), ("last_h", "start_h"), ("hidden", "gates"), ("d_x", "hidden"), ("d_weight_h", "weight_h")],
)
def test_overlapping_buffers_are_named(one, other):
    arena = Arena()
    words = arena.words(3, [2, 0, 4], 3, 5, 0)
    words[one] = words[other]
    message = answer(words)
    assert "overlap" in message and one in message and other in message
    words[one] = words[other] + 4
    assert "overlap" in answer(words)


def test_a_buffer_at_an_address_that_holds_no_number_is_named():
    arena = Arena()
    words = arena.words(3, [2, 0, 4], 3, 5, 0)
    assert "x begins at an address that is no multiple of 4 bytes" in answer(words | {"x": words["x"] + 2})


# The activations, in units in the last place of float32 (`make native-test` runs every float32 of [-20, 20]).


def activated(kind, x):
    y = torch.empty_like(x)
    library().activate(kind, int(x.dtype == torch.float64), x.numel(), x.data_ptr(), y.data_ptr())
    return y


def units_apart(found, exact):
    """How many units in the last place of float32 `found` is from a float64 number."""
    exponent = (torch.frexp(exact).exponent - 24).clamp(min=-149)
    return (found.double() - exact).abs() / torch.exp2(exponent.double())


def floats_from_bits(bits):
    return bits.to(torch.int32).view(torch.float32)


def sample():
    """Every 4096th float32 of [-20, 20], and a million others of any size."""
    twenty = torch.tensor(20.0).view(torch.int32).item()
    positive = floats_from_bits(torch.arange(0, twenty + 1, 4096))
    draw = torch.Generator().manual_seed(0)
    others = floats_from_bits(torch.randint(-(1 << 31), 1 << 31, (1_000_000,), generator=draw))
    return torch.cat([positive, -positive, others[others.isfinite()]])


EXACT = {
    0: lambda x: torch.where(x < 0, x.exp() / (1 + x.exp()), 1 / (1 + (-x).exp())),
    1: torch.tanh,
    2: torch.exp,
    3: lambda x: x.clamp(max=0) - (-x.abs()).exp().log1p(),
}
"""In float64; sigmoid without the cancellation of 1 + exp(large). exp is of numbers up to 0."""


def allowed(kind, x):
    return -x.abs() if kind == 2 else x


@pytest.mark.parametrize("kind", EXACT, ids=["sigmoid", "tanh", "exp", "log sigmoid"])
def test_activations_are_within_four_units_in_the_last_place(kind):
    x = allowed(kind, sample())
    before = library().instruction_set
    try:
        for name in library().instruction_sets:
            library().use(name)
            assert units_apart(activated(kind, x), EXACT[kind](x.double())).max() <= 4, name
    finally:
        library().use(before)


@pytest.mark.parametrize("kind", [0, 1], ids=["sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activations_of_special_numbers(kind, dtype):
    ends = (0.0, 1.0) if kind == 0 else (-1.0, 1.0)
    x = torch.tensor([math.nan, -math.inf, math.inf, 0.0, -0.0, 1e-42, -1e-42, 3e38, -3e38], dtype=dtype)
    y = activated(kind, x)
    assert y[0].isnan() and tuple(y[1:3].tolist()) == ends and tuple(y[[8, 7]].tolist()) == ends
    if kind:
        assert y[3] == 0 and y[4] == 0 and y[4].signbit() and not y[3].signbit()
        torch.testing.assert_close(y[5:7], x[5:7], rtol=1e-3, atol=0)
    else:
        assert (y[3:7] == 0.5).all()


@pytest.mark.parametrize("kind", EXACT, ids=["sigmoid", "tanh", "exp", "log sigmoid"])
def test_activations_in_float64_are_exact_to_the_last_digits(kind):
    x = allowed(kind, torch.linspace(-40, 40, 100_001, dtype=torch.float64))
    torch.testing.assert_close(activated(kind, x), EXACT[kind](x), rtol=1e-14, atol=0)


@pytest.mark.parametrize("count", [0, 1, 3, 15, 16, 17, 31, 33])
def test_any_number_of_numbers_is_activated_and_nothing_behind_them(count):
    x = torch.arange(float(count)) - 7
    room = torch.full((count + 16,), 5.0)
    library().activate(1, 0, count, x.data_ptr(), room.data_ptr())
    torch.testing.assert_close(room[:count], x.tanh())
    assert (room[count:] == 5).all()


# The standalone program.


@pytest.mark.slow
@pytest.mark.parametrize("build", ["plain", "address", "thread"])
def test_the_standalone_program_is_clean(build):
    done = subprocess.run(["native/tests/run.sh", build], cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_activations_are_near_on_every_float32_of_the_range():
    done = subprocess.run(
        ["native/tests/run.sh", "plain", "ulp"], cwd=ROOT, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
