"""Small models of OpenNMT-py after a few updates, and what OpenNMT-py itself computes with them.

python -m tests.importers.made_by_opennmt writes those that are kept, where OpenNMT-py 3.5.1 is installed.
"""

import json
import sys
import warnings

import torch

from tests.importers.made_by_joeynmt import KEPT

SPECIAL = ["<unk>", "<blank>", "<s>", "</s>"]
ROWS = [
    ("ein hund läuft über die wiese .", "a dog runs over the meadow ."),
    ("die katze", "the cat the the"),
    ("hund unbekannt ein", "a dog unknown"),
    ("wiese", "a"),
]
RECURRENT = {
    "encoder_type": "brnn",
    "decoder_type": "rnn",
    "word_vec_size": 5,
    "hidden_size": 6,
    "layers": 1,
    "dropout": [0.3],
    "label_smoothing": 0.1,
}
TRANSFORMER = {
    "encoder_type": "transformer",
    "decoder_type": "transformer",
    "position_encoding": True,
    "word_vec_size": 8,
    "hidden_size": 8,
    "heads": 2,
    "transformer_ff": 10,
    "attention_dropout": [0.2],
}
CASES = {
    "opennmt-recurrent": {"layers": 2},
    "opennmt-attention": {"rnn_type": "GRU", "global_attention": "mlp", "file": "safetensors"},
    "one direction, dot": {"encoder_type": "rnn", "global_attention": "dot", "layers": 3},
    "no input feeding": {"input_feed": 0, "global_attention": "mlp", "layers": 2},
    "no attention": {"input_feed": 0, "global_attention": "none", "layers": 2},
    "bridge": {"bridge": True, "layers": 2},
    "bridge of a GRU": {"bridge": True, "rnn_type": "GRU", "encoder_type": "rnn"},
    "bridge of three layers": {"bridge": True, "layers": 3},
    "softmax tied": {"share_decoder_embeddings": True, "word_vec_size": 6},
    "one table": {"share_decoder_embeddings": True, "share_embeddings": True, "word_vec_size": 6},
    "embeddings tied": {"share_embeddings": True},
    "other sizes": {"word_vec_size": -1, "src_word_vec_size": 4, "tgt_word_vec_size": 7},
    "opennmt-transformer": {**TRANSFORMER, "share_decoder_embeddings": True},
    "biases, gelu": {
        **TRANSFORMER,
        "layers": 2,
        "add_qkvbias": True,
        "pos_ffn_activation_fn": "gelu",
        "norm_eps": 1e-5,
    },
    "one table of a Transformer": {**TRANSFORMER, "share_decoder_embeddings": True, "share_embeddings": True},
    "another begin": {"begin": "</s>", "special": ["<s>", "<unk>", "</s>", "<blank>"]},
}
STEPS = 12
"""Of the answers."""
UPDATES = 15
"""On each row, so that answers differ and end."""


