"""The Transformer decoder: the size of the first paper's, torch's numbers, mixtures with encoders of every kind, and a
task that it learns."""

import pytest
import torch
from torch import nn

from ostinato import registry
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.errors import ConfigError, DataError
from ostinato.layers.embedding import Table
from ostinato.modalities.contract import Symbols
from ostinato.model.graph import Graph
from ostinato.recipe.read import from_arguments
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import near, trained

SIZE, HEADS, INNER = 12, 3, 20


class Fitted:
    """A modality of many symbols that has been fitted, as far as the graph asks."""

    def __init__(self, size, facts):
        self.spec, self._facts = Symbols(size, 0, 1, 2), facts

    def facts(self):
        return self._facts


def translator(size, encoder, head, vocabularies=("same", "same"), reads=None):
    column = {"type": "text", "tokenizer": "char"}
    outputs = {"en": {**column, "head": head, "reads": ["de"], "tokenizer": {"same_as": "de"}}}
    recipe = from_arguments({"de": {**column, "encoder": encoder}}, outputs).settings
    fitted = (Fitted(size, facts) for facts in vocabularies)
    return Graph(recipe.inputs, recipe.outputs, dict(zip(("inputs.de", "outputs.en"), fitted, strict=True)))


def test_the_base_configuration_has_the_hand_count_of_parameters():
    """37,000 x 512 vectors, tied three times; 6 x 3,152,384 in the encoder, 6 x 4,204,032 in the decoder."""
    base = {"type": "transformer", "block": "vaswani2017", "hidden_size": 512, "layers": 6, "heads": 8}
    head = {"type": "autoregressive", "decoder": base, "embedding_size": 512, "tied": "input", "bias": False}
    graph = translator(37_000, base, head)
    assert sum(parameter.numel() for parameter in graph.parameters()) == 63_082_496
    assert graph.parts() == {"inputs.de.encoder": 18_944_000 + 18_914_304, "outputs.en.head": 25_224_192}
    embedding = graph.heads["en"].decoder.embedding.weight
    assert graph.encoder("de").embedding.learnt.weight is embedding and graph.heads["en"].output.weight is embedding


@pytest.mark.parametrize(
    ("encoder", "vocabularies", "message"),
    [
        ({"embedding_size": 6}, ("same", "same"), r"of that input is \(9, 6\), and that of the output is \(9, 8\)"),
        ({"embedding": "one_hot", "embedding_size": None}, ("same", "same"), "of that input is no table"),
        ({}, ("one", "another"), r"set outputs.en.tokenizer: \{same_as: de\}"),
    ],
)
def test_embeddings_that_cannot_be_one_are_refused(encoder, vocabularies, message):
    encoder = {"type": "transformer", "hidden_size": 8, "layers": 1, **encoder}
    head = {"type": "autoregressive", "embedding_size": 8, "tied": "input"}
    with pytest.raises(ConfigError, match=message):
        translator(9, encoder, head, vocabularies)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_it_is_torchs_decoder(norm_first, activation):
    options = {
        "block": "vaswani2017",
        "positions": "none",
        "hidden_size": SIZE,
        "heads": HEADS,
        "layers": 2,
        "feed_forward_size": INNER,
        "norm_first": norm_first,
        "feed_forward_activation": activation,
    }
    torch.manual_seed(0)
    sizes = [Sizes(SIZE, SIZE)]
    made = registry.make("decoders", "transformer", (sizes, lambda: Table(9, SIZE), SIZE, None, 0.0), options).eval()
    layer = nn.TransformerDecoderLayer(
        SIZE, HEADS, INNER, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
    )
    torchs = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(SIZE) if norm_first else None).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.4)
    with torch.no_grad():
        for theirs, ours in zip(torchs.layers, made.stack.layers, strict=True):
            cross, own = ours.crosses[0], ours.attention
            pairs = [
                (theirs.self_attn.in_proj_weight, own.queries_keys_values.weight),
                (theirs.self_attn.in_proj_bias, own.queries_keys_values.bias),
                (theirs.multihead_attn.in_proj_weight, torch.cat([cross.queries.weight, cross.keys_values.weight])),
                (theirs.multihead_attn.in_proj_bias, torch.cat([cross.queries.bias, cross.keys_values.bias])),
            ]
            modules = [
                (theirs.self_attn.out_proj, own.output),
                (theirs.multihead_attn.out_proj, cross.output),
                (theirs.linear1, ours.feed_forward.first),
                (theirs.linear2, ours.feed_forward.second),
                *zip((theirs.norm1, theirs.norm2, theirs.norm3), ours.norms, strict=True),
            ]
            pairs += [(to.weight, module.weight) for to, module in modules]
            pairs += [(to.bias, module.bias) for to, module in modules]
            for to, value in pairs:
                to.copy_(value)
        if norm_first:
            torchs.norm.load_state_dict(made.stack.norm.state_dict())
    source, target = (Layout([4, 1, 6, 3]), Layout([5, 2, 1, 7]))
    read = Steps(torch.randn(source.total, SIZE), source)
    steps = Steps(torch.randint(9, (target.total,)), target)
    embedded = Steps(made.embedding(steps.values) * SIZE**0.5, target)
    expected = torchs(
        embedded.padded(),
        read.padded(),
        nn.Transformer.generate_square_subsequent_mask(target.longest),
        memory_key_padding_mask=~source.mask,
    )
    encoded = [Encoded(read, torch.zeros(4, SIZE), None)]
    near(made.run(encoded, steps), Steps.from_padded(expected, target).values, "features of torch's decoder")


