"""What a message recommends, followed: the refused recipe with the recommended change is one that is built."""

import copy
import io
import json
import random
import re
import shlex
import sys
import wave
from dataclasses import replace
from functools import partial

import pytest

import ostinato
from ostinato import api
from ostinato.data.read import open_table
from ostinato.errors import OstinatoError
from ostinato.model.graph import Graph
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.paths import parse_set
from ostinato.recipe.read import from_arguments
from ostinato.recipe.yaml_text import parse_yaml
from ostinato.run import bundle as bundles
from tests.advice import follow

CLASSIFY = "{inputs: {text: {type: text, tokenizer: word}}, outputs: {label: {type: category}}}"
TWO = "{inputs: {text: {type: text}, other: {type: text}}, outputs: {label: {type: category}}}"
TAG = "{inputs: {words: {type: tokens}}, outputs: {tags: {type: tags}}}"
TRANSLATE = "{inputs: {text: {type: text, tokenizer: word}}, outputs: {answer: {type: text, tokenizer: word}}}"
NEXT = "{inputs: {text: {type: text, tokenizer: word}}, outputs: {rest: {of: text}}}"
FORECAST = (
    "{data: {train: days.csv, time: day, split: {valid: 6}}, inputs: {load: {type: series}},"
    " outputs: {ahead: {of: load, horizon: 2, lookback: 4}}}"
)
BASES = {"classify": CLASSIFY, "two": TWO, "tag": TAG, "translate": TRANSLATE, "next": NEXT, "forecast": FORECAST}