def write(folder, case):
    """Writes a case into a folder, with expected.json beside: log-probabilities of targets, answers by greedy and by
    beam search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _write(folder, case)


def _write(folder, case):
    case, (build, opts, parser, vocabs_of, saver) = dict(case), _library()
    folder.mkdir(parents=True)
    kind, begin, special = case.pop("file", "pytorch"), case.pop("begin", "<s>"), case.pop("special", SPECIAL)
    reader = parser()
    opts.train_opts(reader)
    options = reader.parse_known_args(["-data", "{}", "-src_vocab", "src.vocab"])[0]
    vars(options).update({**RECURRENT, **case, "save_model": "model"})
    parser.update_model_opts(options)
    parser.validate_model_opts(options)
    symbols = {
        side: sorted({s for row in ROWS for s in row[place].split()}) for place, side in enumerate(("src", "tgt"))
    }
    if options.share_embeddings:
        symbols = dict.fromkeys(symbols, sorted({*symbols["src"], *symbols["tgt"]}))
    plain = {side: special + [s for s in each if not s.startswith("un")] for side, each in symbols.items()}
    vocabularies = vocabs_of({**plain, "data_task": "seq2seq", "decoder_start_token": begin})
    torch.manual_seed(1)
    network = build(options, vocabularies).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    for places in network.buffers():
        places.set_(places[:30].clone())  # 5,000 places, which can be computed and are not read
    pairs = [_numbers(row, vocabularies, begin) for row in ROWS]
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    for source, read in UPDATES * pairs:
        (-_scores(network, source, read[:-1]).gather(1, read[1:, None]).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    unused = torch.optim.SGD(network.parameters())
    saver(str(folder / "model"), network, options, vocabularies, unused, save_format=kind).save(7)
    expected = {"rows": [], "by_step": [], "answers": [], "beam": []}
    for row, (source, read) in zip(ROWS, pairs):
        expected["rows"].append({"src": row[0], "tgt": row[1]})
        with torch.no_grad():
            expected["by_step"].append(_scores(network, source, read[:-1]).gather(1, read[1:, None])[:, 0].tolist())
        for name, width in (("answers", 1), ("beam", 3)):
            answer = _translated(network, vocabularies, options, source, begin, width)
            expected[name].append([vocabularies["tgt"].ids_to_tokens[number] for number in answer])
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False))


def _numbers(row, vocabularies, begin):
    """The symbols of a row: the source, and the target with its begin and end."""
    texts = row[0].split(), [begin, *row[1].split(), "</s>"]
    return [torch.tensor(vocabularies[side](symbols)) for side, symbols in zip(("src", "tgt"), texts)]


def _library():
    from onmt import opts
    from onmt.inputters.inputter import dict_to_vocabs
    from onmt.model_builder import build_base_model
    from onmt.models.model_saver import ModelSaver
    from onmt.utils.parse import ArgumentParser

    return build_base_model, opts, ArgumentParser, dict_to_vocabs, ModelSaver


def _scores(network, source, read):
    """The log-probabilities (steps, symbols) of what follows each symbol of the target that is read."""
    read = torch.cat([read, read[-1:]])[None, :, None]  # The network leaves out the last.
    features, _ = network(source[None, :, None], read, torch.tensor([len(source)]))
    return network.generator(features)[0].log_softmax(-1)


@torch.no_grad()
def _translated(network, vocabularies, options, source, begin, width):
    """The numbers of the best answer without its end, by a beam of this width whose scores are not normalized."""
    from onmt.translate import BeamSearch, GNMTGlobalScorer

    target = vocabularies["tgt"]
    search = BeamSearch(
        beam_size=width,
        batch_size=1,
        pad=target["<blank>"],
        bos=target["<s>"],
        eos=target["</s>"],
        unk=target["<unk>"],
        start=target[begin],
        n_best=1,
        global_scorer=GNMTGlobalScorer(0.0, 0.0, "none", "none"),
        min_length=0,
        max_length=STEPS,
        return_attention=False,
        block_ngram_repeat=0,
        exclusion_tokens=set(),
        stepwise_penalty=False,
        ratio=0.0,
        ban_unk_token=False,
    )
    lengths = torch.tensor([len(source)])
    memory, last, lengths = network.encoder(source[None, :, None], lengths)
    network.decoder.init_state(source[None, :, None], memory, last)
    repeat, memory, _ = search.initialize(memory, lengths)
    network.decoder.map_state(repeat)
    for step in range(STEPS):
        features, _ = network.decoder(
            search.current_predictions.view(-1, 1, 1), memory, src_len=search.src_len, step=step
        )
        search.advance(network.generator(features.squeeze(1)).log_softmax(-1), None)
        if any(any(part) for part in search.is_finished_list):
            search.update_finished()
            if search.done:
                break
        chosen = search.select_indices
        network.decoder.map_state(lambda state, dim: state[chosen])
    answer = search.predictions[0][0].tolist()
    return answer[:-1] if answer[-1] == target["</s>"] else answer


if __name__ == "__main__":
    for name in sys.argv[1:] or [name for name in CASES if name.startswith("opennmt-")]:
        write(KEPT / name, CASES[name])
