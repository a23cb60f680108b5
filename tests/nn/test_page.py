"""docs/modules.md: its code runs and prints what the page says, its options are those that there are."""

import inspect
import re
from pathlib import Path

from ostinato import nn
from ostinato.registry import keyword_only

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "modules.md").read_text(encoding="utf-8")


def test_the_code_runs_and_prints_what_the_page_says(capsys):
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/modules.md", "exec"), names)
    (told,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out == told


def test_every_option_that_torch_lacks_is_on_the_page():
    told = set(re.findall(r"^\| `(\w+)` \| `(\w+)=", PAGE, re.MULTILINE))
    own = {(cls.__name__, option.name) for cls in (nn.RNN, nn.GRU, nn.LSTM) for option in keyword_only(cls)}
    assert told == own | {("RNN", "nonlinearity")}
    for cls in (nn.RNN, nn.GRU, nn.LSTM):
        described = re.findall(r"^    (\w+): ", inspect.getdoc(cls).split("Args:")[1], re.MULTILINE)
        assert {option.name for option in keyword_only(cls)} <= set(described)
