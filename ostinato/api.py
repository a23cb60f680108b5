"""The verbs, a function each, for the commands and for Python."""

from ostinato.run.predict import answers
from ostinato.run.run import Run
from ostinato.verbs.answering import drawing_page, embed, generate, listen, predict, score, stream, suggest
from ostinato.verbs.data import init, label_notes, look
from ostinato.verbs.measuring import compare, errors, evaluate, pairs, probe, probe_course, report, single_score
from ostinato.verbs.runs import OneRun, Runs, device_of, loaded_runs
from ostinato.verbs.training import (
    average,
    check,
    curve_of,
    draw_held_out,
    fit,
    import_model,
    measure,
    portfolio,
    sweep,
    train,
    verdict,
)

__all__ = [
    "OneRun",
    "Run",
    "Runs",
    "answers",
    "average",
    "check",
    "compare",
    "curve_of",
    "device_of",
    "draw_held_out",
    "drawing_page",
    "embed",
    "errors",
    "evaluate",
    "fit",
    "generate",
    "import_model",
    "init",
    "label_notes",
    "listen",
    "loaded_runs",
    "look",
    "measure",
    "pairs",
    "portfolio",
    "predict",
    "probe",
    "probe_course",
    "report",
    "score",
    "single_score",
    "stream",
    "suggest",
    "sweep",
    "train",
    "verdict",
]
