"""What an encoder's message recommends to whoever calls it, followed."""

import pytest

from ostinato import registry
from ostinato.testing import encoders

WHOLE = [
    ("ngrams", {}, "symbols", "this encoder reads whole inputs, so it cannot resume from a state: give none"),
    ("subsampled", {}, "values", "this encoder reads whole inputs, so it cannot resume from a state: give none"),
    ("pyramidal", {}, "values", "this encoder reads both ways, so it cannot resume from a state: give none"),
    ("cnn", {}, "columns of pixels", "reads whole pictures, so it cannot resume from a state: give none"),
    ("stacked", {}, "pictures in time", "reads whole pictures, or later frames before: give it no state"),
    *(
        (
            name,
            {"bidirectional": True},
            "symbols",
            "this encoder sees later steps before earlier ones, so it cannot resume from a state: give none",
        )
        for name in ("convolutional", "mlstm", "recurrent", "transformer", "windowed")
    ),
]


@pytest.mark.parametrize("row", WHOLE, ids=lambda row: row[0])
def test_an_encoder_without_a_state_reads_as_the_advice_says(row):
    name, options, kind, advice = row
    spec = encoders.SPECS[kind]
    encoder, steps = registry.make("encoders", name, [spec], options), encoders.batch(spec)
    with pytest.raises(ValueError, match=advice):
        encoder.encode(steps, ())
    assert encoder.encode(steps)
