"""Flax under the clock of recurrent_layers.py: `flax.linen.RNN`, a scan over (T, B, I) under jit; runs in .peers/flax.

Batches are padded to T, whatever their longest is: another length would be another compilation.
"""

import functools
import sys
from typing import Any

from _peer_service import Made, begin, serve

ANSWERS = begin(int(sys.argv[1]))

import flax  # noqa: E402
import jax  # noqa: E402
import numpy  # noqa: E402
from flax import linen  # noqa: E402
from jax import numpy as jnp  # noqa: E402

CELLS = {"rnn": linen.SimpleCell, "lstm": linen.OptimizedLSTMCell, "gru": linen.GRUCell}


def parameters(cell: str, given: Any) -> dict[str, Any]:
    """Torch's weights under Flax's names; where Flax has one bias for torch's two, their sum."""
    gates = {"rnn": [""], "lstm": ["i", "f", "g", "o"], "gru": ["r", "z", "n"]}[cell]
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    made: dict[str, Any] = {}
    for gate, weight_x, weight_h, bias_x, bias_h in zip(
        gates, *(numpy.split(given[name], len(gates)) for name in names)
    ):
        x, h = {"kernel": weight_x.T}, {"kernel": weight_h.T}
        if cell == "lstm":
            h["bias"] = bias_x + bias_h
        elif gate == "n":
            x["bias"], h["bias"] = bias_x, bias_h
        else:
            x["bias"] = bias_x + bias_h
        made |= {f"i{gate}": x, f"h{gate}": h}
    return jax.tree.map(jnp.asarray, made)


@functools.cache
def training(cell: str, size: int) -> Any:
    layer = linen.RNN(CELLS[cell](size), time_major=True)

    @jax.jit
    def step(weights: Any, x: jax.Array, d_hidden: jax.Array) -> Any:
        hidden, back = jax.vjp(lambda weights, x: layer.apply({"params": {"cell": weights}}, x), weights, x)
        return hidden, back(d_hidden)

    return step


@functools.cache
def inference(cell: str, size: int) -> Any:
    layer = linen.RNN(CELLS[cell](size), time_major=True)
    return jax.jit(lambda weights, x: layer.apply({"params": {"cell": weights}}, x))


@functools.cache
def streaming(cell: str, size: int) -> Any:
    layer = CELLS[cell](size)
    return jax.jit(lambda weights, state, x: layer.apply({"params": weights}, state, x)[0])


def make(case: dict[str, Any]) -> Made | None:
    with numpy.load(case["numbers"]) as given:
        arrays = dict(given)
    cell, lengths = case["cell"], numpy.array(case["lengths"])
    weights, x = parameters(cell, arrays), jnp.asarray(arrays["x"])
    size = arrays["weight_hh_l0"].shape[1]
    if case["what"] == "stream":
        return stream(cell, size, weights, x[0])
    real = numpy.arange(len(x))[:, None] < lengths
    d_hidden = jnp.asarray(arrays["d_hidden"] * real[..., None])

    def call() -> Any:
        if case["what"] == "train":
            return jax.block_until_ready(training(cell, size)(weights, x, d_hidden))
        return jax.block_until_ready(inference(cell, size)(weights, x))

    def measures() -> dict[str, float]:
        found = call()
        hidden = found[0] if case["what"] == "train" else found
        shown = {"hidden": mean_square(hidden, real)}
        return shown | {"d_x": mean_square(found[1][1], real)} if case["what"] == "train" else shown

    return Made(call, measures)


def stream(cell: str, size: int, weights: Any, x: jax.Array) -> Made:
    zeros = jnp.zeros((1, size))
    state = (zeros, zeros) if cell == "lstm" else zeros
    step = streaming(cell, size)

    def call() -> Any:
        nonlocal state
        state = jax.block_until_ready(step(weights, state, x))
        return state

    def measures() -> dict[str, float]:
        found = call()
        return {"hidden": mean_square(found[1] if cell == "lstm" else found, ...)}

    return Made(call, measures)


def mean_square(numbers: Any, real: Any) -> float:
    """Over what `real` takes."""
    return float(numpy.square(numpy.asarray(numbers, dtype=numpy.float64)[real]).mean())


if __name__ == "__main__":
    serve(ANSWERS, {"flax": flax.__version__, "jax": jax.__version__}, make)
