"""A killed run, resumed, ends with the bits of a run never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ostinato import files
from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.training.loop import STOPS
from ostinato.training.task import Interrupted, Listeners
from tests.training.toy_run import Toy, digest, facts, task, training

SCRIPT = str(Path(__file__).with_name("toy_run.py"))
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}
BOTH = {"epochs": 3, "accumulate": 3, "report_every": 2}
PLATEAU = {"type": "plateau", "patience": 1, "threshold": 0.9}
"""Falls at every validation but the first."""
HARD = {
    "every update": {
        "checkpoint_seconds": 1e-9,
        "average_decay": 0.9,
        "clip_norm": 0.5,
        "schedule": {"type": "cosine"},
    },
    "every epoch": {"average_last": 2, "optimizer": {"type": "sgd", "learning_rate": 0.5}, "schedule": PLATEAU},
    "two optimizers in one": {"checkpoint_seconds": 1e-9, "optimizer": {"type": "muon", "learning_rate": 0.01}},
    "part of an epoch": {"max_updates": 6, "checkpoint_seconds": 1e-9, "patience": 2},
    "within epochs": {"validate_every": 0.25, "checkpoint_seconds": 1e-9, "schedule": PLATEAU, "patience": 8},
    "both": {"checkpoint_seconds": 1e-9, "average_last": 2, "optimizer": "adadelta", "clip_value": 0.1},
}


@pytest.fixture(scope="module")
def run():
    """Runs the toy in a process forked cold, and gives its exit status."""
    nursery = subprocess.Popen(
        [sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ALONE
    )

    def one(folder, options):
        nursery.stdin.write(json.dumps([str(folder), options]) + "\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())

    yield one
    nursery.stdin.close()
    nursery.wait()
    nursery.stdout.close()


def history(folder):
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "steps_per_second")} for line in lines
    ]


@pytest.mark.parametrize("name", HARD)
def test_killed_again_and_again_ends_with_the_same_bits_and_history(run, tmp_path, name):
    whole, broken, options = tmp_path / "whole", tmp_path / "broken", BOTH | HARD[name]
    assert run(whole, options) == 0
    draw, kills = random.Random(name), 0
    while run(broken, {**options, "stop_at": draw.randint(1, 45)}) == -signal.SIGKILL:
        kills += 1
        assert kills < 100
    assert kills >= 2
    assert (broken / "digest").read_text() == (whole / "digest").read_text()
    assert history(broken) == history(whole)
    assert not [path for path in broken.rglob("*.partial")]


def test_killed_at_each_moment_of_the_first_epochs_end(run, tmp_path):
    """Every sync and rename between the last update of an epoch and the first of the next: weights, best, checkpoint,
    tidying."""
    options = BOTH | {"epochs": 2, "average_last": 2, "checkpoint_seconds": 1e9}
    assert run(tmp_path / "whole", options) == 0
    for moment in range(11, 32):
        folder = tmp_path / str(moment)
        assert run(folder, {**options, "stop_at": moment}) == -signal.SIGKILL
        assert run(folder, options) == 0
        assert (folder / "digest").read_text() == (tmp_path / "whole" / "digest").read_text(), moment
        assert history(folder) == history(tmp_path / "whole"), moment


@pytest.mark.parametrize("number", STOPS)
def test_ctrl_c_and_sigterm_finish_the_step_and_save_and_their_checkpoint_enters_no_average(run, tmp_path, number):
    options = BOTH | {"average_last": 2, "keep_best": False}
    assert run(tmp_path / "whole", options) == 0
    assert run(tmp_path / "broken", {**options, "stop_at": 5, "signal": number}) == 130
    (stopped,) = (tmp_path / "broken" / "checkpoints").iterdir()
    assert stopped.name == "checkpoint-0000-0000006", (
        "the update is finished, and only the end of an epoch enters the average"
    )
    assert run(tmp_path / "broken", options) == 0
    assert (tmp_path / "broken" / "digest").read_text() == (tmp_path / "whole" / "digest").read_text()


@pytest.mark.slow
def test_killed_by_the_clock_in_processes_that_start_anew(run, tmp_path):
    options = BOTH | HARD["both"] | {"epochs": 6, "checkpoint_seconds": 0.1}
    assert run(tmp_path / "whole", options) == 0
    draw = random.Random(3)
    for round_ in range(4):
        folder = tmp_path / str(round_)
        for _ in range(200):
            command = [sys.executable, SCRIPT, str(folder), json.dumps(options | {"slow": 0.02})]
            process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ALONE)
            process.stderr.readline()
            try:
                process.communicate(timeout=3 * draw.random())
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        assert (folder / "digest").read_text() == (tmp_path / "whole" / "digest").read_text()
        assert history(folder) == history(tmp_path / "whole")


def stopped_at(folder, update, options, validate=None):
    """A run that Ctrl-C stops after an update, in this process."""

    def interrupt(progress):
        if progress.update == update:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        training(**options).run(task(validate=validate, facts=facts(options)), folder, Listeners(progress=interrupt))


def resumed(folder, options, notes=None, **changes):
    one = task(facts=facts(options) | changes)
    listeners = Listeners(notes=(notes if notes is not None else []).append)
    return training(**options).run(one, folder, listeners, resume=True), one.model


@pytest.mark.parametrize("average", [{"average_decay": 0.5}, {"average_last": 4, "keep_best": False}])
def test_ctrl_c_during_validation_breaks_it_and_saves_before_it(tmp_path, average):
    def broken(model):
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("validation went on")

    options = BOTH | average
    with pytest.raises(Interrupted):
        training(**options).run(task(validate=broken, facts=facts(options)), tmp_path / "broken")
    whole = task(facts=facts(options))
    training(**options).run(whole, tmp_path / "whole")
    assert digest(resumed(tmp_path / "broken", options)[1]) == digest(whole.model)
    assert history(tmp_path / "broken") == history(tmp_path / "whole")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_leads_to_the_same_bits(tmp_path):
    options = BOTH | {"checkpoint_seconds": 1e-9}
    whole = task(facts=facts(options))
    training(**options).run(whole, tmp_path / "whole")
    stopped_at(tmp_path / "broken", 6, options)
    newest = sorted((tmp_path / "broken/checkpoints").glob("checkpoint-*"))[-1]
    data = bytearray((newest / "optimizer.safetensors").read_bytes())
    data[-3] ^= 1
    (newest / "optimizer.safetensors").write_bytes(data)
    notes = []
    assert digest(resumed(tmp_path / "broken", options, notes)[1]) == digest(whole.model)
    assert "damaged" in notes[0] and "continuing from" in notes[0]
    assert newest.with_name(newest.name + ".damaged").is_dir()


def test_without_a_checkpoint_resume_starts_and_on_a_finished_run_it_trains_nothing(tmp_path):
    first, one = resumed(tmp_path, BOTH)
    again, two = resumed(tmp_path, BOTH)
    assert (first.before, again.before) == (False, True)
    assert first.updates == again.updates == 12 and digest(one) == digest(two)


def test_a_folder_that_holds_a_run_is_not_trained_over(tmp_path):
    resumed(tmp_path, BOTH)
    with pytest.raises(DataError, match="--resume.*--overwrite"):
        training(**BOTH).run(task(), tmp_path)


def test_a_setting_that_would_change_the_past_is_refused_by_name(tmp_path):
    resumed(tmp_path, BOTH)
    with pytest.raises(ConfigError, match=r"training\.clip_norm was 1\.0, is 2\.0"):
        resumed(tmp_path, BOTH | {"clip_norm": 2.0})
    with pytest.raises(ConfigError, match=r"training\.schedule\.type was 'cosine', is 'constant'"):
        resumed(tmp_path, BOTH | {"schedule": "constant"})
    with pytest.raises(ConfigError, match=r"data was 'not there', is 'abc'"):
        resumed(tmp_path, BOTH, data="abc")


def test_epochs_and_logging_may_change_and_more_epochs_equal_a_longer_run(tmp_path):
    constant = BOTH | {"schedule": "constant"}
    resumed(tmp_path / "short", constant | {"epochs": 2})
    longer = constant | {"report_every": 3, "checkpoint_seconds": 5.0}
    outcome, model = resumed(tmp_path / "short", longer)
    assert (outcome.before, outcome.epochs) == (False, 3)
    assert digest(model) == digest(resumed(tmp_path / "long", longer)[1])


def test_other_surroundings_are_named_and_the_thread_count_is_restored(tmp_path):
    stopped_at(tmp_path, 2, BOTH)
    (state,) = tmp_path.rglob("state.json")
    written = files.without_checksum(json.loads(state.read_text()))
    written["surroundings"] |= {"threads": 3, "torch": "1.0", "capability": "AVX2"}
    state.write_text(json.dumps(files.with_checksum(written)))
    threads, notes = torch.get_num_threads(), []
    try:
        resumed(tmp_path, BOTH, notes)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert "torch's version was 1.0" in notes[0] and "instruction set was AVX2" in notes[1]
    assert not [line for line in notes if "threads" in line]


def test_weights_of_another_model_are_refused(tmp_path):
    resumed(tmp_path, BOTH)
    with pytest.raises(BundleError, match="odd"):
        training(**BOTH).run(task(model=Toy(("next", "odd")), facts=facts(BOTH)), tmp_path, resume=True)
