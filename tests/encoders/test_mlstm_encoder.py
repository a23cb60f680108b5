"""The mLSTM encoder: equal to the recurrence of the paper step by step, however sequences are cut; gradients; finite
numbers; that it learns."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ostinato import registry
from ostinato.layers import matrix_memory
from ostinato.layers.matrix_memory import MatrixMemory, Memory, Pieces
from ostinato.modalities.contract import Symbols
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import trained

LENGTHS = [70, 0, 1, 45, 9]
HEADS, WIDTH = 3, 4
SIZE = HEADS * WIDTH


def drawn(lengths=LENGTHS, seed=1, kind=torch.float64, gates=2.0):
    """Queries, keys, values, and what is written and kept, as `read` takes them."""
    torch.manual_seed(seed)
    total = sum(lengths)
    vectors = [torch.randn(total, HEADS, WIDTH, dtype=torch.float64) for _ in range(3)]
    write = gates * torch.randn(total, HEADS, dtype=torch.float64)
    keep = functional.logsigmoid(gates * torch.randn(total, HEADS, dtype=torch.float64))
    return [part.to(kind) for part in (*vectors, write, keep)]


def nothing(rows, kind=torch.float64):
    return Memory(torch.zeros(rows, HEADS, WIDTH, WIDTH + 1, dtype=kind), torch.zeros(rows, HEADS, dtype=kind))


def by_hand(query, key, value, write, keep):
    """One head of one sequence, by equations 19 to 23 of Beck 2024 without any scale: what is read, C and n."""
    matrix, normalizer, read = torch.zeros(WIDTH, WIDTH).double(), torch.zeros(WIDTH).double(), []
    for q, k, v, i, f in zip(query, key, value, write.exp(), keep.exp()):
        matrix = f * matrix + i * torch.outer(v, k)
        normalizer = f * normalizer + i * k
        read.append(matrix @ q / (normalizer @ q).abs().clamp(min=1))
    return read, matrix, normalizer


@pytest.mark.parametrize("sizes", [(1,), (4, 1), (32, 8, 1), (64, 16, 4, 2, 1)])
def test_it_reads_what_the_recurrence_of_the_paper_gives(sizes):
    parts, layout = drawn(), Layout(LENGTHS)
    read, memory = matrix_memory.read(*parts, nothing(len(LENGTHS)), Pieces(layout, sizes))
    divided = 0
    for row, (first, length) in enumerate(zip(layout.offsets.tolist(), LENGTHS)):
        for head in range(HEADS):
            expected, matrix, normalizer = by_hand(*(part[first : first + length, head] for part in parts))
            for step, vector in enumerate(expected):
                torch.testing.assert_close(read[first + step, head], vector, rtol=1e-10, atol=1e-12)
                divided += bool(vector.abs().max() < 1)
            scaled = torch.cat([matrix.T, normalizer.unsqueeze(1)], 1)
            actual = memory.matrix[row, head] * memory.scale[row, head].exp()
            torch.testing.assert_close(actual, scaled, rtol=1e-9, atol=1e-12)
    assert divided


def test_pieces_hold_each_step_once_in_order_and_none_more():
    for lengths in (LENGTHS, [32, 32], [5], [0, 0], []):
        pieces, layout = Pieces(Layout(lengths)), Layout(lengths)
        index = torch.cat([part.index for part in pieces.parts]) if pieces.parts else torch.zeros(0).long()
        assert torch.equal(index.sort().values, torch.arange(sum(lengths)))
        assert torch.equal(index[pieces.back], torch.arange(sum(lengths)))
        for part in pieces.parts:
            assert part.alive[0] == len(part.rows) and sum(part.alive) * part.size == len(part.index)
            steps = part.index.view(-1, part.size)
            assert torch.equal(steps, steps[:, :1] + torch.arange(part.size)), "a piece is consecutive"
            assert torch.equal(layout.rows[steps[: part.alive[0], 0]], part.rows)


@pytest.mark.parametrize("gates", [0.5, 30.0, 300.0])
def test_gates_of_any_size_give_finite_numbers_and_gradients_in_32_bits(gates):
    parts = [part.requires_grad_() for part in drawn(kind=torch.float32, gates=gates)]
    exact = matrix_memory.read(*drawn(gates=gates), nothing(len(LENGTHS)), Pieces(Layout(LENGTHS)))[0]
    for sizes in ((1,), (32, 8, 1)):
        read, memory = matrix_memory.read(*parts, nothing(len(LENGTHS), torch.float32), Pieces(Layout(LENGTHS), sizes))
        assert memory.matrix.isfinite().all() and memory.scale.isfinite().all()
        gradients = torch.autograd.grad(read.sum() + memory.matrix.sum(), parts)
        assert all(gradient.isfinite().all() for gradient in gradients)
        if gates < 100:
            near = (read.double() - exact).abs() <= 1e-4 * exact.abs().max()
            assert near.all()


def test_exponential_forgetting_may_grow_without_bound():
    parts = [part.requires_grad_() for part in drawn([600], kind=torch.float32)]
    keep = (parts[-1] + 3.0).detach()
    read, memory = matrix_memory.read(*parts[:-1], keep, nothing(1, torch.float32), Pieces(Layout([600])))
    assert memory.scale.min() > 300, "exp(300) is more than 32 bits hold"
    assert read.isfinite().all() and memory.matrix.isfinite().all()


@pytest.mark.parametrize("sizes", [(1,), (2, 1), (4, 1)])
def test_gradients_agree_with_finite_differences_over_pieces_and_from_a_memory(sizes):
    lengths = [7, 2, 9]
    first, second = Pieces(Layout(lengths), sizes), Pieces(Layout([3, 1, 0]), sizes)
    leaves = [part.requires_grad_() for part in drawn(lengths, gates=1.0)]
    later = [part.requires_grad_() for part in drawn([3, 1, 0], seed=2, gates=1.0)]

    def outputs(*parts):
        read, memory = matrix_memory.read(*parts[:5], nothing(3), first)
        return read, matrix_memory.read(*parts[5:], memory, second)[0]

    assert torch.autograd.gradcheck(outputs, (*leaves, *later), fast_mode=True)


@pytest.mark.parametrize("forget", ["sigmoid", "exponential"])
def test_a_memory_computes_its_equations(forget):
    torch.manual_seed(0)
    memory = MatrixMemory(SIZE, HEADS, 4, forget).double()
    for parameter in memory.parameters():
        nn.init.normal_(parameter, 0.0, 0.5)
    u = torch.randn(40, SIZE).double()
    actual, (matrix, _, earlier) = memory(Steps(u, Layout([40])), Pieces(Layout([40])))
    padded = torch.cat([torch.zeros(3, SIZE).double(), u])
    taps = memory.convolution
    mixed = torch.stack([(padded[t : t + 4] * taps.weight).sum(0) + taps.bias for t in range(40)])
    c = mixed * torch.sigmoid(mixed)
    affine = {name: getattr(memory, name) for name in ("queries_keys", "values_output", "gates")}
    q, k = (c @ affine["queries_keys"].weight.T + affine["queries_keys"].bias).split(SIZE, 1)
    v, o = (u @ affine["values_output"].weight.T + affine["values_output"].bias).split(SIZE, 1)
    i, f = (u @ affine["gates"].weight.T + affine["gates"].bias).split(HEADS, 1)
    heads = []
    for head in range(HEADS):
        own = slice(WIDTH * head, WIDTH * (head + 1))
        kept = torch.log(torch.sigmoid(f[:, head])) if forget == "sigmoid" else f[:, head]
        read = torch.stack(by_hand(q[:, own], k[:, own] / WIDTH**0.5, v[:, own], i[:, head], kept)[0])
        heads.append(read / (read.square().mean(1, keepdim=True) + 1e-6).sqrt() * memory.gain[head])
    torch.testing.assert_close(actual, torch.sigmoid(o) * torch.cat(heads, 1), rtol=1e-9, atol=1e-10)
    assert matrix.shape == (1, HEADS * WIDTH * (WIDTH + 1)) and torch.equal(earlier.view(3, SIZE), u[-3:])


def test_the_state_has_one_size_however_much_was_read():
    encoder = registry.make("encoders", "mlstm", [Symbols(9, 0, 1, 2)], {"hidden_size": 8, "bidirectional": False})
    sizes = set()
    for length in (1, 3, 100):
        symbols = Steps(torch.randint(9, (2 * length,)).int(), Layout([length, length]))
        sizes.add(tuple(part.shape for part in encoder.encode(symbols).state))
    assert len(sizes) == 1


def test_heads_forget_at_different_rates_at_the_start():
    for forget in ("sigmoid", "exponential"):
        gates = MatrixMemory(8, 4, 4, forget).gates
        kept = gates.bias[4:] if forget == "sigmoid" else torch.logit(gates.bias[4:].exp())
        torch.testing.assert_close(kept, torch.tensor([3.0, 4.0, 5.0, 6.0]), rtol=1e-4, atol=1e-4)
        assert not gates.weight.any() and not gates.bias[:4].any()


def test_it_learns_to_recall_what_followed_a_symbol_long_before():
    """Pairs of a key and a value in any order; at the end a key is asked for."""
    torch.manual_seed(0)
    keys, values, pairs = 6, 6, 4
    options = {"hidden_size": 32, "layers": 1, "heads": 1, "bidirectional": False, "kernel_size": 2, "summary": "last"}
    encoder = registry.make("encoders", "mlstm", [Symbols(3 + keys + values, 0, 1, 2)], options)
    model = nn.ModuleList([encoder, nn.Linear(32, values)])

    def batch(rows=32):
        order = torch.rand(rows, keys).argsort(1)[:, :pairs]
        answers = torch.randint(values, (rows, pairs))
        asked = torch.randint(pairs, (rows, 1))
        shown = torch.stack([3 + order, 3 + keys + answers], 2).flatten(1)
        symbols = torch.cat([shown, 3 + order.gather(1, asked)], 1)
        return Steps(symbols.flatten().int(), Layout.equal(rows, 2 * pairs + 1)), answers.gather(1, asked).squeeze(1)

    def loss():
        steps, target = batch()
        return functional.cross_entropy(model[1](encoder.encode(steps).summary), target)

    trained(model, loss, 200)
    steps, target = batch(500)
    with torch.no_grad():
        right = (model[1](encoder.encode(steps).summary).argmax(1) == target).float().mean()
    assert right > 0.9
