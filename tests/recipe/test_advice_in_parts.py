"""What a message on a part of a recipe recommends, followed: the refused recipe, so changed, is built."""

import pytest

from tests.recipe.recipe_advice import BASES, follow_in_recipe
from tests.recipe.recipe_advice import folder as rows  # noqa: F401

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
    decoder.attention: none | outputs.answer.head.decoder.attention=none
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
classify | inputs={size: number} ; outputs.label.head={pool: mean} | choose last, or another encoder |
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


@pytest.mark.parametrize("row", RECIPES.replace("\n    ", " ").strip().splitlines(), ids=lambda row: row[:60])
def test_a_recipe_that_follows_the_advice_is_built(rows, monkeypatch, row):  # noqa: F811
    base, mistake, advice, *ways = row.split(" | ")
    monkeypatch.chdir(rows)
    follow_in_recipe(BASES[base], mistake, advice, *ways)
