"""The modality calendar: dates as places on circles."""

import numpy as np
import pytest

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Values
from ostinato.registry import make


def calendar(*cycles):
    return make("modalities", "calendar", (), {"cycles": list(cycles)} if cycles else {})


def test_places_in_day_week_and_year():
    # 2013-01-31 was a Thursday.
    places = calendar("hour", "weekday", "month", "yearday").decode(
        calendar("hour", "weekday", "month", "yearday").encode(["2013-01-31 18:00"])
    )
    np.testing.assert_allclose(places, [[0.75, 3 / 7, 0, 30 / 365.25]], atol=1e-7)


def test_midnight_lies_beside_the_hour_before():
    steps = calendar("hour").encode(["2013-01-31 23:00", "2013-02-01 00:00", "2013-02-01 12:00"])
    apart = np.linalg.norm(steps - steps[1], axis=1)
    assert apart[0] < 0.3 and apart[2] == pytest.approx(2, abs=1e-6)


def test_dates_are_read_as_texts_and_as_arrays():
    dates = np.array(["2013-01-31T18", "1969-12-31T01"], dtype="datetime64[s]")
    both = calendar()
    both.fit([dates, None])
    np.testing.assert_array_equal(both.encode(dates), both.encode([str(one) for one in dates]))
    assert both.spec == Values(6) and both.encode(dates).shape == (2, 6) and both.encode(dates).dtype == np.float32
    assert both.parse(both.write(["2013-01-31 18:00"])) == ["2013-01-31 18:00"]


def test_what_is_no_date_or_no_cycle_is_refused():
    with pytest.raises(DataError, match="dates such as 2013-01-31 14:00 are needed"):
        calendar().encode(["soon"])
    with pytest.raises(DataError, match="not of a counted time"):
        calendar().encode(np.arange(3))
    with pytest.raises(ConfigError, match="each once"):
        calendar("hour", "hour")
