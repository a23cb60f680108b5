"""Words that people bring from other tools, and the settings of a recipe that mean the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ostinato.recipe.schema import recipe_class
from ostinato.registry import Settings

SAME = "{}"
"""The value that was given."""

WORDS = {
    # Keras, PyTorch, Lightning
    "lr": "training.optimizer.learning_rate={}",
    "initial_lr": "training.optimizer.learning_rate={}",
    "max_lr": "training.optimizer.learning_rate={}",
    "batch_size": "training.batch_rows={}",
    "max_epochs": "training.epochs={}",
    "num_epochs": "training.epochs={}",
    "nb_epoch": "training.epochs={}",
    "early_stopping": "training.patience=3",
    "min_delta": "training.least_gain=0.002",
    "restore_best_weights": "training.keep_best={}",
    "validation_split": "data.valid=FILE",
    "validation_freq": "training.validate_every={}",
    "check_val_every_n_epoch": "training.validate_every={}",
    "loss_weights": "outputs.*.weight={}",
    "class_weight": "outputs.*.head.class_weights=balanced",
    "clipnorm": "training.clip_norm={}",
    "clipvalue": "training.clip_value={}",
    "gradient_clip_val": "training.clip_norm={}",
    "accumulate_grad_batches": "training.accumulate={}",
    "log_every_n_steps": "training.report_every={}",
    "units": "inputs.*.encoder.hidden_size={}",
    "rnn_units": "inputs.*.encoder.hidden_size={}",
    "num_layers": "inputs.*.encoder.layers={}",
    "bilstm": "inputs.*.encoder={type: recurrent, cell: lstm, bidirectional: true}",
    "bigru": "inputs.*.encoder={type: recurrent, cell: gru, bidirectional: true}",
    "lstm": "inputs.*.encoder={type: recurrent, cell: lstm}",
    "gru": "inputs.*.encoder={type: recurrent, cell: gru}",
    "cnn": "inputs.*.encoder=convolutional",
    "pooling": "outputs.*.head.pool=max",
    "input_dim": "inputs.*.tokenizer={type: word, size: 10000}",
    "output_dim": "inputs.*.encoder.embedding_size={}",
    "num_words": "inputs.*.tokenizer={type: word, size: 10000}",
    "max_tokens": "inputs.*.tokenizer={type: word, size: 10000}",
    "spatial_dropout": "inputs.*.encoder={type: recurrent, dropout: 0.3, variational: true}",
    # Hugging Face
    "num_train_epochs": "training.epochs={}",
    "per_device_train_batch_size": "training.batch_rows={}",
    "train_batch_size": "training.batch_rows={}",
    "gradient_accumulation_steps": "training.accumulate={}",
    "max_grad_norm": "training.clip_norm={}",
    "warmup_steps": "training.schedule.warmup={}",
    "lr_scheduler_type": "training.schedule={}",
    "lr_scheduler": "training.schedule=linear",
    "early_stopping_patience": "training.patience={}",
    "load_best_model_at_end": "training.keep_best={}",
    "metric_for_best_model": "training.monitor=OUTPUT.METRIC",
    "logging_steps": "training.report_every={}",
    "label_smoothing_factor": "outputs.*.head.label_smoothing={}",
    "fp16": "training.precision=bfloat16",
    "bf16": "training.precision=bfloat16",
    "do_lower_case": "inputs.*.lowercase={}",
    "max_length": "training.max_steps={}",
    "max_seq_length": "training.max_steps={}",
    "vocab_size": "inputs.*.tokenizer={type: bpe, size: 8000}",
    "num_beams": "search={type: beam, width: {}}",
    "max_new_tokens": "search.max_length={}",
    "do_sample": "search=sample",
    "temperature": "search={type: sample, temperature: {}}",
    "top_k": "search={type: sample, top_k: {}}",
    "top_p": "search={type: sample, top_p: {}}",
    "no_repeat_ngram_size": "search={type: beam, no_repeat_ngrams: {}}",
    "length_penalty": "search={type: beam, alpha: {}}",
    # JoeyNMT, OpenNMT, fairseq
    "beam_size": "search={type: beam, width: {}}",
    "beam_alpha": "search={type: beam, alpha: {}}",
    "min_length_decoding": "search.min_length={}",
    "rnn_type": "inputs.*.encoder={type: recurrent, cell: {}}",
    "rnn_size": "inputs.*.encoder.hidden_size={}",
    "word_vec_size": "inputs.*.encoder.embedding_size={}",
    "batch_multiplier": "training.accumulate={}",
    "update_freq": "training.accumulate={}",
    "learning_rate_warmup": "training.schedule.warmup={}",
    "voc_min_freq": "inputs.*.tokenizer={type: word, min_count: 2}",
    "max_sent_length": "training.max_steps={}",
    "random_seed": "training.seed={}",
    # Ludwig
    "sequence_combiner": "outputs.*.join=concatenate",
    "reduce_output": "outputs.*.head.pool=max",
    "state_size": "inputs.*.encoder.hidden_size={}",
    "cell_type": "inputs.*.encoder={type: recurrent, cell: {}}",
    "preprocessing": "inputs.*.tokenizer=word",
    "trainer": "training.epochs=10",
    "early_stop": "training.patience={}",
    "evaluate_training_set": "training.validate_every=1",
    # Flair, spaCy, NCRF++
    "crf": "outputs.*.head=crf",
    "use_crf": "outputs.*.head=crf",
    "tag_format": "outputs.*.scheme=bioes",
    "use_char": "inputs.*.characters=true",
    "char_embeddings": "inputs.*.characters=true",
    "word_dropout_rate": "inputs.*.encoder.word_dropout={}",
    "locked_dropout": "inputs.*.encoder={type: recurrent, dropout: 0.3, variational: true}",
    "mini_batch_size": "training.batch_rows={}",
    "anneal_factor": "training.schedule=plateau",
    "glove": "inputs.*.encoder.embedding={file: FILE}",
    "word_embeddings": "inputs.*.encoder.embedding={file: FILE}",
    # scikit-learn
    "random_state": "training.seed={}",
    "max_iter": "training.epochs={}",
    "learning_rate_init": "training.optimizer.learning_rate={}",
    "alpha": "training.optimizer={type: adamw, weight_decay: {}}",
    "ngram_range": "inputs.*.encoder=ngrams",
    "min_df": "inputs.*.tokenizer={type: word, min_count: 2}",
    "max_features": "inputs.*.tokenizer={type: word, size: 10000}",
    "n_iter_no_change": "training.patience={}",
    "scoring": "training.monitor=OUTPUT.METRIC",
    # Darts, statsforecast, AutoGluon
    "input_chunk_length": "outputs.*.lookback={}",
    "output_chunk_length": "outputs.*.horizon={}",
    "prediction_length": "outputs.*.horizon={}",
    "season_length": "data.season={}",
    "n_epochs": "training.epochs={}",
    "hidden_dim": "inputs.*.encoder.hidden_size={}",
    "time_limit": "--minutes 5",
    "presets": "--minutes 5",
    # of several
    "hidden": "inputs.*.encoder.hidden_size={}",
    "embedding_dim": "inputs.*.encoder.embedding_size={}",
    "embed_size": "inputs.*.encoder.embedding_size={}",
    "embed_dim": "inputs.*.encoder.embedding_size={}",
    "n_layers": "inputs.*.encoder.layers={}",
    "bptt": "training.tbptt={}",
    "max_len": "training.max_steps={}",
    "avg": "training.average_decay=0.999",
    "ema_decay": "training.average_decay={}",
    "swa": "training.average_last=5",
    "wd": "training.optimizer.weight_decay={}",
    "l2": "training.optimizer.weight_decay={}",
    "grad_clip": "training.clip_norm={}",
    "clip": "training.clip_norm={}",
    "optim": "training.optimizer={}",
    "scheduler": "training.schedule=cosine",
    "stopwords": "inputs.*.stop_words=[the, a]",
    "lower": "inputs.*.lowercase={}",
    "device": "--device cpu",
    "gpus": "--device cuda",
    "use_gpu": "--device cuda",
}
"""Word -> setting and value, or an option of the command line."""
AT_ZERO = {"temperature": "search=greedy"}
"""What means something else where the value is 0."""


def advice(word: str, value: Any, plain: Mapping[str, Any]) -> str | None:
    """What to write for a word of other tools in this recipe: `PATH=VALUE`, or an option; None: it is no such word."""
    written = _SQUEEZED.get(_squeezed(word))
    if written is None:
        return None
    if str(value) in ("0", "0.0"):
        written = AT_ZERO.get(_squeezed(word), written)
    path, sign, template = written.partition("=")
    for side in ("inputs", "outputs"):
        names = list(plain.get(side) or ()) if isinstance(plain.get(side), Mapping) else []
        path = path.replace(f"{side}.*", f"{side}.{names[0] if names else 'NAME'}")
    return path + sign + template.replace(SAME, _as_word(value))


def option_advice(word: str, value: str) -> str | None:
    """The same for an option of the command line, before any recipe is read: `--set PATH=VALUE`; settings of training
    are known too."""
    name = word.replace("-", "_")
    known = name in getattr(recipe_class().model_fields["training"].annotation, "model_fields", {})
    written = f"training.{name}={value}" if known else advice(word, value, {})
    return written if written is None or written.startswith("--") else f"--set '{written}'"


def own_places(word: str, settings: Settings) -> list[str]:
    """The paths of a recipe's settings that end in this word."""
    return [path for path in _paths(settings, "") if path.rpartition(".")[2] == word]


def _paths(settings: Any, place: str) -> Iterator[str]:
    if isinstance(settings, Settings):
        for name in type(settings).model_fields:
            yield f"{place}{name}"
            yield from _paths(getattr(settings, name), f"{place}{name}.")
    elif isinstance(settings, Mapping):
        for name, value in settings.items():
            yield from _paths(value, f"{place}{name}.")


def _as_word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _squeezed(word: str) -> str:
    return word.replace("_", "").replace("-", "").lower()


_SQUEEZED = {_squeezed(word): written for word, written in WORDS.items()}