RECIPES = r"""
tag | inputs.text=tokens | name it in `reads`, or `join: attend` to look at the others | outputs.tags.reads=[words]
    | outputs.tags.join=attend
classify | outputs.label.of=text | set `align: next`, or leave it out | -outputs.label.of
translate | outputs.answer={type: text, of: text, column: text, align: free, tokenizer: word} | set `align: next`,
    or leave it out | -outputs.answer.of
translate | outputs.answer={type: text, of: text, column: text, align: free, tokenizer: {same_as: text}} | set
    `align: next`, or | outputs.answer.align=next
forecast | inputs.load.noise=0.1 | outputs.ahead has a target for each; leave the changes out | -inputs.load.noise
classify | outputs.label={type: strokes, column: pen, align: free, jitter: 0.1} | of inputs alone; leave the changes of
    this output out | -outputs.label.jitter
classify | outputs.label.lookback=3 | belongs to the forecast of a series; leave it out | -outputs.label.lookback
classify | outputs.label.horizon=3 | this output's is 'summary'; leave it out | -outputs.label.horizon
two | outputs.label={type: text, align: next} | name in `of` the input that it continues | outputs.label.of=text ;
    outputs.label.column=text ; outputs.label.tokenizer={same_as: text}
next | outputs.rest={of: text, type: tokens, align: next} | leave the type out | -outputs.rest.type
next | inputs.text.encoder={type: recurrent, bidirectional: true} | leave it out: align 'next' needs a causal
    encoder | -inputs.text.encoder.bidirectional
next | inputs.text.characters=true | which come without characters; leave characters out | -inputs.text.characters
next | inputs.text={type: text, tokenizer: bpe, subword_pooling: first} | set none, or name another input |
    inputs.text.subword_pooling=none
next | outputs.rest.join=concatenate | inputs beside each step; leave the join out | -outputs.rest.join
classify | inputs.text.encoder.cell={type: lstm, biases: 0, forget_bias: 1} | lstm: biases: 0 leaves no place for
    forget_bias: 1; set forget_bias: 0, or biases to 1 or 2 | inputs.text.encoder.cell.forget_bias=0 |
    inputs.text.encoder.cell.biases=1 | inputs.text.encoder.cell.biases=2
classify | inputs.text.encoder.cell={type: slstm, biases: 0, forget_bias: 1} | slstm: biases: 0 leaves no place for
    forget_bias: 1; set forget_bias: 0, or biases to 1 or 2 | inputs.text.encoder.cell.forget_bias=0 |
    inputs.text.encoder.cell.biases=1
translate | inputs.text.encoder={hidden_size: 4} ; outputs.answer.head.decoder={hidden_size: 6, attention: dot} | use
    attention: general | outputs.answer.head.decoder.attention=general | outputs.answer.head.decoder.hidden_size=8
translate | inputs.text={type: category, column: label} ; outputs.answer.head.decoder.attention=general | set
    attention: none | outputs.answer.head.decoder.attention=none
translate | outputs.answer.head.decoder={attention: none, bridge: false} | set bridge: true, or an attention |
    outputs.answer.head.decoder.bridge=true | outputs.answer.head.decoder.attention=general
translate | outputs.answer.head.decoder={attention: none, input_feeding: true} | set an attention, or input_feeding:
    false | outputs.answer.head.decoder.attention=general | outputs.answer.head.decoder.input_feeding=false
translate | outputs.answer.head.decoder={attention: none, context: before} | no context without attention; leave it
    out | -outputs.answer.head.decoder.context
translate | inputs.text.encoder={hidden_size: 4} ; outputs.answer.head.decoder={hidden_size: 6, bridge: copy} | give
    encoder and decoder the same cell and layers, the decoder as many units as both directions have, or set
    bridge: true | outputs.answer.head.decoder.hidden_size=8 | outputs.answer.head.decoder.bridge=true
translate | outputs.answer.head.decoder={attention: none, readout: linear} | the features are the cell's state; leave
    readout out | -outputs.answer.head.decoder.readout
classify | inputs.text.encoder={hidden_size: [4, 4], layers: 3} | set layers: 2, or give one hidden_size |
    inputs.text.encoder.layers=2 | inputs.text.encoder.hidden_size=4
classify | inputs.text.encoder={type: convolutional, kernel_size: 1} | set 2 or more, or choose windowed |
    inputs.text.encoder.kernel_size=3 | inputs.text.encoder=windowed
classify | inputs.text.encoder={type: convolutional, kernel_size: 4, bidirectional: true} | set kernel_size: 5, or
    bidirectional: false | inputs.text.encoder.kernel_size=5 | inputs.text.encoder.bidirectional=false
classify | inputs.text.encoder={type: convolutional, dropout: 0, variational: true} | convolutional: variational: true
    has no effect with dropout: 0; set dropout above 0, or leave it out | inputs.text.encoder.dropout=0.1 |
    -inputs.text.encoder.variational
classify | inputs.text.encoder=feed_forward | for a sequence choose encoder: recurrent, convolutional or windowed |
    inputs.text.encoder=recurrent | inputs.text.encoder=convolutional | inputs.text.encoder=windowed
tag | inputs.words.encoder={type: local_features, affixes: 2} ; inputs.words.characters=false | set characters: true
    there, or leave affixes out | inputs.words.characters=true | -inputs.words.encoder.affixes
classify | inputs.text.encoder={type: ngrams, words: 1} | set words: 0, or tokenizer: char |
    inputs.text.encoder.words=0 | inputs.text.tokenizer=char
classify | inputs.text.encoder={type: ngrams, shortest: 5, longest: 2} | give n-grams of at least one length |
    inputs.text.encoder.longest=5
classify | inputs.text.encoder={dropout: 0, variational: true} | recurrent: variational: true has no effect with
    dropout: 0; set dropout above 0, or leave it out | inputs.text.encoder.dropout=0.1 |
    -inputs.text.encoder.variational
classify | inputs.text.encoder={bidirectional: true, reversed_source: true} | set bidirectional: false, or leave
    reversed_source out | inputs.text.encoder.bidirectional=false | -inputs.text.encoder.reversed_source
classify | inputs.text.encoder={bidirectional: false, summary: mean} | set bidirectional: true, or let the output
    pool them (head: {pool: ...}) | inputs.text.encoder.bidirectional=true | -inputs.text.encoder.summary ;
    outputs.label.head={pool: mean}
classify | inputs.text={type: series, column: sizes, encoder: {word_dropout: 0.1}} | use dropout |
    -inputs.text.encoder.word_dropout ; inputs.text.encoder.dropout=0.1
classify | inputs.text.encoder={type: windowed, window: 4, bidirectional: true} | set window: 5, or bidirectional:
    false | inputs.text.encoder.window=5 | inputs.text.encoder.bidirectional=false
classify | inputs.text.encoder={type: windowed, window: 1, start: learnt, bidirectional: false} | set a larger
    window, or leave it out | inputs.text.encoder.window=3 | -inputs.text.encoder.start
classify | inputs.text={type: series, column: sizes, encoder: {type: subsampled, centered: true, encoder:
    {bidirectional: false}}} | take an encoder that reads both ways, or leave centered out |
    inputs.text.encoder.encoder.bidirectional=true | -inputs.text.encoder.centered
classify | inputs.text={type: series, column: sizes, step_width: 3} | no effect without
    step_masks; set both, or neither | inputs.text.step_masks=2 | -inputs.text.step_width
translate | outputs.answer.head={copy: true} ; inputs.other=text ; outputs.answer.join=concatenate | leave the join
    out, or copy: false | -outputs.answer.join | outputs.answer.head.copy=false
translate | outputs.answer.head={coverage: true} | set that too, or leave coverage out |
    outputs.answer.head.copy=true | -outputs.answer.head.coverage
translate | outputs.answer.head={copy: true, label_smoothing: 0.1} | leave it out, or set copy: false |
    -outputs.answer.head.label_smoothing | outputs.answer.head.copy=false
translate | inputs.text={type: category, column: label} ; outputs.answer.head={copy: true, decoder: {attention:
    none}} | leave copy out | -outputs.answer.head.copy
translate | outputs.answer.head={tied: input, embedding_size: 4} | give both the same embedding_size and learnt
    symbols, or set tied: true | outputs.answer.head.tied=true | outputs.answer.head.embedding_size=8 ;
    inputs.text.encoder.embedding_size=8 ; outputs.answer.tokenizer={same_as: text}
forecast | outputs.ahead.head={type: forecast, distribution: quantile, loss: absolute} | has its own; leave it out |
    -outputs.ahead.head.loss
forecast | outputs.ahead.head={type: forecast, samples: 20} | of a t, recursively; leave them out |
    -outputs.ahead.head.samples
forecast | outputs.ahead.head={type: forecast, distribution: point, calibrate: true} | set distribution: quantile,
    or leave it out | outputs.ahead.head.distribution=quantile | -outputs.ahead.head.calibrate
forecast | outputs.ahead.head={type: forecast, relative: season} | set season and relative: season, or leave both
    out | outputs.ahead.head.season=3 | -outputs.ahead.head.relative
forecast | outputs.ahead.head={type: forecast, relative: season, season: 7} | set a longer lookback |
    outputs.ahead.lookback=8
forecast | outputs.ahead.head={type: linear_forecast, steps: 9} | than the lookback, 4; lower it |
    outputs.ahead.head.steps=4
translate | outputs.answer.column=label ; outputs.answer.head={type: joint, weight: 0} | set head: autoregressive, or
    a weight above 0 | outputs.answer.head.weight=0.3 | outputs.answer.head=autoregressive
next | outputs.rest.head={tied: true} ; inputs.text.encoder={embedding: one_hot} | set tied: false |
    outputs.rest.head.tied=false
classify | outputs.label.join=attend | name both under `reads` | inputs.other=text
two | outputs.label.join={type: attend, attention: location} | set hops: 2 or more, or choose another attention |
    outputs.label.join.hops=2 | outputs.label.join.attention=general
two | inputs.words=tokens ; outputs.label.join=compare | name two under `reads`, or choose concatenate |
    outputs.label.reads=[text, other] | outputs.label.join=concatenate
two | inputs.text.encoder={hidden_size: 4} ; inputs.other.encoder={hidden_size: 6} ; outputs.label.join=compare |
    share the encoder (encoder: {same_as: ...}), give both one hidden_size, or set features: [first, second] |
    inputs.other.encoder.hidden_size=4 | outputs.label.join={type: compare, features: [first, second]} |
    inputs.other.encoder={same_as: text}
two | outputs.label.join={type: compare, features: [first, first]} | name each once |
    outputs.label.join.features=[first]
two | outputs.label.join={type: compare, features: []} | name a feature (first, second, difference, product), or set
    bilinear | outputs.label.join.features=[product] | outputs.label.join.bilinear=4
classify | inputs.text.encoder={embedding: one_hot, embedding_size: 4} | leave embedding_size out, or set embedding:
    learnt | -inputs.text.encoder.embedding_size | inputs.text.encoder.embedding=learnt
classify | inputs.text.encoder={hidden_size: [4, 5], layers: 2, embedding_size: 3, residual: true} | make two
    neighbours equal, or leave residual out | inputs.text.encoder.hidden_size=4 | -inputs.text.encoder.residual
classify | inputs.text.encoder={cell: mingru, recurrent_dropout: 0.2} | nothing would be dropped; leave it out |
    -inputs.text.encoder.recurrent_dropout
classify | inputs.text.encoder={type: transformer, hidden_size: 7, heads: 1, positions: rotary} | set hidden_size:
    8, or other positions | inputs.text.encoder.hidden_size=8 | inputs.text.encoder.positions=sinusoidal
classify | inputs.text.encoder={type: transformer, positions: rotary, longest: 9} | leave it out, or set positions:
    learned | -inputs.text.encoder.longest | inputs.text.encoder.positions=learned
classify | inputs.text.encoder={type: transformer, window: 1} | set 2 or more, or leave it out |
    inputs.text.encoder.window=2 | -inputs.text.encoder.window
next | outputs.rest.head={softmax: adaptive, cutoffs: [9, 3]} | leave them out to have them chosen, or set softmax:
    full | -outputs.rest.head.cutoffs | outputs.rest.head.softmax=full ; -outputs.rest.head.cutoffs
next | outputs.rest.head={cutoffs: [2]} | set softmax: adaptive, or leave them out |
    outputs.rest.head.softmax=adaptive | -outputs.rest.head.cutoffs
next | outputs.rest.head={softmax: adaptive, cutoffs: [2], tied: true} | set tied: false, or softmax: full |
    outputs.rest.head.tied=false | outputs.rest.head.softmax=full ; -outputs.rest.head.cutoffs
next | outputs.rest.head={softmax: adaptive, cutoffs: [2], label_smoothing: 0.1} | set it to 0, or softmax: full |
    outputs.rest.head.label_smoothing=0
translate | outputs.answer.head={softmax: adaptive, cutoffs: [2], bias: false} | leave it out, or set softmax: full
    | -outputs.answer.head.bias | outputs.answer.head.softmax=full ; -outputs.answer.head.cutoffs
classify | inputs.text={type: series, column: sizes, encoder: {embedding_init: uniform}} | input have vectors of real
    numbers; leave it out | -inputs.text.encoder.embedding_init
classify | inputs.text.characters=false ; inputs.text.encoder.character_size=8 | set characters: true there, or
    leave character_size out | inputs.text.characters=true | -inputs.text.encoder.character_size
classify | inputs.text.tokenizer=bpe ; inputs.text.encoder.rare_word_dropout=0.2 | words and category keep; leave it
    out | -inputs.text.encoder.rare_word_dropout | inputs.text.tokenizer=word
classify | outputs.label={type: category, separator: ' ', multilabel: true} | give a sign such as '|' |
    outputs.label.separator='|'
classify | outputs.label={type: category, separator: ';'} | set `multilabel: true` or leave it out |
    outputs.label.multilabel=true | -outputs.label.separator
classify | outputs.label={type: category, ordinal: [a, b], multilabel: true} | leave out one of the two |
    -outputs.label.ordinal | -outputs.label.multilabel
classify | outputs.label={type: category, ordinal: [a, c]} | add it, or mend the data | outputs.label.ordinal=[a, b,
    c]
tag | outputs.tags.lenient=true | give scheme: bioes too, or leave lenient out | -outputs.tags.lenient
classify | inputs.text.stop_words=['of the'] | give words without white space | inputs.text.stop_words=[of, the]
classify | inputs.text={type: text, tokenizer: char, characters: true} | set tokenizer: word, or leave characters out
    | -inputs.text.characters | inputs.text.tokenizer=word
tag | inputs.words={type: text, column: text, stop_words: [red]} | leave stop_words out | -inputs.words.stop_words
classify | inputs.text={type: series, column: sizes, separator: '.'} | give a sign such as ',' or ';' |
    inputs.text.separator=',' | inputs.text.separator=';'
classify | outputs.label.metrics=[accuracy, accuracy] | accuracy is listed twice; leave one of them out |
    outputs.label.metrics=[accuracy]
classify | inputs.text={type: text, tokenizer: bpe, subword_pooling: mean} | leave it out, or add one of align
    'each' | -inputs.text.subword_pooling | outputs.tags=tags
classify | outputs.text=category | give the output another name and set `column: text` | -outputs.text ;
    outputs.texts={type: category, column: label}
classify | search=beam | output here is generated; leave it out | -search
classify | data.train=rows.jsonl ; data.file=rows.jsonl | give `file` or `train`, not both | -data.file |
    -data.train
forecast | data.fraction=0.5 | are windows of series; leave it out | -data.fraction
forecast | data.seed=3 | and here none are; leave it out | -data.seed
classify | outputs.values={type: category, column: kind} | choose another and set `column: values` | -outputs.values
    ; outputs.value={type: category, column: kind}
classify | outputs.label.reads=[] | an output must read an input; inputs: text | outputs.label.reads=[text]
translate | outputs.answer.characters=true | belong to an input, leave them out | -outputs.answer.characters
translate | outputs.answer.marks=end | begins and ends with its marks in any case; leave marks out |
    -outputs.answer.marks
next | inputs.text.marks=begin | and marks are steps without one; leave marks out | -inputs.text.marks
classify | inputs.text.marks=both ; inputs.text.characters=true | and marks are none; leave out marks or characters |
    -inputs.text.marks | -inputs.text.characters
translate | outputs.answer.subword_pooling=mean ; outputs.answer.tokenizer=bpe | belongs to an input whose words
    have labels; leave it out | -outputs.answer.subword_pooling
classify | training.tbptt=5 | leave tbptt out, | -training.tbptt
next | outputs.rest={of: text, column: other, align: next, type: text} ; training.tbptt=5 | leave its `column` out,
    or leave tbptt out | -outputs.rest.column ; -outputs.rest.type | -training.tbptt ; outputs.rest.column=text
classify | data.time=label ; data.train=rows.jsonl | continues a series; leave it out | -data.time
classify | inputs.text={type: series, column: sizes, known_future: true} | give an output with `of` a series and a
    `horizon` | -inputs.text.known_future
classify | inputs.text={type: series, column: [size, sizes]} | series that is forecast; name one |
    inputs.text.column=sizes
forecast | outputs.label={type: category, column: heat} | train it by itself | -outputs.label
forecast | inputs.heat=series ; outputs.more={of: heat, horizon: 3, lookback: 4} | train them apart, or give all the
    same | outputs.more.horizon=2
forecast | inputs.when={type: calendar, column: heat} | name it there, and leave `column` out | -inputs.when.column
forecast | inputs.load.known_future=true | name a series of the past | -inputs.load.known_future
forecast | outputs.ahead.column=heat ; outputs.ahead.type=series ; outputs.ahead.align=ahead | is what 'load' reads;
    leave it out | -outputs.ahead.column
forecast | inputs.load.scale=row | leave it out, or set the input's scale to dataset and head.normalize to window |
    -inputs.load.scale | inputs.load.scale=dataset ; outputs.ahead.head={normalize: window}
forecast | outputs.ahead.scale=none | leave it out | -outputs.ahead.scale
forecast | training.max_steps=9 | forecast are equally long; leave it out | -training.max_steps
forecast | data.valid=days.csv | `test` names another file; give one of them | -data.valid | -data.split
two | inputs.text={type: text, tokenizer: word} ; inputs.other={type: text, characters: true, tokenizer: {same_as:
    text}} | has no characters; set it there too, or give | inputs.text.characters=true | inputs.other.tokenizer=word
two | inputs.text={type: text, tokenizer: word} ; inputs.other={type: text, tokenizer: char, encoder: {same_as:
    text}} | leave it out, set it in inputs.text, or give inputs.other an encoder of its own |
    -inputs.other.tokenizer | inputs.text.tokenizer=char | -inputs.other.encoder
classify | training.freeze=['*'] | leave it out, or name a part of | -training.freeze |
    training.freeze=[inputs.text]
classify | training.batch_rows=4 ; training.batch_steps=40 | batch_rows exclude each other; leave one of them out |
    -training.batch_rows | -training.batch_steps
next | training.tbptt=5 ; training.batch_steps=40 | leave batch_steps out, and give batch_rows |
    -training.batch_steps ; training.batch_rows=4
classify | training.average_decay=0.9 ; training.average_last=2 | average_last exclude each other; leave one of them
    out | -training.average_decay | -training.average_last
classify | training.average_last=2 ; training.validate_every=0.5 | give whole epochs, or average_decay in its place
    | training.validate_every=1 | -training.average_last ; training.average_decay=0.9
classify | training.monitor=label.accuracy ; training.keep_best=false ; training.patience=null ;
    training.schedule=constant | leave it out, or set keep_best, patience or schedule | -training.monitor |
    training.keep_best=true | training.patience=3
classify | training.optimizer={type: sgd, momentum: 0, nesterov: true} | set momentum, such as 0.9 |
    training.optimizer.momentum=0.9
translate | search={type: beam, min_length: 9, max_length: 4} | lower the first or raise the second |
    search.min_length=4 | search.max_length=9
translate | search={type: beam, width: 2, n_best: 3} | set width: 3 or lower n_best | search.width=3 |
    search.n_best=2
translate | search={type: beam, alpha: 0.5, normalization: none} | leave alpha out, or take average or gnmt |
    -search.alpha | search.normalization=average | search.normalization=gnmt
translate | search={type: greedy, path: true, max_length: 4} | leave out path, or the other settings | -search.path
translate | outputs.answer.head.label_smoothing=0.1 ; outputs.answer.head.softmax=adaptive | set it to 0, or
    softmax: full | outputs.answer.head.label_smoothing=0 | outputs.answer.head.softmax=full
two | inputs.text={type: text, tokenizer: char, encoder: {type: ngrams, size: 2}} ; inputs.other.encoder={same_as:
    text} ; outputs.kind=category | give each output an input of its own, with the same column, and name it in
    `reads`; or set another size, for a vector that all learn | inputs.text.encoder.size=8
classify | inputs.size=number ; outputs.label.join=attend | give it an encoder that does (recurrent, convolutional),
    name it first under `reads`, or choose join: concatenate, add or gate | outputs.label.join=concatenate |
    outputs.label.join=add | outputs.label.join=gate
classify | inputs.size=number ; outputs.label.head={pool: mean} | choose last, or another encoder |
    outputs.label.head.pool=last
translate | search=greedy ; search.width=3 | 'width' belongs to type: beam | search.type=beam
classify | inputs.text.tokenizer={type: word, min_count: 1000} | lower min_count | inputs.text.tokenizer.min_count=1
classify | inputs.text.min_count=1 | it is inputs.text.tokenizer.min_count | -inputs.text.min_count ;
    inputs.text.tokenizer.min_count=1
two | outputs.label={type: tags, column: tags, reads: [text]} ; inputs.text.tokenizer=char | mend or leave out what
    has another number; where each word has one, set inputs.text.subword_pooling: mean |
    inputs.text.subword_pooling=mean
classify | data={train: rows.jsonl, valid: row.jsonl} | did you mean 'rows.jsonl'? | data.valid=rows.jsonl
classify | data={train: rows.jsnl} | did you mean 'rows.jsonl'? | data.train=rows.jsonl
classify | outputs.label.column=lable | did you mean 'label'? | outputs.label.column=label
classify | data={train: rows.jsonl, split: {valid: 0.1}} | leave it out | -data.split
classify | data={train: {text: rows.jsonl}} | name the table itself: data.train: rows.jsonl | data.train=rows.jsonl
classify | data.train=text.txt | or one text file per column, {column: file} | data.train={text: text.txt, label:
    label.txt} | data.train=rows.jsonl
forecast | outputs.ahead.lookback=40 | set a lookback of at most 22, or a smaller horizon, or leave the series |
    outputs.ahead.lookback=22 | outputs.ahead.lookback=23 ; outputs.ahead.horizon=1
forecast | outputs.ahead.horizon=40 | set a smaller horizon, or let valid begin later | outputs.ahead.horizon=4
forecast | data.split={valid: 2030-01-01} | name a date among them | data.split.valid=2023-01-25
classify | outputs.label={type: number, column: label} | not 'a'; mend it, leave the cell empty where it is missing,
    or read it as category or text | outputs.label.type=category
tag | outputs.tags={type: tags, scheme: bioes} | give scheme: none | outputs.tags.scheme=none
forecast | outputs.ahead.head={type: forecast, linear: 9} | leave it out, or lower it | -outputs.ahead.head.linear |
    outputs.ahead.head.linear=4
forecast | inputs.heat=series ; outputs.ahead.head=linear_forecast | name that one alone in the output's `reads` |
    outputs.ahead.reads=[load]
forecast | outputs.ahead.head={type: forecast, strategy: recursive, linear: 3} | is of direct forecasts; leave it out
    | -outputs.ahead.head.linear
classify | data.train=sounds ; inputs.text={type: audio, column: sound, features: waveform, bands: 20} | features are
    a waveform; leave it out | -inputs.text.bands
classify | data.train=sounds ; inputs.text={type: audio, column: sound, coefficients: 5} | set it, or leave
    coefficients out | -inputs.text.coefficients | inputs.text.features=mfcc
classify | data.train=sounds ; inputs.text={type: audio, column: sound, features: mfcc, bands: 10, coefficients: 20}
    | set bands | inputs.text.bands=20
classify | data.train=sounds ; inputs.text={type: audio, column: sound, window_seconds: 0.01, hop_seconds: 0.02} |
    hop_seconds leaves samples unread; raise it | inputs.text.window_seconds=0.02
classify | data.train=sounds ; inputs.text={type: audio, column: sound, highest_hertz: 9000} | lower it, or set rate
    | inputs.text.highest_hertz=2000 | inputs.text.rate=22050
next | inputs.text={type: music, column: tune, beat: 4} ; outputs.rest={of: text} | set it, or leave beat out |
    -inputs.text.beat
next | inputs.text={type: music, column: text} | add a line such as K:C, or K:none | inputs.text.column=tune
classify | inputs.text={type: piano_roll, column: roll, keys: 100, lowest: 60} | lower one of them |
    inputs.text.keys=60 | inputs.text.lowest=20
classify | inputs.text={type: piano_roll, column: roll, lowest: 62, keys: 9} | leave it out, or set `lowest` and `keys`
    | -inputs.text.lowest ; -inputs.text.keys
next | inputs.text={type: piano_roll, column: roll} ; outputs.rest.head={type: next_bits, hidden_units: 5} | set it,
    or leave hidden_units out | -outputs.rest.head.hidden_units | outputs.rest.head.bits=nade
next | inputs.text={type: piano_roll, column: roll} ; outputs.rest.head={type: next_bits, gibbs_steps: 5} | set it,
    or leave gibbs_steps out | -outputs.rest.head.gibbs_steps | outputs.rest.head.bits=rbm
next | inputs.text={type: piano_roll, column: roll} ; outputs.rest.head={type: next_bits, annealing_steps: 5} | set it,
    or leave annealing_steps out | -outputs.rest.head.annealing_steps | outputs.rest.head.bits=rbm
next | inputs.text={type: piano_roll, column: roll} ; outputs.rest.head={type: next_bits, bits: rbm, hidden_units: 10,
    annealing_steps: 50} | is exact; leave annealing_steps out | -outputs.rest.head.annealing_steps |
    outputs.rest.head.hidden_units=11
forecast | inputs.when={type: calendar, cycles: []} | give at least one of hour | inputs.when.cycles=[hour]
classify | training.epoch=3 | did you mean 'epochs'? | -training.epoch ; training.epochs=3
classify | training.lr=0.1 | training.optimizer.learning_rate | -training.lr ; training.optimizer.learning_rate=0.1
tag | outputs.tags.head=crf ; outputs.tags.metrics=[crps] | leave the metric out |
    outputs.tags.metrics=[token_accuracy]
classify | inputs.text={type: number, column: text} | read it as category or text | inputs.text.type=text |
    inputs.text.type=category
forecast | data.train=backward.csv | sort the rows by 'day' | data.train=days.csv
forecast | data.train=gap.csv | add a row for each missing time, its cells empty | data.train=filled.csv
forecast | data.train=twice.csv | keep one row for each time | data.train=days.csv
forecast | data.split={valid: 40} | or let valid begin later | data.split.valid=6
classify | outputs.label.column=one | check that this is the right column and | outputs.label.column=label
two | inputs.text.column=empty | training split is empty; check that this is the right column, or leave it out |
    inputs.text.column=text | -inputs.text
translate | inputs.text.tokenizer={same_as: answer} ; outputs.answer.tokenizer={same_as: text} | give one of them
    its own | outputs.answer.tokenizer=word
classify | inputs.text.encoder={same_as: text} | give one of them its own | inputs.text.encoder=recurrent
classify | data={train: latin.csv} | name its encoding, such as data.encoding: cp1252 | data.encoding=cp1252
classify | data={train: semi.csv} | set data.delimiter: ';' | data.delimiter=';'
classify | data={train: rows.jsonl, valid: other.jsonl} ; outputs.label.unknown=error | mend the label, leave the cell
    empty, or train on rows that have it or with unknown: missing | outputs.label.unknown=missing |
    data.valid=rows.jsonl
tag | data={train: rows.jsonl, valid: other.jsonl} ; outputs.tags.unknown=error | mend it, leave the row out, or train
    on data that have it or with unknown: missing, which leaves such steps out | outputs.tags.unknown=missing |
    data.valid=rows.jsonl
translate | outputs.answer={of: text, type: text, tokenizer: {same_as: text}, column: other, align: next} | leave
    outputs.answer.column out, or set align: free | outputs.answer.column=text | outputs.answer={type: text, column:
    other}
two | outputs.kind={type: category, column: empty} | split has a label; check that this is the right column |
    outputs.kind.column=kind
classify | inputs.text.encoder.character_width=4 ; inputs.text.characters=true | width has no middle; set 5, or 3 |
    inputs.text.encoder.character_width=5 | inputs.text.encoder.character_width=3
classify | outputs.label={type: number, column: size, head: classifier} | labels, and a step of this output is 1 real
    number(s); choose a head that predicts those | outputs.label.head=regressor
translate | outputs.answer.head=ctc | mend or leave out such rows | outputs.answer.column=label
two | inputs.text.encoder={type: convolutional, hidden_size: 4} ; inputs.other.encoder={hidden_size: 6} ;
    outputs={answer: {type: text, join: concatenate, reads: [text, other]}} | give their encoders one width, or
    leave the join out | -outputs.answer.join | inputs.text.encoder.hidden_size=12
translate | outputs.answer.head={copy: true} ; inputs.text.tokenizer=char | set outputs.answer.tokenizer: {same_as:
    text} | outputs.answer.tokenizer={same_as: text}
classify | inputs.text={type: date, column: empty} | split has a date; check that this is the right column |
    inputs.text={type: text, column: text}
classify | inputs.text={type: number, column: empty} | split has a number; check that this is the right column |
    inputs.text.column=size
tag | outputs.tags.column=empty | is empty, or missing); check that this is the right column, or leave it out |
    outputs.tags.column=tags
classify | data.train=sounds ; inputs.text={type: audio, column: sound, lowest_hertz: 3000, highest_hertz: 200} |
    mend one of them | inputs.text.highest_hertz=4000
classify | data.train=sounds ; inputs.text={type: audio, column: sound, bands: 200} | set fewer bands, or a longer
    window_seconds | inputs.text.bands=20 | inputs.text.window_seconds=0.2 ; inputs.text.bands=80
classify | inputs.text={type: piano_roll, column: roll, keys: 9, lowest: 80} | leave it out, or set `lowest` and
    `keys` | inputs.text.lowest=58
classify | inputs.text.encoder={embedding: {file: vectors.txt}, embedding_size: 4} | leave embedding_size out |
    -inputs.text.encoder.embedding_size
classify | inputs.text.encoder={embedding: {file: others.txt}} | give a file of this language |
    inputs.text.encoder.embedding.file=vectors.txt
classify | inputs.text.encoder={embedding: {file: bad.txt}} | mend or delete it |
    inputs.text.encoder.embedding.file=vectors.txt
classify | inputs.text.encoder={type: transformer, positions: learned, longest: 2} | set longest: 5 and train anew,
    give shorter sequences, or choose positions: rotary | inputs.text.encoder.longest=9 |
    inputs.text.encoder.positions=rotary ; -inputs.text.encoder.longest
forecast | data.thousands='.' ; data.decimal='.' | set data.decimal to the other sign | data.decimal=','
classify | inputs=text | such as {subject: text} | inputs={text: text}
classify | outputs={} | name at least one column and its type | outputs={label: category}
classify | training=5 | give settings by their names | training={epochs: 5}
classify | outputs.label=5 | choose one by a name or a `type` | outputs.label=category
next | inputs.other=text ; outputs.more={of: other} ; training.tbptt=5 | continues 'other', another 'text'; train them
    apart | -outputs.more
tag | inputs.words={type: text, column: joined, tokenizer: char, subword_pooling: first} ; outputs.tags.column=marks |
    needs one label per word: mend or leave out what has another number; where each piece that char finds has one, set
    inputs.words.subword_pooling: none | inputs.words.subword_pooling=none
two | inputs.text={type: text, tokenizer: bpe} ; outputs.more={of: text} ; outputs.label={type: tags, column: tags,
    reads: [text]} | where each word has one, set inputs.text.tokenizer: word | inputs.text.tokenizer=word
tag | inputs.words.encoder=ngrams | and what it reads gives none; choose an encoder with steps, such as recurrent, or
    a join with steps, such as attend | inputs.words.encoder=recurrent | inputs.second={type: tokens, column: words} ;
    outputs.tags.join=attend ; outputs.tags.reads=[second, words] ; inputs.words.encoder=recurrent
translate | outputs.answer.column=label ; outputs.answer.head=ctc ; inputs.other=text ; outputs.answer.reads=[text,
    other] | ctc: labels the steps of one input; name one that has steps under `reads` | outputs.answer.reads=[text]
translate | outputs.answer.column=label ; outputs.answer.head={type: joint, attention: classifier} | generates no
    symbols by attention; set attention: autoregressive | outputs.answer.head.attention=autoregressive
next | inputs.text={type: series, column: pen} ; outputs.rest={of: text, align: next, head: mixture_density} | a bit
    is 0 or 1 and is not scaled; set scale: none for the series | inputs.text.scale=none
next | inputs.text.encoder=ngrams | next_step: the input that it continues gives no steps; choose a recurrent or
    convolutional encoder | inputs.text.encoder=recurrent | inputs.text.encoder=convolutional
next | inputs.text={type: piano_roll, column: roll} ; outputs.rest={of: text, head: next_step} | next_step predicts
    symbols, and a step of this output is one of 88 labels; choose a head that predicts those |
    outputs.rest.head=next_bits
classify | outputs.label.head=regressor | regressor predicts real numbers, and a step of this output is one of 2
    labels; choose a head that predicts those | outputs.label.head=classifier
next | inputs.text={type: strokes, column: pen, encoder: {type: subsampled, encoder: {bidirectional: false}}} ;
    outputs.rest={of: text} | joins 4 steps in one; choose the encoder that it holds, or another that joins none |
    inputs.text.encoder={type: recurrent, bidirectional: false} | inputs.text.encoder=convolutional
forecast | outputs.ahead.head={type: forecast, normalize: window} ; outputs.more={of: load, horizon: 2, lookback: 4,
    head: {type: forecast, normalize: none}} | and both read it in one unit; give both the same |
    outputs.more.head.normalize=window | outputs.ahead.head.normalize=none
next | data={train: rows.jsonl, split: {valid: 3}} | here examples are rows: name files by data.valid and data.test |
    data={train: rows.jsonl, valid: rows.jsonl, test: rows.jsonl}
forecast | data={train: days.csv, time: day, valid: hours.csv} | one step is one hour, and one day in data.train; give
    steps as far apart as those | data.valid=days.csv
classify | data={train: rows.jsonl, valid: bare.jsonl} | no row can be used: 4 rows: outputs.label is missing (the
    first: bare.jsonl line 1); give rows that hold every column | data.valid=rows.jsonl
classify | data={train: rows.jsonl, valid: bare.jsonl} ; outputs.kind=category | no row has outputs.label; give it in
    some rows, or leave this output out | data.valid=rows.jsonl | -outputs.label
classify | data={} | data.train is not given; name the file there, such as --set data.train=FILE |
    data.train=rows.jsonl
forecast | data={train: half.csv, time: day, series: site, split: {valid: 6}} ; inputs.kind={type: category,
    column: kind} | inputs.kind is missing (1 series like this); fill it in, or leave the series out |
    data.train=sites.csv
"""
"""Base | mistake | what the message recommends | a change that follows it | another. Several changes have ` ; ` between
them, `-path` takes out, an indented line continues the one above."""


