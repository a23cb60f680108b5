"""CTranslate2 under the clock of decoding.py: a process of its own, which knows neither torch nor Ostinato.

It reads orders from standard input, a JSON array a line, and answers each with a JSON object a line on standard output:

    ["load", kind, inter, intra]        the translator of this compute type, batches at once and threads of each
    ["translate", rows, width, batch]   these rows of sources.json by beams of this width: seconds, symbols
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever a library prints goes to standard error

import ctranslate2  # noqa: E402
from ctranslate2.specs import TransformerSpec  # noqa: E402
from ctranslate2.specs.common_spec import LayerNormSpec, LinearSpec  # noqa: E402

Weights = dict[str, np.ndarray]


def write_model(weights: Weights, about: dict[str, Any], folder: Path) -> None:
    """Writes a translator of vaswani2017 blocks as CTranslate2's model.

    Args:
        weights: of the encoder and the decoder, named as in Ostinato, and `places`, the sinusoids.
        about: layers, heads, symbols, the numbers of the begin, the end and the unknown symbol, and the epsilon of
            norms.
        folder: of the model.
    """
    spec = TransformerSpec.from_config(about["layers"], about["heads"], pre_norm=False)
    for side in (spec.encoder, spec.decoder):
        side.position_encodings.encodings = weights["places"]
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = weights["embedding"]
    _linear(spec.decoder.projection, weights, "output")
    for name, side in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        for number, layer in enumerate(side.layer):
            at = f"{name}.layers.{number}"
            read, net = layer.self_attention, layer.ffn
            _linear(read.linear[0], weights, f"{at}.attention.queries_keys_values")
            _linear(read.linear[1], weights, f"{at}.attention.output")
            norms = [read.layer_norm, net.layer_norm]
            if side is spec.decoder:
                cross, own = layer.attention, f"{at}.crosses.0"
                for linear, map_name in zip(cross.linear, ("queries", "keys_values", "output"), strict=True):
                    _linear(linear, weights, f"{own}.{map_name}")
                norms.insert(1, cross.layer_norm)
            _linear(net.linear_0, weights, f"{at}.feed_forward.first")
            _linear(net.linear_1, weights, f"{at}.feed_forward.second")
            for place, norm in enumerate(norms):
                _norm(norm, weights, f"{at}.norms.{place}")
    words = [f"p{symbol}" for symbol in range(about["symbols"])]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    begin, end, unknown = (f"p{about[name]}" for name in ("begin", "end", "unknown"))
    spec.config.bos_token, spec.config.decoder_start_token = begin, begin
    spec.config.eos_token, spec.config.unk_token = end, unknown
    spec.config.layer_norm_epsilon = about["norm_epsilon"]
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(exist_ok=True)
    spec.save(str(folder))


def _linear(spec: LinearSpec, weights: Weights, name: str) -> None:
    spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _norm(spec: LayerNormSpec, weights: Weights, name: str) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


class Peer:
    def __init__(self, folder: Path):
        self.folder = folder
        self.longest = json.loads((folder / "about.json").read_text())["longest"]
        sources = json.loads((folder / "sources.json").read_text())
        self.sources = [[f"p{symbol}" for symbol in source] for source in sources]

    def load(self, kind: str, inter: int, intra: int) -> dict[str, Any]:
        options = {"compute_type": kind, "inter_threads": inter, "intra_threads": intra}
        self.translator = ctranslate2.Translator(str(self.folder / "model"), "cpu", **options)
        return {"kind": self.translator.compute_type}

    def translate(self, rows: list[int], width: int, batch: int) -> dict[str, Any]:
        sources = [self.sources[row] for row in rows]
        options = {"beam_size": width, "max_batch_size": batch, "max_decoding_length": self.longest}
        began = time.perf_counter()
        answers = self.translator.translate_batch(sources, **options)
        seconds = time.perf_counter() - began
        return {
            "seconds": seconds,
            "symbols": [[int(word[1:]) for word in answer.hypotheses[0]] for answer in answers],
        }


def main() -> None:
    folder = Path(sys.argv[1])
    about = json.loads((folder / "about.json").read_text())
    write_model(dict(np.load(folder / "weights.npz")), about, folder / "model")
    peer = Peer(folder)
    orders = {"load": peer.load, "translate": peer.translate}
    print(json.dumps({"ctranslate2": ctranslate2.__version__}), file=ANSWERS, flush=True)
    for line in sys.stdin:
        order, *given = json.loads(line)
        print(json.dumps(orders[order](*given)), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
