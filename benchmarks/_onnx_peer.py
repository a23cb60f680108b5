"""ONNX Runtime under the clock of recurrent_layers.py: one LSTM, GRU or RNN node; runs in .peers/onnx.

It has no training. Batches are padded to their longest, and the node is given the lengths.
"""

import sys
from typing import Any

from _peer_service import Made, begin, serve

THREADS = int(sys.argv[1])
ANSWERS = begin(THREADS)

import numpy  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

GATES = {"rnn": [0], "lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}
"""The places of ONNX's gates (LSTM: i o f c; GRU: z r h) among torch's (i f g o; r z n)."""


def session(cell: str, arrays: dict[str, Any], streams: bool) -> onnxruntime.InferenceSession:
    """Inputs x (T, B, I) and lengths (B,), or in a stream x and the state; outputs hidden (T, 1, B, H), or the
    state."""
    size, order = arrays["weight_hh_l0"].shape[1], GATES[cell]

    def arranged(name: str) -> Any:
        parts = numpy.split(arrays[name], len(order))
        return numpy.concatenate([parts[place] for place in order])[None]

    weights = {
        "W": arranged("weight_ih_l0"),
        "R": arranged("weight_hh_l0"),
        "B": numpy.concatenate([arranged("bias_ih_l0"), arranged("bias_hh_l0")], 1),
    }
    states = ["h", "c"] if cell == "lstm" else ["h"]
    before, after = [f"start_{one}" for one in states], [f"last_{one}" for one in states]
    inputs = ["x", "W", "R", "B", *(["", *before] if streams else ["lengths"])]
    outputs = ["", *after] if streams else ["hidden"]
    options = {"hidden_size": size} | ({"linear_before_reset": 1} if cell == "gru" else {})
    node = helper.make_node(cell.upper(), inputs, outputs, **options)
    told = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 3)
        for name in ("x", *(before if streams else []))
    ]
    if not streams:
        told.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [None]))
    found = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * (3 if streams else 4))
        for name in outputs
        if name
    ]
    constants = [numpy_helper.from_array(one, name) for name, one in weights.items()]
    graph = helper.make_graph([node], cell, told, found, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    wanted = onnxruntime.SessionOptions()
    wanted.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(model.SerializeToString(), wanted, providers=["CPUExecutionProvider"])


def make(case: dict[str, Any]) -> Made | None:
    if case["what"] == "train":
        return None
    with numpy.load(case["numbers"]) as given:
        arrays = dict(given)
    streams = case["what"] == "stream"
    loaded = session(case["cell"], arrays, streams)
    return stream(case, arrays, loaded) if streams else whole(case, arrays, loaded)


def whole(case: dict[str, Any], arrays: dict[str, Any], loaded: onnxruntime.InferenceSession) -> Made:
    lengths = numpy.array(case["lengths"], dtype=numpy.int32)
    x = numpy.ascontiguousarray(arrays["x"][: lengths.max()])

    def call() -> Any:
        return loaded.run(None, {"x": x, "lengths": lengths})[0]

    def measures() -> dict[str, float]:
        real = numpy.arange(len(x))[:, None] < lengths
        return {"hidden": float(numpy.square(call()[:, 0][real], dtype=numpy.float64).mean())}

    return Made(call, measures)


def stream(case: dict[str, Any], arrays: dict[str, Any], loaded: onnxruntime.InferenceSession) -> Made:
    zeros = numpy.zeros((1, 1, arrays["weight_hh_l0"].shape[1]), dtype=numpy.float32)
    x = arrays["x"][:1]
    state = [zeros, zeros] if case["cell"] == "lstm" else [zeros]
    names = ["start_h", "start_c"][: len(state)]

    def call() -> Any:
        nonlocal state
        state = loaded.run(None, {"x": x, **dict(zip(names, state))})
        return state

    return Made(call, lambda: {"hidden": float(numpy.square(call()[0], dtype=numpy.float64).mean())})


if __name__ == "__main__":
    serve(ANSWERS, {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}, make)