def changed(plain, changes):
    """`path=value` is set, `-path` is taken out; a bare name on the way is opened."""
    for change in changes.split(" ; "):
        path, value = parse_set(change) if not change.startswith("-") else (change[1:], None)
        *way, last = path.split(".")
        place = plain
        for key in way:
            if isinstance(place.get(key), str):
                place[key] = {"type": place[key]}
            place = place.setdefault(key, {})
        if change.startswith("-"):
            del place[last]
        else:
            place[last] = value
    return plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    draw = random.Random(1)
    rows = []
    for _ in range(20):
        words = draw.choices("red green blue black white".split(), k=draw.randint(3, 6))
        rows.append(
            {
                "text": " ".join(words),
                "other": " ".join(draw.choices(words, k=3)),
                "words": words,
                "tags": [word[0].upper() for word in words],
                "answer": " ".join(words[::-1]),
                "label": draw.choice("ab"),
                "kind": draw.choice("xy"),
                "size": len(words) / 2,
                "sizes": [float(len(word)) for word in words],
                "roll": [[60, 64], [62]],
                "tune": "X:1\nM:2/4\nK:G\nGBdB|",
                "joined": "".join(words),
                "marks": list("".join(words)),
                "pen": [[1, 0, 0], [0, 1, 1], [2, 1, 1]],
                "one": "a",
                "empty": "",
            }
        )
    folder = tmp_path_factory.mktemp("advice")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    unseen = [{**row, "label": "c", "tags": ["Z"] * len(row["words"])} for row in rows[:4]]
    (folder / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in unseen))
    bare = [{**row, "label": None} for row in rows[:4]]
    (folder / "bare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bare))
    for name, vectors in {
        "vectors": "red 1 2\ngreen 2 1\n",
        "others": "rot 1 2\n",
        "bad": "red 1 2\ngreen 2\n",
    }.items():
        (folder / f"{name}.txt").write_text(vectors)
    for column in ("text", "label"):
        (folder / f"{column}.txt").write_text("".join(f"{row[column]}\n" for row in rows))
    days = [f"2023-01-{day:02},{day % 7},{day % 5}" for day in range(1, 31)]
    gap = days[10:25]
    hours = [f"2023-01-{2 + hour // 24:02} {hour % 24:02}:00,{hour % 7},{hour % 5}" for hour in range(30)]
    sites = {name: [f"{day},{site},{kind}" for site, kind in rows for day in days] for name, rows in (
        ("sites", (("a", "x"), ("b", "y"))), ("half", (("a", "x"), ("b", "y"), ("c", "")))
    )}  # fmt: skip
    for name, lines in sites.items():
        (folder / f"{name}.csv").write_text("\n".join(["day,load,heat,site,kind", *lines]) + "\n")
    for name, lines in {
        "days": days,
        "backward": days[::-1],
        "twice": [*days, days[-1]],
        "hours": hours,
        "gap": [day for day in days if day not in gap],
        "filled": [f"{day[:10]},," if day in gap else day for day in days],
    }.items():
        (folder / f"{name}.csv").write_text("\n".join(["day,load,heat", *lines]) + "\n")
    (folder / "latin.csv").write_bytes("text,label\né,a\n".encode() + b"caf\xe9,a\nb,b\n" * 10)
    (folder / "semi.csv").write_text("text;label;a,b\n" + "one;a;\ntwo;b;\n" * 10)
    (folder / "sounds").mkdir()
    (folder / "sounds/manifest.csv").write_text("sound:file,label\n" + "a.wav,a\nb.wav,b\n" * 4)
    for name in "ab":
        with wave.open(str(folder / f"sounds/{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(draw.randbytes(3200))
    return folder


def built(plain):
    """The model of a recipe and the loss of one batch."""
    prepared = prepare(from_arguments(**{"data": {"train": "rows.jsonl"}, **copy.deepcopy(plain)}))
    settings = prepared.recipe.settings
    graph = Graph(settings.inputs, settings.outputs, prepared.modalities)
    graph.freeze(settings.training.freeze)
    examples = prepared.splits["train"]
    batch = examples.fetch(examples.batches(settings.training).epoch(0)[0])
    assert graph.losses(batch) if batch.pieces is None else graph.losses_from(batch, ())


def follow_in_recipe(text, mistake, advice, *ways):
    """A recipe with a mistake is refused with the advice; with each of the ways that it advises it is built."""
    wrong = changed(parse_yaml(text, "advice"), mistake)
    follow(partial(built, wrong), advice, *(partial(built, changed(copy.deepcopy(wrong), way)) for way in ways))


@pytest.mark.parametrize("row", RECIPES.replace("\n    ", " ").strip().splitlines(), ids=lambda row: row[:60])
def test_a_recipe_that_follows_the_advice_is_built(folder, monkeypatch, row):
    base, mistake, advice, *ways = row.split(" | ")
    monkeypatch.chdir(folder)
    follow_in_recipe(BASES[base], mistake, advice, *ways)


DATA = [
    ("t.csv", b"", "is empty; give a file with at least one row", ("t.csv", b"de,en\na,b\n")),
    ("t.csv", b"de,en\n", "and no rows; give a file with at least one row", ("t.csv", b"de,en\na,b\n")),
    ("t.csv", b"\nde,en\na,b\n", "the first line must name the columns", ("t.csv", b"de,en\na,b\n")),
    ("t.csv", b"de,en,de\na,b,c\n", "twice; rename one of them", ("t.csv", b"de,en,other\na,b,c\n")),
    ("t.tsv", b"de\ten\nc\n", "write an empty field for a missing value", ("t.tsv", b"de\ten\nc\t\n")),
    ("t.csv", b"de,en\n1,2,3\n", "quote a field", ("t.csv", b'de,en\n"1,2",3\n')),
    (
        "t.csv",
        b'de,en\n5" pipe,x\n',
        "quote the whole field and double the quotes inside it, or give the file as tsv",
        ("t.csv", b'de,en\n"5"" pipe",x\n'),
        ("t.tsv", b'de\ten\n5" pipe\tx\n'),
    ),
    ("t.tsv", b"de\ten\nc\x00\td\n", "remove it, for example with `tr -d '\\000'`", ("t.tsv", b"de\ten\nc\td\n")),
    (
        "t.csv",
        "de,en\na,é\n".encode() + b"c\xe9d,e\n",
        "convert it with `iconv -f ENCODING -t utf-8`",
        ("t.csv", "de,en\na,é\ncéd,e\n".encode()),
    ),
    (
        "t.jsonl",
        b'{"de": "\\ud83d", "en": ""}\n',
        "which is no Unicode text; write the whole pair, or the character itself",
        ("t.jsonl", b'{"de": "\\ud83d\\ude42", "en": ""}\n'),
        ("t.jsonl", '{"de": "\U0001f642", "en": ""}\n'.encode()),
    ),
    (
        "t.jsonl",
        b'{"de": 1%s, "en": ""}\n' % (b"0" * 5000),
        "write it as a string",
        ("t.jsonl", b'{"de": "1%s", "en": ""}\n' % (b"0" * 5000)),
    ),
    (
        "t.json",
        b'[{"de": "a", "en": "b"}]\n',
        "write one JSON object a line, {column: value}, and name the file .jsonl",
        ("t.jsonl", b'{"de": "a", "en": "b"}\n'),
    ),
    (
        "t.seq",
        b">one\nACGT\n>two\nAC\n",
        "name it .fasta, or give the text as a column of a table",
        ("t.fasta", b">one\nACGT\n>two\nAC\n"),
        ("t.csv", b"sequence\n>one\n"),
    ),
    (
        "t.fasta",
        b">one\n>two\nAC\n",
        "add it, or leave the name out",
        ("t.fasta", b">one\nA\n>two\nAC\n"),
        ("t.fasta", b">two\nAC\n"),
    ),
    ("t.fasta", b"AC\n>two\nAC\n", "give each sequence a line >name", ("t.fasta", b">one\nAC\n>two\nAC\n")),
]


def read(folder, name, content):
    (folder / name).write_bytes(content)
    columns = ["sequence"] if b">" in content else ["de", "en"]
    list(open_table(name, base=folder, data_root=None, where="data.train", columns=columns).blocks())


@pytest.mark.parametrize(("name", "content", "advice", "mended"), [(*row[:3], row[3:]) for row in DATA])
def test_a_file_that_follows_the_advice_is_read(tmp_path, name, content, advice, mended):
    with pytest.raises(OstinatoError) as refusal:
        read(tmp_path, name, content)
    assert advice in str(refusal.value)
    for other, written in mended:
        read(tmp_path, other, written)


COMMANDS = r"""
predict RUN | give TEXT, or --input FILE, or --input - | predict RUN ein | predict RUN --input test.tsv
predict RUN ein --input test.tsv | give TEXT or --input, not both | predict RUN ein | predict RUN --input test.tsv
predict RUN test.tsv | did you mean --input test.tsv? | predict RUN --input test.tsv
predict RUN --input tset.tsv | did you mean 'test.tsv'? | predict RUN --input test.tsv
predict RUN ein --n-best 3 | set width: 3 | predict RUN ein --n-best 3 --set search.width=3
predict RUN ein --n-best 3 --set search=greedy | 'greedy' gives one answer; add --set search=beam --set search.width=5
    | predict RUN ein --n-best 3 --set search=beam --set search.width=5
predict RUN ein --set training.epochs=3 | only the search can be changed: search.width=5, search=greedy
    | predict RUN ein --set search.width=5 | predict RUN ein --set search=greedy
predict RUN ein --set num_beams=3 | 'num_beams' of other tools is --set 'search={type: beam, width: 3}'
    | predict RUN ein --set 'search={type: beam, width: 3}'
predict RUN ein --set search=sample --set search.bias=1 | leave bias out, or set temperature below 1
    | predict RUN ein --set search=sample --set search.temperature=0.5
predict RUN ein --set search=greedy --set search.path=true | set head: ctc, without a language model and in no
    ensemble, or leave path out | predict RUN ein --set search=greedy
predict RUN ein --set search.alpha=0.5 --set search.normalization=none | leave alpha out, or take average or gnmt
    | predict RUN ein --set search.normalization=none | predict RUN ein --set search.normalization=gnmt
predict RUN ein --probabilities | needs --output FILE; --json has the probability | predict RUN ein --json
predict RUN ein --output a.jsonl --json | leave out --json and --stream | predict RUN ein --output a.jsonl
predict RUN ein --output a.txt --n-best 2 | leave out --n-best | predict RUN ein --output a.txt
predict RUN ein --output a.ods | give .csv, .jsonl, .parquet, or .txt; spreadsheets open .csv | predict RUN ein
    --output a.csv | predict RUN ein --output a.txt
predict RUN ein --stream --json | leave out --input, --n-best, --attention and --json | predict RUN ein --json
predict RUN ein --stream | add --set search=sample or --set search=greedy, without --n-best
    | predict RUN ein --stream --set search=sample | predict RUN ein --stream --set search=greedy
predict RUN ein --times | has none; leave it out | predict RUN ein
predict RUN ein --stop qqq | give another stop, or leave it out | predict RUN ein --stop two | predict RUN ein
generate RUN | add that to its recipe and train again, or draw answers with `ostinato predict RUN "" --set
    search=sample --n-best 20` | predict RUN "" --set search=sample --n-best 20
embed RUN | give TEXT, or --input FILE | embed RUN ein | embed RUN --input test.tsv
embed RUN ein --output v.npy | give a name that ends in .csv or .parquet | embed RUN ein --output v.csv | embed RUN
    ein --output v.parquet
embed RUN ein --of dee | did you mean 'de'? | embed RUN ein --of de
evaluate RUN --origins 2 | no series; leave it out | evaluate RUN --split valid
errors RUN --output e.npy | give .csv, .jsonl, .parquet | errors RUN --output e.csv
score RUN --input tset.tsv | did you mean 'test.tsv'? | score RUN --input test.tsv
check tiny.yml | did you mean 'tiny.yaml'? | check tiny.yaml
check train.tsv | `ostinato init train.tsv --recipe train.yaml` looks at it and writes one; put train.yaml
    in its place then | init train.tsv --recipe train.yaml
check tiny.yaml --set training.epocs=3 | did you mean 'epochs' | check tiny.yaml --set training.epochs=3
check tiny.yaml --set training | write PATH=VALUE, such as training.epochs=5 | check tiny.yaml --set training.epochs=5
init train.tsv --in dee | did you mean 'de'? | init train.tsv --in de
init train.tsv --in de:txt | did you mean 'text'? | init train.tsv --in de:text
init train.tsv --in de --in en | name the output | init train.tsv --in de --out en
init train.tsv --out de --out en | name the input | init train.tsv --in de --out en
init train.tsv --recipe tiny.yaml | give another --recipe FILE, or delete it | init train.tsv --recipe other.yaml
init days.csv --forecast lod | did you mean 'load'? | init days.csv --forecast load
init days.csv --out load --in load:number | write --in load | init days.csv --out load --in load
init days.csv --out load | for a forecast write --forecast load; name the inputs by --in COLUMN
    | init days.csv --forecast load | init days.csv --out load --in day
init train.tsv --out de:series | name another column or another type | init train.tsv --out de:text
init train.tsv --in de --out de | name another column, or write a recipe | init train.tsv --in de --out en
init back.csv --forecast load | numbers; sort the rows | init days.csv --forecast load
predict nowhere ein | give the run folder that `ostinato train` prints at its end | predict RUN ein
predict RUN ein --output a.wav | give .csv, .jsonl, .parquet or .txt | predict RUN ein --output a.csv
predict RUN ein --device nope | allowed here: cpu | predict RUN ein --device cpu
check tiny.yaml --set calibration=temperature | are predicted at once; leave it out | check tiny.yaml
train tiny.yaml --run a --resume --overwrite | and --overwrite deletes it; give one of them | train tiny.yaml --run a
    --resume
train tiny.yaml --run a --out b | --run name one run folder; of a recipe's run give one of them, once | train
    tiny.yaml --run a
train tiny.yaml --run tiny.yaml | and is no run; choose another folder: --run DIR | train tiny.yaml --run a
average RUN RUN --last 2 | and several are named; leave it out | average RUN RUN --run mean
predict LOAD --input days.csv --n-best 3 | since it is no label and nothing is searched; leave it out | predict LOAD
    --input days.csv
predict LABELS red --attention a.png | LABELS has none; leave the option out | predict LABELS red
predict TIMES red --times --output a.csv | on standard output; leave out --output, --n-best and --stream | predict
    TIMES red --times
predict RUN ein --language-model LABELS | LABELS continues no text; train one with `ostinato train texts.txt`, whose
    output is what follows | train texts.txt --run lm --set training.epochs=1 | predict RUN ein --language-model NEXT
predict LABELS red --language-model NEXT | and this output is none; leave it out | predict LABELS red
predict LABELS --input named.csv --output o.csv | a column 'label_predicted' already, and predictions need that name;
    rename it, or leave it out | predict LABELS --input labels.csv --output o.csv
predict TWO red | and this needs text, size; give --input FILE, a table (csv, tsv, jsonl, parquet) that has them |
    predict TWO --input two.csv
predict TWO --input hole.csv | is missing, and only a sequence can be empty; fill it in, or leave the row out |
    predict TWO --input two.csv
predict LOAD 1 | and this needs day, load; give --input FILE, a table that has them | predict LOAD --input days.csv
predict LOAD --input hours.csv | was trained on steps of one day; give steps as far apart as those, or train on these
    | predict LOAD --input days.csv | train hours.csv --forecast load --run b --set training.epochs=1
evaluate LABELS --split test | this run knows no test split; give --data FILE, or --split valid | evaluate LABELS
    --data labels.csv | evaluate LABELS --split valid
evaluate LOAD --split test | this run knows no test split; give --data FILE, or --split valid | evaluate LOAD --data
    days.csv | evaluate LOAD --split valid
evaluate LOAD --data short.csv | no series has a window of 2 steps with 4 before it; give longer ones | evaluate LOAD
    --data days.csv
evaluate LOAD --origins 99 | steps of a series at most; give 2 to 5 | evaluate LOAD --origins 2 | evaluate LOAD
    --origins 5
evaluate LOAD --data one.csv --origins 2 | begin at 1 steps of a series at most; leave it out, or give more steps |
    evaluate LOAD --data one.csv | evaluate LOAD --data days.csv --origins 2
evaluate LABELS --swap empty.csv | empty.csv: holds no pairs of words; give two a line, such as `he,she` | evaluate
    LABELS --swap pairs.csv
evaluate LABELS --swap twice.csv | stands in another pair too; name each word once | evaluate LABELS --swap pairs.csv
compare LABELS NEXT | none in common; compare runs of one task | compare RUN RUN
average RUN LABELS | average runs of one recipe on the same data, started from one run (--from RUN); or let them
    answer together: ostinato predict RUN --ensemble RUN | average RUN RUN --run mean
average LABELS | a run keeps so many as training.keep_checkpoints says; or name several runs | average RUN RUN --run
    mean
embed TWO --input two.csv | name the one whose encoder is to embed, such as --of text (in Python of='text') | embed
    TWO --input two.csv --of text
pairs | give RUN and FILE, or --generate DIR | pairs --generate minimal --rows 2 | pairs NEXT minimal.csv
probe gatse RUN | write ostinato probe PROBE SOURCE | probe gates RUN
probe gates RUN --set training.seed=2 | --set changes a recipe; the settings of a trained run cannot change; leave it
    out | probe gates RUN
probe gates RUN --epochs 0 | give a recipe, and leave out --at, --data and --split | probe gates tiny.yaml --epochs 0
probe gates tiny.yaml --at end | tiny.yaml is not trained; give the folder of its run, or --at start | probe gates RUN
    | probe gates tiny.yaml --at start
probe gates LABELS --steps 1 | have more than 1 steps; raise --steps | probe gates LABELS --steps 99
probe gates numbers.yaml | no cell of this model has gates to look at; train it with a gated cell, such as lstm or
    gru | probe gates tiny.yaml --set inputs.de.encoder.cell=lstm
probe gates tiny.yaml --set inputs.de.encoder=windowed --text ein | the first input, has no gates to draw; leave
    --text out | probe gates tiny.yaml --set inputs.de.encoder=windowed
probe attention_maps numbers.yaml | attends to anything; train it with a transformer encoder, or with a decoder or join
    that attends | probe attention_maps tiny.yaml | probe attention_maps tiny.yaml --set inputs.de.encoder=transformer
probe saliency numbers.yaml --set inputs.size.encoder=identity | so there are no steps to explain; give it text,
    tokens or a series, read by a recurrent, convolutional or transformer encoder
    | probe saliency tiny.yaml --set inputs.de.encoder=convolutional
probe gradients numbers.yaml --set inputs.size.encoder=identity | has vectors of steps to look at; train it with a
    recurrent, convolutional or transformer encoder | probe gradients tiny.yaml --set inputs.de.encoder=convolutional
probe states numbers.yaml | gives a vector for each step; train it with a recurrent, convolutional or transformer
    encoder | probe states tiny.yaml --set inputs.de.encoder=convolutional
embed TAGS --input tags.jsonl | has no summary vector, only steps; train with an encoder that has one | embed RUN ein
~ errors LABELS --top 1 | more rows: --top N, or --output FILE for all of them | errors LABELS --top 99
    | errors LABELS --output e.csv
~ evaluate LABELS --data labels.csv --by text | groups, no worse: --json | evaluate LABELS --data labels.csv
    --by text --json
~ train tiny.yaml --out a --set training.max_updates=1 | note: with a recipe --out names the run folder, as --run does
    in any case | train tiny.yaml --run b --set training.max_updates=1
"""
"""A command | what it recommends | a command that follows the advice | another. `~` is before a command that works."""

RUNS = {
    "LABELS": (
        {"text": {"type": "text", "encoder": {"hidden_size": 4, "embedding_size": 4}}},
        {"label": "category"},
        "labels.csv",
    ),
    "TWO": (
        {"text": {"type": "text", "encoder": {"hidden_size": 4}}, "size": "number"},
        {"label": "category"},
        "two.csv",
    ),
    "LOAD": (
        {"load": {"type": "series", "encoder": {"hidden_size": 4}}},
        {"ahead": {"of": "load", "horizon": 2, "lookback": 4}},
        "days.csv",
    ),
    "NEXT": (
        {"text": {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 4}}},
        {"rest": {"of": "text"}},
        "labels.csv",
    ),
    "TAGS": ({"words": {"type": "tokens", "encoder": "local_features"}}, {"tags": "tags"}, "tags.jsonl"),
    "TIMES": (
        {"text": {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 4}}},
        {"label": {"type": "text", "tokenizer": "char", "head": "ctc"}},
        "labels.csv",
    ),
}
"""Tiny runs beside `trained`, which is RUN: inputs, outputs, data."""


def write_tables(folder):
    draw = random.Random(1)
    texts = [" ".join(draw.choices("red green blue he she".split(), k=3)) for _ in range(40)]
    labels = [draw.choice("ab") for _ in texts]
    days = [f"2023-01-{day:02},{day % 7}" for day in range(1, 31)]
    tables = {
        "labels": ["text,label", *map(",".join, zip(texts, labels))],
        "named": ["text,label_predicted", *map(",".join, zip(texts, labels))],
        "two": ["text,size,label", *(f"{text},{len(text)},{label}" for text, label in zip(texts, labels))],
        "hole": ["text,size,label", "red,,a", "red,3,b"],
        "days": ["day,load", *days],
        "back": ["day,load", *sorted(days, key=lambda day: day[9::-1])],
        "hours": ["day,load", *(f"2023-01-{2 + hour // 24:02} {hour % 24:02}:00,{hour % 7}" for hour in range(30))],
        "short": ["day,load", *days[:5]],
        "one": ["day,load", *days[:6]],
        "empty": [""],
        "pairs": ["he,she"],
        "twice": ["he,she", "he,it"],
        "minimal": ["right,wrong", "red green,red he"],
    }
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "tags.jsonl").write_text('{"words": ["red", "he"], "tags": ["C", "P"]}\n' * 12)
    (folder / "numbers.yaml").write_text("{data: {train: two.csv}, inputs: {size: number}, outputs: {label: category}}")
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, trained):
    folder = tmp_path_factory.mktemp("runs")
    write_tables(folder)
    for name, (inputs, outputs, data) in RUNS.items():
        split = {"time": "day", "split": {"valid": 6}} if "day" in data else {}
        recipe = from_arguments(
            inputs, outputs, data={"train": str(folder / data), **split}, training={"epochs": 1, "max_updates": 2}
        )
        api.train(recipe, folder / name, device="cpu")
    return {"RUN": trained, **{name: folder / name for name in RUNS}}


