"""AutoGluon for effort.py, in the rival's own environment: its tabular part, or its time-series part.

Reads an order, a JSON file with training rows, the label last, and rows that are asked; or with a series and the
origins of its forecasts. Writes the labels or forecasts beside it, as `.answers.json`. Models that download weights are
left out.
"""

import json
import sys
from pathlib import Path

import pandas

path = Path(sys.argv[1])
order = json.loads(path.read_text(encoding="utf-8"))
limit, folder = 60 * order["minutes"], order["folder"]
WITH_WEIGHTS = ["Chronos", "Chronos2", "Toto"]


def labels() -> list:
    from autogluon.tabular import TabularPredictor

    train, asked = (pandas.DataFrame(order[part]) for part in ("train", "asked"))
    train.columns = [*(f"x{place}" for place in range(train.shape[1] - 1)), "label"]
    asked.columns = train.columns[:-1]
    predictor = TabularPredictor("label", path=folder, eval_metric="accuracy", verbosity=2)
    predictor.fit(train, time_limit=limit, num_cpus=order["threads"], presets="medium_quality")
    return [str(answer) for answer in predictor.predict(asked)]


def forecasts() -> list:
    from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor

    table = pandas.DataFrame({"target": order["series"], "timestamp": pandas.to_datetime(order["dates"])})
    frequency = pandas.infer_freq(table["timestamp"])
    if frequency is None:  # days are missing: steps are counted, which is what is forecast
        step = table["timestamp"].diff().mode()[0]
        table["timestamp"] = pandas.date_range(table["timestamp"][0], periods=len(table), freq=step)
        frequency = pandas.infer_freq(table["timestamp"])

    def until(ends: list) -> TimeSeriesDataFrame:
        parts = [table.iloc[:end].assign(item_id=f"{end:09d}") for end in ends]
        return TimeSeriesDataFrame.from_data_frame(pandas.concat(parts))

    predictor = TimeSeriesPredictor(prediction_length=order["horizon"], path=folder, eval_metric="MAE", freq=frequency)
    known = until([len(table) - order["held_out"]])
    predictor.fit(known, time_limit=limit, presets="medium_quality", excluded_model_types=WITH_WEIGHTS)
    answers = predictor.predict(until(order["origins"]))
    return [answers.loc[f"{origin:09d}"]["mean"].tolist() for origin in order["origins"]]


if __name__ == "__main__":
    answers = labels() if "train" in order else forecasts()
    path.with_name(path.name.replace(".order.", ".answers.")).write_text(
        json.dumps(answers, ensure_ascii=False), encoding="utf-8"
    )
