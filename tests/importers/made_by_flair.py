"""Small taggers of Flair with random weights, and what Flair itself computes with them.

python -m tests.importers.made_by_flair writes those that are kept, where flair 0.15 is installed.
"""

import json
import sys

import torch

from tests.importers.made_by_joeynmt import KEPT

WORDS = {word: number for number, word in enumerate(["the", "dog", "runs", ".", "berlin", "0"])}
TEXTS = ["The dog runs .", "berlin unknown", "runs", "dog dog Berlin the ."]
CASES = {
    "flair-tagger": {"use_crf": True},
    "no crf": {"use_crf": False, "reproject_embeddings": False},
    "gru": {"use_crf": True, "rnn_type": "GRU", "rnn_layers": 2, "bidirectional": False},
}


@torch.no_grad()
def write(folder, case):
    """Writes a case into a folder, with expected.json beside: log-probabilities of tags, and the best tags."""
    import flair
    from flair.data import Dictionary, Sentence
    from flair.embeddings import WordEmbeddings
    from flair.models import SequenceTagger

    folder.mkdir(parents=True)
    flair.device = torch.device("cpu")
    torch.manual_seed(1)
    words = WordEmbeddings(None, vocab=WORDS, embedding_length=4, name="small")
    labels = Dictionary(add_unk=False)
    for label in ("NOUN", "VERB", "OTHER"):
        labels.add_item(label)
    tagger = SequenceTagger(words, labels, "pos", hidden_size=5, **case).eval()
    for name, tensor in tagger.state_dict().items():
        if name != "crf.transitions":
            tensor.normal_(0.0, 0.4)
    words.embedding.weight[len(WORDS)] = 0
    tagger.embeddings = words
    tags = tagger.label_dictionary.get_items()
    torch.save(tagger.state_dict(), folder / "model.pt")
    plain = {"tags": tags, "vocabulary": sorted(words.vocab, key=words.vocab.get)}
    (folder / "flair.json").write_text(json.dumps(plain))
    expected = {"rows": [], "whole": [], "answers": []}
    for text in TEXTS:
        sentence = Sentence(text.split())
        words.embed([sentence])
        lengths, read = tagger._make_padded_tensor_for_batch([sentence])
        said = [tags[place % 3] for place in range(len(text.split()))]
        truth = torch.tensor([tags.index(tag) for tag in said])
        scores = tagger(read, lengths)
        expected["rows"].append({"words": text.split(), "tags": said})
        expected["whole"].append(-float(tagger.loss_function(scores, truth)))
        tagger.predict(sentence)
        expected["answers"].append([token.get_label("pos").value for token in sentence])
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))


if __name__ == "__main__":
    for name in sys.argv[1:] or [name for name in CASES if name.startswith("flair-")]:
        write(KEPT / name, CASES[name])
