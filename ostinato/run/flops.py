"""How many floating-point operations the products of a model take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from ostinato.kernels import dispatch

aten = torch.ops.aten


def _attention(
    query: Any, key: Any, value: Any, *_: Any, attn_mask: Any = None, scale: Any = None, out_shape: Any = None
) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(
    gradient: Any,
    query: Any,
    key: Any,
    value: Any,
    *_: Any,
    attn_mask: Any = None,
    scale: Any = None,
    out_shape: Any = None,
) -> int:
    # Two products forward, and two backward for each, with the scores computed again: five of the first's size.
    return 5 * sdpa_flop_count(query, key, value) // 2


def flops(compute: Callable[[], object]) -> int:
    """Multiplications and additions of all matrix products, convolutions and attentions while something is computed.

        product of (m, k) and (k, n)    2 m k n
        attention of T on S steps       4 A T S d         A heads of d numbers: the scores, and the weighted sum
        convolution                     2 N k I O         k wide, from I to O channels

    Pointwise operations are not counted. Recurrences are computed by the reference kernel for it, whose products the
    counter sees: torch's own counter sees nothing in its LSTM on a CPU, nor in its attention there.
    """
    own = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    with FlopCounterMode(display=False, custom_mapping=own) as counter, dispatch.forced("reference"):
        compute()
    return counter.get_total_flops()