OPTIONS = (
    {},
    {"positions": "alibi"},
    {"window": 3},
    {"kv_heads": 1},
    {"positions": "alibi", "kv_heads": 1, "heads": 4},
)


@torch.no_grad()
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_single_steps_after_prompts_of_unequal_lengths_are_those_of_the_whole(options):
    """Hypotheses in pairs read an input each, one of them without steps."""
    settings = {"hidden_size": SIZE, "heads": HEADS, "layers": 2, **options}
    width, source = 5, Layout([4, 0, 2])
    decoder = registry.make(
        "decoders", "transformer", ([Sizes(width, None, ())], lambda: Table(7, 6), 6, None, 0.2), settings
    )
    for weight in decoder.parameters():
        nn.init.normal_(weight, std=0.4)
    decoder.eval()
    encoded = [Encoded(Steps(torch.randn(source.total, width), source), None, None)]
    pairs = torch.tensor([0, 0, 1, 1, 2, 2])
    whole = Steps(torch.randint(7, (36,)), Layout.equal(6, 6))
    expected = decoder.extend(whole, decoder.start(encoded).reorder(pairs))[0].view(6, 6, -1)
    lengths = torch.tensor([1, 3, 0, 2, 3, 1])
    symbols = whole.values.view(6, 6)
    prompt = Steps.of([row[:length] for row, length in zip(symbols, lengths.tolist())])
    state = decoder.extend(prompt, decoder.start(encoded).reorder(pairs))[1]
    for step in range(3):
        places = torch.arange(6), lengths + step
        features, state = decoder.step(symbols[places], state)
        near(features, expected[places], f"features of step {step}")
    rest = Steps.of([row[length + 3 :] for row, length in zip(symbols, lengths.tolist())])
    features, _ = decoder.extend(rest, state)
    near(features, torch.cat([row[length + 3 :] for row, length in zip(expected, lengths.tolist())]), "the rest")


@torch.no_grad()
def test_states_of_one_generation_share_room_and_none_changes_under_another():
    made = registry.make("decoders", "transformer", ([Sizes(8, 8)], lambda: Table(9, 8), 8, None, 0.0), {
        "hidden_size": 8, "layers": 2, "heads": 2,
    })  # fmt: skip
    made.eval()
    read = Steps(torch.randn(5, 8), Layout([2, 3]))
    begun = made.start([Encoded(read, torch.zeros(2, 8), None)])
    first, other = torch.randint(9, (2, 2, 40))
    expected = [
        made.extend(Steps(symbols.flatten(), Layout.equal(2, 40)), begun)[0].view(2, 40, -1)
        for symbols in (first, other)
    ]
    with torch.inference_mode():
        _, inside = made.step(first[:, 0], begun)
    _, state = made.step(first[:, 1], inside)  # outside, where nothing may be written into what was made inside
    for step in range(2, 40):
        features, after = made.step(first[:, step], state)
        near(features, expected[0][:, step], f"step {step}")
        kept = {name: value.clone() for name, value in after.values.items()}
        if step % 3 == 0:  # of the same state, another symbol: it must not be written where the state that goes on lies
            made.step(other[:, step], state)
        if step % 10 == 0:
            turned, _ = made.step(first[:, step].flip(0), state.reorder(torch.tensor([1, 0])))
            near(turned, expected[0][:, step].flip(0), f"step {step} of rows that changed places")
        for name, value in after.values.items():
            assert torch.equal(value, kept[name]), name
        state = after