@pytest.mark.parametrize("row", COMMANDS.replace("\n    ", " ").strip().splitlines(), ids=lambda row: row[:60])
def test_a_command_that_follows_the_advice_works(here, runs, cli, row):
    def called(command):
        return cli(*(runs.get(word, word) for word in shlex.split(command)))

    command, advice, *others = row.split(" | ")
    write_tables(here)
    works = command.startswith("~ ")
    answer = called(command.removeprefix("~ "))
    message = " ".join(f"{answer.out if works else ''} {answer.err}".split())
    for name, folder in runs.items():
        message = message.replace(str(folder), name)
    assert answer.code == (0 if works else 2) and advice in message, message
    for other in others:
        followed = called(other)
        assert followed.code == 0, followed.err


def test_the_advice_of_a_card_measures_the_run(here, trained, cli):
    """Rows like the user's are other data; what the card names measures the run where it was not."""
    run = bundles.load(trained)
    text = bundles.card(replace(run, metrics={}), {})
    assert "are in the model too; evaluate it on rows like yours before you rely on it." in text
    command = re.search("Not measured yet: `ostinato evaluate RUN`.", text)[0].split("`")[1].split()[1:]
    for words in ((), ("--data", "test.tsv")):
        assert cli(*(str(trained) if word == "RUN" else word for word in command), *words).code == 0


