"""The Transformer with the weights of Hugging Face's GPT-2, BERT, Llama and Marian gives their numbers; where that
package is installed."""

import pytest
import torch
from torch import nn

from ostinato import registry
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.layers.transformer import TransformerStack
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import near

transformers = pytest.importorskip("transformers", reason="needs the package transformers, which Ostinato does not")
pytestmark = pytest.mark.slow

SIZE, HEADS, INNER = 16, 4, 24
LENGTHS = [5, 1, 9, 3]


def stack(causal, **options):
    left_to_the_block = "norm norm_first positions longest window query_key_norm kv_heads norm_epsilon last_norm"
    options = dict.fromkeys(left_to_the_block.split()) | options
    chances = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), 0.0)
    return TransformerStack(
        SIZE, SIZE, causal=causal, scaled=False, layers=2, heads=HEADS, feed_forward_size=INNER, **chances, **options
    ).eval()


def steps_and_padding():
    torch.manual_seed(1)
    steps = Steps(torch.randn(sum(LENGTHS), SIZE), Layout(LENGTHS))
    return steps, steps.layout.mask


def seeded(model):
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.3)
    return model.eval()


@torch.no_grad()
def take(own, **theirs):
    """Copies weights, and biases where there are any, into the module of each name."""
    for name, (weight, bias) in theirs.items():
        own.get_submodule(name).weight.copy_(weight)
        if bias is not None:
            own.get_submodule(name).bias.copy_(bias)


def joined(*linears):
    biases = [linear.bias for linear in linears]
    weight = torch.cat([linear.weight for linear in linears])
    return weight, None if biases[0] is None else torch.cat(biases)


def both(module):
    return module.weight, getattr(module, "bias", None)


@torch.no_grad()
def test_llama():
    config = transformers.LlamaConfig(
        vocab_size=9, hidden_size=SIZE, intermediate_size=INNER, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=2, rms_norm_eps=1e-6,
    )  # fmt: skip
    model = seeded(transformers.LlamaModel(config))
    own = stack(True, block="modern", feed_forward_activation="swiglu", query_key_norm=False, kv_heads=2)
    for layer, theirs in zip(own.layers, model.layers, strict=True):
        attention, net = theirs.self_attn, theirs.mlp
        take(
            layer,
            **{
                "attention.queries_keys_values": joined(attention.q_proj, attention.k_proj, attention.v_proj),
                "attention.output": both(attention.o_proj),
                "feed_forward.first": joined(net.gate_proj, net.up_proj),
                "feed_forward.second": both(net.down_proj),
                "norms.0": both(theirs.input_layernorm),
                "norms.1": both(theirs.post_attention_layernorm),
            },
        )
    take(own, norm=both(model.norm))
    steps, padding = steps_and_padding()
    expected = model(inputs_embeds=steps.padded(), attention_mask=padding.long()).last_hidden_state
    near(own(steps)[0].values, Steps.from_padded(expected, steps.layout).values, "steps of Llama")


@torch.no_grad()
def test_gpt2():
    config = transformers.GPT2Config(
        vocab_size=9, n_embd=SIZE, n_layer=2, n_head=HEADS, n_inner=INNER, n_positions=12, activation_function="gelu"
    )
    model = seeded(transformers.GPT2Model(config))
    own = stack(
        True, block="vaswani2017", norm_first=True, positions="learned", longest=12, feed_forward_activation="gelu"
    )
    for layer, theirs in zip(own.layers, model.h, strict=True):
        maps = {
            "attention.queries_keys_values": theirs.attn.c_attn,
            "attention.output": theirs.attn.c_proj,
            "feed_forward.first": theirs.mlp.c_fc,
            "feed_forward.second": theirs.mlp.c_proj,
        }
        norms = {"norms.0": both(theirs.ln_1), "norms.1": both(theirs.ln_2)}
        take(layer, **{name: (module.weight.T, module.bias) for name, module in maps.items()}, **norms)
    take(own, norm=both(model.ln_f))
    own.table.copy_(model.wpe.weight)
    steps, padding = steps_and_padding()
    expected = model(inputs_embeds=steps.padded(), attention_mask=padding.long()).last_hidden_state
    near(own(steps)[0].values, Steps.from_padded(expected, steps.layout).values, "steps of GPT-2")


