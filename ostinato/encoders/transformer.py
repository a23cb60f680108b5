"""The Transformer as an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from ostinato.encoders.contract import Encoded, Encoder, OneStep
from ostinato.layers.embedding import Embedding, Kind
from ostinato.layers.growing import Stepper, kept_by_name, named
from ostinato.layers.pooling import sum_up
from ostinato.layers.transformer import BLOCKS, Activation, Norm, Positions, TransformerStack
from ostinato.modalities.contract import Spec
from ostinato.registry import Count, Positive, Rate
from ostinato.steps import Layout, Steps


class Transformer(Encoder):
    """Attention without recurrence: every step looks at every other one of its sequence, in each layer.

        x_0 = dropout(embedding(x) + place)
        a   = x_{l-1} + attention(norm(x_{l-1}))        pre-norm; see `block`
        x_l = a + feed_forward(norm(a))
        attention: contexts of A heads, softmax(q k^T / sqrt(D)) v each, side by side, through a linear map
        steps   = norm(x_L)                             see `last_norm`
        summary = the last step, or the mean or the largest over its steps; zeros where there is none
        state   = keys and values of what was read, the number of steps, the summary

    One way (`bidirectional: false`) a step sees those before it and itself, so that reading can resume from what was
    read; with a `window` it keeps no more than that, and reads a stream of any length in equal time per step. A head
    starts from the summary.
    Linear maps, norms and feed-forward nets compute real steps alone; attention pads sequences of like length together.

    Shapes:
        steps (N,) symbols or (N, C) values; steps_size = summary_size = H; heads of D = H / A numbers

    Args:
        hidden_size: H of every layer.
        layers: the number of layers.
        heads: A; by default as many as make heads of 32 numbers, and of 64 where hidden_size is 512 or more.
        kv_heads: heads of keys and values, each of which several heads of queries share; by default as many.
        block: what is not said below: modern (pre-norm, RMSNorm, rotary positions, query-key norm, squared relu, no
            biases, last maps that begin at zero) or vaswani2017 (post-norm, LayerNorm, sinusoids, relu, biases,
            embeddings times sqrt(H)).
        norm: layer: LayerNorm, or rms: RMSNorm.
        norm_first: whether norms come before the sublayers, in place of after their sums.
        feed_forward_activation: the activation between the two maps of each step.
        feed_forward_size: the width between them; by default 4 H, with swiglu 8/3 H.
        positions: how the place of a step is known.
        longest: the most steps that learned positions hold; by default 512.
        window: how many steps a step sees to each side that it sees, itself included; by default all.
        query_key_norm: whether queries and keys are normed, head by head.
        norm_epsilon: what norms add inside the root that they divide by; by default 1e-5 for layer, 1e-6 for rms.
        last_norm: whether a norm follows the last layer; by default with norm_first.
        bidirectional: whether a step sees those after it.
        summary: the last step's vector, or the mean or the largest of each number over all steps.
        dropout: the probability of dropping a value of the embedding and of what each sublayer adds.
        attention_dropout: the probability of dropping a weight of attention.
        activation_dropout: the probability of dropping a value between the two maps of a feed-forward net.
        embedding: learnt, or one-hot, which is as wide as there are symbols; `{file: PATH, frozen: true}`: from the
            vectors of words in a file on, as wide as these, and frozen or not; with `extend: true` words of the file
            that training lacks are known too.
        embedding_size: the width of a learnt embedding, mapped to H where it differs; by default H.

    Errors:
        ConfigError: heads that do not divide H, or are of odd width with rotary positions; `kv_heads` that do not
            divide heads; `window: 1`; `longest` without learned positions; a one-hot embedding of real numbers or of a
            given size.
        DataError: a sequence longer than learned positions.
        ValueError: a state is given to an encoder that is not causal.

    Source: Vaswani 2017, arXiv:1706.03762, sections 3 and 5.4 (dropout); of the modern block's parts:
        `TransformerStack`, `FeedForwardNet`; last maps at zero: Zhang 2019, arXiv:1901.09321.
    """

    sees_ahead = ("bidirectional",)
    reads_characters = True

    def __init__(
        self,
        spec: Spec,
        *,
        hidden_size: Count = 256,
        layers: Count = 4,
        heads: Count | None = None,
        kv_heads: Count | None = None,
        block: Literal["modern", "vaswani2017"] = "modern",
        norm: Norm | None = None,
        norm_first: bool | None = None,
        feed_forward_activation: Activation | None = None,
        feed_forward_size: Count | None = None,
        positions: Positions | None = None,
        longest: Count | None = None,
        window: Count | None = None,
        query_key_norm: bool | None = None,
        norm_epsilon: Positive | None = None,
        last_norm: bool | None = None,
        bidirectional: bool = True,
        summary: Literal["last", "mean", "max"] = "mean",
        dropout: Rate = 0.0,
        attention_dropout: Rate = 0.0,
        activation_dropout: Rate = 0.0,
        embedding: Kind = "learnt",
        embedding_size: Count | None = None,
    ):
        super().__init__()
        self.causal = not bidirectional
        self.kind = summary
        width = hidden_size if embedding_size is None and embedding == "learnt" else embedding_size
        scaled = embedding == "learnt" and spec.stored[0] == "int32"
        init = "uniform" if scaled and BLOCKS[block].scaled else "normal"
        self.embedding = Embedding(spec, width, kind=embedding, init=init)
        self.stack = TransformerStack(
            self.embedding.size,
            hidden_size,
            causal=self.causal,
            scaled=scaled,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            block=block,
            norm=norm,
            norm_first=norm_first,
            feed_forward_activation=feed_forward_activation,
            feed_forward_size=feed_forward_size,
            positions=positions,
            longest=longest,
            window=window,
            query_key_norm=query_key_norm,
            norm_epsilon=norm_epsilon,
            last_norm=last_norm,
            dropout=dropout,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
        )
        self.look_ahead = self.stack.look_ahead
        self.steps_size = self.summary_size = hidden_size

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError(
                "this encoder sees later steps before earlier ones, so it cannot resume from a state: give none"
            )
        read, after = self.stack(self.embedding(steps), state and state[:2])
        before = state and (state[2], state[1].to(state[2]))
        summary, _ = sum_up(self.kind, read, before)
        return Encoded(read, summary, after and (*after, summary))

    def kept(self, state: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return {**named(self.stack.parted(state[0]), state[1]), "summary": state[2]}

    def resumed(self, kept: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        parts, count = kept_by_name(kept)
        return self.stack.together(parts), count, kept["summary"]

    def one_step(self) -> OneStep:
        return _OneStep(self)

    def layers(self) -> list[list[nn.Module]]:
        *lower, top = self.stack.layers
        return [*([layer] for layer in lower), [top] if self.stack.norm is None else [top, self.stack.norm]]


class _OneStep:
    """The layers by `Stepper`."""

    def __init__(self, encoder: Transformer):
        self.encoder, self.layers = encoder, Stepper(encoder.stack)

    def takes(self, kept: Mapping[str, Tensor]) -> bool:
        return self.layers.takes(kept["count"])

    def __call__(self, steps: Tensor, kept: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        read, layout = self.encoder, Layout.equal(len(steps), 1, steps.device)
        parts, count = kept_by_name(kept)
        x, *after = self.layers(read.embedding(Steps(steps, layout)).values, parts, count)
        summary, _ = sum_up(read.kind, Steps(x, layout), (kept["summary"], count.to(x)))
        return x, {**named(*after), "summary": summary}