def test_the_advice_on_standard_input(trained, cli, monkeypatch):
    for text, advice, mended in (
        (b"\xe9in\n", "not UTF-8 (byte 1); convert it, for example with iconv", "éin".encode()),
        (b"ein\0\n", r"has a NUL byte; remove it, for example with `tr -d '\000'`", b"ein\n"),
    ):
        for content, code in ((text, 2), (mended, 0)):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
            answer = cli("predict", trained, "--input", "-")
            assert answer.code == code and (advice in answer.err) == (code == 2), answer.err


def test_python_that_follows_the_advice_works(here, trained):
    model = ostinato.load(trained)
    with pytest.raises(OstinatoError, match=r"put it in a list: \['ein'\]"):
        model.predict("ein")
    assert len(model.predict(["ein"])) == 1
    with pytest.raises(OstinatoError, match=r"give a list of texts: \['two'\]"):
        model.stream("ein", str, stop="two")
    model.stream("ein", lambda piece: None, stop=["two"], sets=["search=greedy"])
    fresh = ostinato.Model({"de": "text"}, {"en": "text"}, training={"epochs": 1})
    with pytest.raises(OstinatoError, match=r"call fit\(train\) or load a run with ostinato.load\(folder\)"):
        fresh.predict(["ein"])
    with pytest.raises(OstinatoError, match=r"there are no rows to train on; give fit\(train\) a path"):
        fresh.fit()
    with pytest.raises(OstinatoError, match="choose another folder or delete it"):
        model.save(trained)
    assert model.save(here / "copy") and ostinato.load(here / "copy").predict(["ein"])
    with pytest.raises(OstinatoError, match="no rows to embed; give at least one"):
        model.embed([])
    assert len(model.embed(["ein"])) == 1
