"""The mLSTM, an LSTM whose memory is a matrix."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.layers.dropout import dropped
from ostinato.layers.embedding import Embedding, Kind
from ostinato.layers.matrix_memory import EPSILON, Forget, MatrixMemoryLayer, Pieces
from ostinato.layers.pooling import sum_up
from ostinato.layers.transformer import heads_of, linear_map
from ostinato.modalities.contract import Spec
from ostinato.registry import Count, Rate
from ostinato.steps import Steps


class MLSTM(Encoder):
    """The mLSTM: heads that write what they read to a matrix, and find it again by a key, in constant memory.

        x_0  = dropout(embedding(x))
        u    = norm(x_{l-1})
        q, k = W_q c + b_q, (W_k c + b_k) / sqrt(D)             c: silu of u's weighted sum over `kernel_size` steps
        v    = W_v u + b_v
        i    = exp(w_i . u + b_i);  f = sigmoid(w_f . u + b_f)  or exp: exponential forgetting; one of each per head
        C[t] = f[t] C[t-1] + i[t] v[t] k[t]^T                   what was written, forgotten little by little
        n[t] = f[t] n[t-1] + i[t] k[t]
        r[t] = C[t] q[t] / max(|n[t] . q[t]|, 1)
        h[t] = sigmoid(W_o u + b_o) * norm(r[t])                the heads side by side; the norm is of each by itself
        a    = x_{l-1} + W_p h                                  both ways: h forward beside h backward
        x_l  = a + feed_forward(norm(a))
        steps   = norm(x_L)
        summary = the last step, or the mean or the largest over its steps; zeros where there is none
        state   = C and n, their scale, and the last steps that the sum reads, layer by layer; the summary and the
                  number of steps

    No gate reads the step before, so that all steps of a piece of a sequence are computed at once, in products of
    matrices, and the memory goes from piece to piece; a piece of one step is the recurrence itself. Gates, sums and
    scales are such that no number grows without bound (`layers/matrix_memory.py`).
    It is causal when it reads one way, and then reads a stream of any length in equal time and memory per step. A head
    starts from the summary.

    Shapes:
        steps (N,) symbols or (N, C) values; steps_size = summary_size = H; heads of D = H / A numbers, each with a
        C (D, D) and an n (D,)

    Args:
        hidden_size: H of every layer.
        layers: the number of layers.
        heads: A, in each direction.
        forget: the forget gate's activation.
        kernel_size: how many steps the sum before queries and keys reads, itself included.
        feed_forward_size: the width between the two maps of a feed-forward net, with the square of relu between them;
            by default 4 H.
        bidirectional: whether each layer reads backward too.
        summary: the last step's vector, or the mean or the largest of each number over all steps.
        dropout: the probability of dropping a value of the embedding and of what each sublayer adds.
        embedding: learnt, or one-hot, which is as wide as there are symbols; `{file: PATH, frozen: true}`: from the
            vectors of words in a file on, as wide as these, and frozen or not; with `extend: true` words of the file
            that training lacks are known too.
        embedding_size: the width of a learnt embedding, mapped to H where it differs; by default H.

    Errors:
        ConfigError: heads that do not divide H; a one-hot embedding of real numbers or of a given size.
        ValueError: a state is given to an encoder that is not causal.

    Source: Beck et al. 2024, arXiv:2405.04517, equations 19 to 27; layers with a feed-forward net in place of a memory
        of twice the width: Beck et al. 2025, arXiv:2503.13427; theirs has no sum over steps, a swiglu and
        soft-capped gates. Both norms are RMSNorms here; last maps of sublayers begin at zero, as a Transformer's.
    """

    streams = True
    sees_ahead = ("bidirectional",)
    reads_characters = True

    def __init__(
        self,
        spec: Spec,
        *,
        hidden_size: Count = 256,
        layers: Count = 4,
        heads: Count = 4,
        forget: Forget = "sigmoid",
        kernel_size: Count = 4,
        feed_forward_size: Count | None = None,
        bidirectional: bool = True,
        summary: Literal["last", "mean", "max"] = "mean",
        dropout: Rate = 0.0,
        embedding: Kind = "learnt",
        embedding_size: Count | None = None,
    ):
        super().__init__()
        self.causal = not bidirectional
        self.look_ahead = 0 if self.causal else None
        self.kind, self.dropout = summary, dropout
        width = hidden_size if embedding_size is None and embedding == "learnt" else embedding_size
        self.embedding = Embedding(spec, width, kind=embedding)
        self.project = None if self.embedding.size == hidden_size else nn.Linear(self.embedding.size, hidden_size)
        self.stack = nn.ModuleList(
            MatrixMemoryLayer(
                hidden_size,
                heads_of(hidden_size, heads),
                kernel_size=kernel_size,
                forget=forget,
                feed_forward_size=feed_forward_size or 4 * hidden_size,
                bidirectional=bidirectional,
                dropout=dropout,
            )
            for _ in range(layers)
        )
        self.norm = nn.RMSNorm(hidden_size, eps=EPSILON)
        self.steps_size = self.summary_size = hidden_size

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError(
                "this encoder sees later steps before earlier ones, so it cannot resume from a state: give none"
            )
        x = self.embedding(steps)
        x = x if self.project is None else x.with_values(linear_map(self.project, x.values))
        if self.training and self.dropout:
            x = x.with_values(dropped(x.values, self.dropout))
        pieces, after = Pieces(x.layout), ()
        for place, layer in enumerate(self.stack):
            x, final = layer(x, pieces, state and state[3 * place : 3 * place + 3])
            after = (*after, *final)
        read = x.with_values(self.norm(x.values))
        summary, count = sum_up(self.kind, read, state and (state[-2], state[-1]))
        return Encoded(read, summary, (*after, summary, count) if self.causal else None)

    def layers(self) -> list[list[nn.Module]]:
        *lower, top = self.stack
        return [*([layer] for layer in lower), [top, self.norm]]
