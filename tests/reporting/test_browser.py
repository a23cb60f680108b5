"""Pages in a browser: nothing in the console, no fault of accessibility, nothing wider than a phone.

It needs Chromium, and axe-core's `axe.min.js` (`npm install axe-core`) named by OSTINATO_AXE."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

import ostinato
from ostinato import api

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(os.environ.get("OSTINATO_AXE", "axe.min.js"))
PHONE = 390
AUDIT = """
axe.run(document).then(({violations}) => {
  const found = violations.map(({impact, id, nodes}) => [impact, id, nodes[0].html.slice(0, 200)]);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const width = [document.documentElement.scrollWidth, window.innerWidth];
  const shown = document.createElement('pre');
  shown.id = 'audit';
  shown.textContent = JSON.stringify({found, dark, width});
  document.body.append(shown);
});
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or not AXE.is_file(), reason="needs chromium, and axe.min.js by OSTINATO_AXE"),
]


def audited(page, *, dark, width):
    """What axe-core finds in a page, and what the browser says."""
    scripts = f"<script>{AXE.read_text(encoding='utf-8')}</script><script>{AUDIT}</script></body>"
    copy = page.with_name(f"audited_{page.name}")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", scripts), encoding="utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--window-size={width},900"]
    command += ["--virtual-time-budget=60000", "--dump-dom", copy.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    result = json.loads(unescape(re.search(r'<pre id="audit">(.*?)</pre>', ended.stdout, re.DOTALL)[1]))
    return result, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    rows = [{"text": f"sun {'sea ' * (at % 4)}{at % 5}", "label": ["good", "bad"][at % 2]} for at in range(40)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = ostinato.Model(
        {"text": {"type": "tokens", "encoder": {"type": "transformer", "hidden_size": 8, "heads": 2, "layers": 1}}},
        {"label": "category"},
        data={"train": str(folder / "rows.jsonl")},
        training={"epochs": 3, "batch_rows": 8},
    )
    run = model.fit(folder=folder / "run", device="cpu").run
    api.report(run, folder / "report.html", examples=["sun sea"])
    api.compare(run, run, html=folder / "compare.html")
    return [folder / "report.html", folder / "compare.html"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_pages_have_no_fault(pages, dark, width):
    for page in pages:
        result, console = audited(page, dark=dark, width=width)
        assert not console and result["dark"] == dark
        assert not [found for found in result["found"] if found[0] in ("serious", "critical")], result["found"]
        assert result["width"][0] <= result["width"][1], "nothing but tables and pictures scrolls sideways"