@torch.no_grad()
def test_bert():
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=SIZE, num_hidden_layers=2, num_attention_heads=HEADS, intermediate_size=INNER,
        layer_norm_eps=1e-5, max_position_embeddings=12,
    )  # fmt: skip
    model = seeded(transformers.BertModel(config, add_pooling_layer=False))
    own = stack(False, block="vaswani2017", positions="none", feed_forward_activation="gelu")
    for layer, theirs in zip(own.layers, model.encoder.layer, strict=True):
        attention = theirs.attention.self
        take(
            layer,
            **{
                "attention.queries_keys_values": joined(attention.query, attention.key, attention.value),
                "attention.output": both(theirs.attention.output.dense),
                "feed_forward.first": both(theirs.intermediate.dense),
                "feed_forward.second": both(theirs.output.dense),
                "norms.0": both(theirs.attention.output.LayerNorm),
                "norms.1": both(theirs.output.LayerNorm),
            },
        )
    steps, padding = steps_and_padding()
    # Their embeddings come before: what the layers read is taken from them.
    read = model(inputs_embeds=steps.padded(), attention_mask=padding.long(), output_hidden_states=True)
    first, last = (Steps.from_padded(read.hidden_states[place], steps.layout) for place in (0, -1))
    near(own(first)[0].values, last.values, "steps of BERT")


@torch.no_grad()
def test_marian():
    """Both halves: the decoder has the masked attention, then the one to the source, then the map of each step."""
    config = transformers.MarianConfig(
        vocab_size=9, pad_token_id=8, d_model=SIZE, encoder_layers=2, decoder_layers=2, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=INNER, decoder_ffn_dim=INNER, activation_function="relu",
        max_position_embeddings=12,
    )  # fmt: skip
    model = seeded(transformers.MarianModel(config))
    own = stack(False, block="vaswani2017", positions="none", feed_forward_activation="relu")
    options = {"block": "vaswani2017", "positions": "none", "hidden_size": SIZE, "heads": HEADS, "layers": 2}
    options |= {"feed_forward_size": INNER, "feed_forward_activation": "relu"}
    arguments = ([Sizes(SIZE, SIZE)], nn.Identity, SIZE, None, 0.0)
    decoder = registry.make("decoders", "transformer", arguments, options).eval()
    for side, layers in ((model.encoder, own.layers), (model.decoder, decoder.stack.layers)):
        for layer, theirs in zip(layers, side.layers, strict=True):
            attention = theirs.self_attn
            norms = [theirs.self_attn_layer_norm, theirs.final_layer_norm]
            maps = {
                "attention.queries_keys_values": joined(attention.q_proj, attention.k_proj, attention.v_proj),
                "attention.output": both(attention.out_proj),
                "feed_forward.first": both(theirs.fc1),
                "feed_forward.second": both(theirs.fc2),
            }
            if side is model.decoder:
                cross = theirs.encoder_attn
                norms.insert(1, theirs.encoder_attn_layer_norm)
                maps |= {
                    "crosses.0.queries": both(cross.q_proj),
                    "crosses.0.keys_values": joined(cross.k_proj, cross.v_proj),
                    "crosses.0.output": both(cross.out_proj),
                }
            take(layer, **maps, **{f"norms.{place}": both(norm) for place, norm in enumerate(norms)})
    source, target = Layout(LENGTHS), Layout([4, 7, 1, 6])
    symbols = [torch.randint(8, layout.mask.shape) for layout in (source, target)]
    read = model(
        input_ids=symbols[0], attention_mask=source.mask.long(), decoder_input_ids=symbols[1], output_hidden_states=True
    )
    # Embeddings and places come before: what the layers read is taken from them.
    given = Steps.from_padded(read.encoder_hidden_states[0], source)
    expected = Steps.from_padded(read.encoder_last_hidden_state, source)
    near(own(given)[0].values, expected.values, "steps of Marian's encoder")
    given = Steps.from_padded(read.decoder_hidden_states[0] / SIZE**0.5, target)
    encoded = [Encoded(expected, torch.zeros(len(LENGTHS), SIZE), None)]
    expected = Steps.from_padded(read.last_hidden_state, target)
    near(decoder.run(encoded, given), expected.values, "steps of Marian's decoder")
