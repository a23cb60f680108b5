"""Keras 3 on JAX under the clock of recurrent_layers.py: keras.layers under jit, training alone; runs in .peers/keras.

Batches are (B, T, I) and padded to T, whatever their longest is: another length would be another compilation. Ragged
ones have a mask.
"""

import functools
import os
import sys
from typing import Any

from _peer_service import Made, begin, serve

ANSWERS = begin(int(sys.argv[1]))
os.environ["KERAS_BACKEND"] = "jax"

import jax  # noqa: E402
import keras  # noqa: E402
import numpy  # noqa: E402
from jax import numpy as jnp  # noqa: E402

LAYERS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
GATES = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}
"""The places of Keras's gates (LSTM: i f c o; GRU: z r h) among torch's (i f g o; r z n)."""


def parameters(cell: str, arrays: dict[str, Any]) -> list[Any]:
    """Torch's weights as Keras has them: (I, G H), (H, G H), one bias for torch's two; the GRU has both."""

    def arranged(name: str) -> Any:
        parts = numpy.split(arrays[name], len(GATES[cell]))
        return numpy.concatenate([parts[place] for place in GATES[cell]])

    biases = arranged("bias_ih_l0"), arranged("bias_hh_l0")
    bias = numpy.stack(biases) if cell == "gru" else sum(biases)
    return [jnp.asarray(one) for one in (arranged("weight_ih_l0").T, arranged("weight_hh_l0").T, bias)]


@functools.cache
def training(cell: str, inputs: int, size: int) -> Any:
    layer = LAYERS[cell](size, return_sequences=True)
    layer.build((None, None, inputs))
    fixed = [one.value for one in layer.non_trainable_variables]

    @jax.jit
    def step(weights: Any, x: jax.Array, mask: jax.Array | None, d_hidden: jax.Array) -> Any:
        hidden, back = jax.vjp(lambda weights, x: layer.stateless_call(weights, fixed, x, mask=mask)[0], weights, x)
        return hidden, back(d_hidden)

    return step


def make(case: dict[str, Any]) -> Made | None:
    if case["what"] != "train":
        return None
    with numpy.load(case["numbers"]) as given:
        arrays = dict(given)
    cell, lengths = case["cell"], numpy.array(case["lengths"])
    weights, x = parameters(cell, arrays), jnp.asarray(arrays["x"].swapaxes(0, 1).copy())
    sizes = cell, x.shape[2], arrays["weight_hh_l0"].shape[1]
    real = numpy.arange(x.shape[1]) < lengths[:, None]
    mask = None if real.all() else jnp.asarray(real)
    d_hidden = jnp.asarray(arrays["d_hidden"].swapaxes(0, 1) * real[..., None])

    def call() -> Any:
        return jax.block_until_ready(training(*sizes)(weights, x, mask, d_hidden))

    def measures() -> dict[str, float]:
        hidden, (_, d_x) = call()
        return {"hidden": mean_square(hidden, real), "d_x": mean_square(d_x, real)}

    return Made(call, measures)


def mean_square(numbers: Any, real: Any) -> float:
    """Over real steps."""
    return float(numpy.square(numpy.asarray(numbers, dtype=numpy.float64)[real]).mean())


if __name__ == "__main__":
    serve(ANSWERS, {"keras": keras.__version__, "jax": jax.__version__}, make)