def test_a_target_longer_than_learned_positions_is_refused():
    options = {"positions": "learned", "longest": 3, "hidden_size": 8, "layers": 1}
    made = registry.make("decoders", "transformer", ([Sizes(8, 8)], lambda: Table(9, 8), 8, None, 0.0), options)
    state = made.start([Encoded(Steps(torch.zeros(2, 8), Layout([2])), torch.zeros(1, 8), None)])
    for _ in range(3):
        _, state = made.step(torch.tensor([4]), state)
    with pytest.raises(DataError, match="a sequence of 4 steps, and learned positions end after 3; set longest: 4"):
        made.step(torch.tensor([4]), state)


ENCODERS = {
    "transformer": {"layers": 1, "heads": 2},
    "recurrent": {"cell": "gru"},
    "convolutional": {"layers": 2},
}
DECODERS = {
    "transformer": {"layers": 1, "heads": 2},
    "recurrent": {"cell": "gru", "attention": "scaled_dot"},
}


def pair(reads, writes, size=16):
    """An encoder of one kind and a head with a decoder of another."""
    torch.manual_seed(0)
    spec = Symbols(9, 0, 1, 2)
    options = {"hidden_size": size, "bidirectional": True, **ENCODERS[reads]}
    encoder = registry.make("encoders", reads, (spec,), options)
    decoder = {"type": writes, "hidden_size": size, **DECODERS[writes]}
    sizes = [Sizes(encoder.steps_size, encoder.summary_size, encoder.state_sizes)]
    return encoder, registry.make(
        "heads", "autoregressive", (spec, sizes), {"decoder": decoder, "embedding_size": size}
    )


@pytest.mark.parametrize("writes", DECODERS)
@pytest.mark.parametrize("reads", ENCODERS)
def test_any_encoder_goes_with_any_decoder(reads, writes):
    """Company changes nothing, step by step is the whole, and so are parts: for the pair as for each."""
    encoder, head = pair(reads, writes)
    for parameter in (*encoder.parameters(), *head.parameters()):
        nn.init.normal_(parameter, std=0.4)
    torch.manual_seed(1)
    source = [torch.randint(3, 9, (length,)) for length in (4, 0, 7, 1)]
    target = [torch.randint(3, 9, (length,)) for length in (5, 2, 0, 6)]
    encoder.eval(), head.eval()

    def read(rows):
        return [encoder.encode(Steps.of([source[row].int() for row in rows]))]

    def scored(rows):
        return head.score(read(rows), Steps.of([target[row] for row in rows])).log_probability

    with torch.no_grad():
        whole = scored(range(4))
        for rows in ([0], [1], [3, 1, 0], [2, 2]):
            near(scored(rows), whole[rows], f"score of rows {rows}")
        for row in range(4):
            state, total, last = head.start(read(range(4))).reorder(torch.tensor([row, row])), 0.0, head.begin
            for symbol in (*target[row].tolist(), head.end):
                distribution, state = head.step(torch.tensor([last, last]), state)
                total, last = total + distribution.score(torch.tensor([symbol, symbol])), symbol
            near(total, whole[[row, row]], f"score of row {row}, step by step")


def test_it_learns_to_copy():
    """Sequences of 2 to 6 symbols."""
    encoder, head = pair("transformer", "transformer", size=32)
    random = torch.Generator().manual_seed(0)

    def batch(rows):
        lengths = torch.randint(2, 7, (rows,), generator=random).tolist()
        source = [torch.randint(3, 9, (length,), generator=random) for length in lengths]
        return [encoder.encode(Steps.of([part.int() for part in source]))], Steps.of(source)

    def loss():
        total, count, _ = head.loss(*batch(32))
        return total / count

    trained(nn.ModuleList([encoder, head]), loss, 100)
    encoder.eval(), head.eval()
    with torch.no_grad():
        score = head.score(*batch(100))
        assert score.num_right.sum() / score.num_targets.sum() > 0.9
