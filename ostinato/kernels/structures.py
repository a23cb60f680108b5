"""The structures of the C boundary, `native/ostinato.h`, under the same names: every field is 8 bytes wide."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator


def _numbers(names: str) -> Iterator[tuple[str, type]]:
    return ((name, ctypes.c_int64) for name in names.split())


def _addresses(names: str) -> Iterator[tuple[str, type]]:
    return ((name, ctypes.c_void_p) for name in names.split())


class Scan(ctypes.Structure):
    """`OstinatoScan`: one direction of one layer over a ragged batch."""

    _fields_ = [
        *_numbers("cell is_double reverse B N I H"),
        *_addresses("offsets order x"),
        *_numbers("x_stride"),
        *_addresses("weight_x weight_h bias bias_n peepholes start_h start_c mask gates extra hidden"),
        *_numbers("hidden_stride"),
        *_addresses("last_h last_c"),
        *_numbers("weight_x_stride"),
        *_addresses("packed"),
        *_numbers("packed_ready half"),
    ]


class Gradients(ctypes.Structure):
    """`OstinatoGradients`: those of a scan."""

    _fields_ = [
        *_addresses("d_hidden"),
        *_numbers("d_hidden_stride"),
        *_addresses("d_last_h d_last_c d_gates d_extra d_start_h d_start_c d_x d_weight_x d_weight_h d_bias d_bias_n"),
        *_addresses("d_peepholes"),
    ]


class Energies(ctypes.Structure):
    """`OstinatoEnergies`: those of an additive attention."""

    _fields_ = [
        *_numbers("is_double B K S A"),
        *_addresses("query keys energy scores d_scores d_query d_keys d_energy"),
    ]


class LinearScan(ctypes.Structure):
    """`OstinatoLinearScan`: a recurrence that is linear in its states."""

    _fields_ = [
        *_numbers("is_double B N H"),
        *_addresses("offsets keep add start hidden d_hidden d_keep d_add d_start"),
    ]


class Watch(ctypes.Structure):
    """`OstinatoWatch`: packed weights, and their fingerprint."""

    _fields_ = [*_addresses("memories bytes"), *_numbers("count"), ("seen", ctypes.c_uint64)]


class Decoder(ctypes.Structure):
    """`OstinatoDecoder`: the attentional decoder's loop over time."""

    _fields_ = [
        *_addresses("layers"),
        *_numbers("num_layers feeding F A M"),
        *_addresses("memory_offsets"),
        *_numbers("longest_memory"),
        *_addresses("keys values query_weight query_bias energy"),
        ("scale", ctypes.c_double),
        ("narrowest", ctypes.c_double),
        *_addresses("examples"),
        *_numbers("num_examples fed_back"),
        *_addresses("packed"),
        *_numbers("packed_ready"),
        *_addresses("weight_offsets readout readout_bias start_fed start_middle weights queries contexts middles"),
        *_addresses("features dropped layer_gradients d_features d_contexts d_start_fed d_start_middle d_queries"),
        *_addresses("d_keys d_values d_energy d_below d_query_weight d_query_bias d_readout d_readout_bias"),
    ]


class Product(ctypes.Structure):
    """`OstinatoProduct`: a product of two matrices."""

    _fields_ = [
        *_numbers("kind is_double M N K"),
        *_addresses("left"),
        *_numbers("left_stride"),
        *_addresses("right"),
        *_numbers("right_stride"),
        *_addresses("bias sums out"),
        *_numbers("out_stride"),
        *_addresses("packed"),
        *_numbers("packed_ready half"),
    ]


class Look(ctypes.Structure):
    """`OstinatoLook`: what a layer of a Transformer looks at besides its own steps."""

    _fields_ = [
        *_addresses("norm_weight norm_bias query_weight query_bias gain output_weight output_bias keys values lengths"),
        *_numbers("S"),
        *_addresses("weights"),
    ]


class Layer(ctypes.Structure):
    """`OstinatoLayer`: a layer of a Transformer."""

    _fields_ = [
        *_addresses(
            "norm_weight norm_bias read_weight read_bias gain output_weight output_bias looks last_norm_weight"
        ),
        *_addresses("last_norm_bias first_weight first_bias second_weight second_bias keys values"),
    ]


class Step(ctypes.Structure):
    """`OstinatoStep`: one step of each row through the layers of a Transformer."""

    _fields_ = [
        *_numbers("is_double R H A K D F"),
        *_addresses("layers"),
        *_numbers("num_layers num_looks filled capacity norm"),
        ("epsilon", ctypes.c_double),
        *_numbers("norm_first norm_after activation"),
        *_addresses("cosines sines norm_weight norm_bias examples"),
        *_numbers("num_examples"),
        *_addresses("x out packed"),
        *_numbers("packed_ready"),
    ]


def array_of(structures: list[ctypes.Structure]) -> ctypes.Array:
    """Structures of one kind side by side, as the library reads several."""
    return (type(structures[0]) * len(structures))(*structures)
