"""A page of this machine on which people draw: what they draw is kept as rows to train on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from ostinato.errors import DataError, OstinatoError

LARGEST = 1 << 20
"""Bytes of a request: 40,000 points."""
LONGEST_LABEL = 1000
PROBE = [[0, 0, 0], [3, 4, 1]]
"""A drawing that every run of drawings reads."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
"""The page loads nothing from elsewhere."""


class Drawings:
    """A folder whose `manifest.jsonl` has a line for each drawing: its steps (dx, dy, up) and its label.

    Args:
        folder: made with the first drawing.
    """

    def __init__(self, folder: Path):
        self.file, self._lock = folder / "manifest.jsonl", Lock()

    def __len__(self) -> int:
        return len(self.file.read_bytes().splitlines()) if self.file.is_file() else 0

    def add(self, strokes: Any, label: Any) -> int:
        """Keeps a drawing; how many there are.

        Errors:
            DataError: it is no drawing, or its label is no line of text.
        """
        steps = checked(strokes)
        if not isinstance(label, str) or len(label) > LONGEST_LABEL or any(end in label for end in "\r\n\0"):
            raise DataError(f"the label is one line of at most {LONGEST_LABEL} characters; shorten it")
        line = json.dumps({"drawing": steps, "label": label}, ensure_ascii=False) + "\n"
        with self._lock:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8", newline="") as file:
                file.write(line)
            return len(self)


def checked(strokes: Any) -> list[list[float]]:
    """The steps of a drawing that came from outside.

    Errors:
        DataError: they are not at least two points (dx, dy, up) of finite numbers.
    """
    if not isinstance(strokes, list) or len(strokes) < 2:
        raise DataError("a drawing has at least two points; draw a line")
    for number, step in enumerate(strokes, 1):
        numbers = isinstance(step, list) and len(step) == 3 and all(type(value) in (int, float) for value in step)
        if not numbers or not all(map(math.isfinite, step)) or step[2] not in (0, 1):
            raise DataError(f"point {number} is not dx, dy and 0 or 1 for a pen that lifts; draw it again")
    return strokes


def serve(drawings: Drawings, answer: Callable[[list[list[float]]], str] | None, port: int) -> ThreadingHTTPServer:
    """A server on the loopback interface, not started; `serve_forever` runs it.

    Args:
        drawings: where they are kept.
        answer: what a run makes of a drawing; None: there is no run.
        port: 0: a free one.
    """
    page = PAGE.replace("RUN_HIDDEN", "hidden" if answer is None else "").encode()

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the browser has hung up, and waits for no answer
                super().handle()

        def finish(self) -> None:
            with suppress(ConnectionError):
                super().finish()

        def do_GET(self) -> None:
            if not self._is_local():
                return
            if self.path not in ("/", "/count"):
                self._reply(404, {"error": "there is / alone"})
            elif self.path == "/":
                self._send(200, page, "text/html; charset=utf-8")
            else:
                self._reply(200, {"saved": len(drawings)})

        def do_POST(self) -> None:
            if not self._is_local():
                return
            size = self.headers.get("Content-Length", "")
            if self.headers.get_content_type() != "application/json" or not size.isdecimal() or int(size) > LARGEST:
                self.close_connection = True
                self._reply(400, {"error": f"JSON of at most {LARGEST:,} bytes is needed"})
                return
            try:
                received = self.rfile.read(int(size))
                if len(received) < int(size):
                    raise ConnectionAbortedError
                content = json.loads(received)
                if not isinstance(content, dict):
                    raise DataError("a JSON object is needed")
                self._reply(*self._result(content))
            except ConnectionError:
                raise
            except (ValueError, RecursionError, OstinatoError, OSError) as why:
                self._reply(400, {"error": str(why)})

        def _result(self, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if self.path == "/save":
                return 200, {"saved": drawings.add(content.get("drawing"), content.get("label", ""))}
            if self.path == "/answer" and answer is not None:
                return 200, {"answer": answer(checked(content.get("drawing")))}
            return 404, {"error": "there are /save and, with --run, /answer"}

        def _is_local(self) -> bool:
            """Whether the page itself asks: a page of another origin that a name leads here may not."""
            port = self.server.server_address[1]
            own = {f"127.0.0.1:{port}", f"localhost:{port}"}
            origin = self.headers.get("Origin")
            if self.headers.get("Host") in own and (origin is None or origin.removeprefix("http://") in own):
                return True
            self.close_connection = True
            self._reply(403, {"error": f"open http://127.0.0.1:{port} on this machine"})
            return False

        def _reply(self, status: int, result: dict[str, Any]) -> None:
            self._send(status, json.dumps(result, ensure_ascii=False).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Draw</title>
<style>
:root { color-scheme: light dark; --ink: #111; --paper: #fff; --line: #767676; --page: #f4f4f4; }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --paper: #1c1c1c; --line: #949494; --page: #111; } }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 50rem; color: var(--ink);
  background: var(--page); }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
p { margin: 0 0 .75rem; }
canvas { display: block; width: 100%; height: min(55vh, 24rem); background: var(--paper);
  border: 2px solid var(--line); border-radius: .5rem; touch-action: none; cursor: crosshair; }
canvas:focus-visible, button:focus-visible, input:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .75rem; align-items: end; }
label { display: grid; flex: 1 1 12rem; }
input, button { font: inherit; min-height: 2.75rem; padding: .25rem .75rem; color: inherit; background: var(--paper);
  border: 1px solid var(--line); border-radius: .5rem; }
input { width: 100%; }
#status { min-height: 1.5rem; margin-top: .75rem; overflow-wrap: anywhere; }
#answer { font-size: 1.75rem; min-height: 2.5rem; overflow-wrap: anywhere; }
[hidden] { display: none !important; }
</style>
</head>
<body>
<main>
<h1>Draw</h1>
<p id="help">Draw with mouse, pen or finger. By keyboard: arrow keys move the pen, with Shift faster; Space sets it down
or lifts it.</p>
<canvas id="paper" tabindex="0" role="application" aria-label="Drawing area" aria-describedby="help"></canvas>
<div class="row">
<button id="undo" type="button">Undo stroke</button>
<button id="clear" type="button">Clear</button>
<button id="ask" type="button" RUN_HIDDEN>Ask the run</button>
</div>
<div class="row">
<label for="label">Label (what you drew)
<input id="label" autocomplete="off" maxlength="1000" enterkeyhint="done"></label>
<button id="save" type="button">Save and clear</button>
</div>
<p id="status" role="status"></p>
<p id="answer" role="status" RUN_HIDDEN></p>
</main>
<script>
"use strict";
const paper = document.getElementById("paper"), draw = paper.getContext("2d");
const status = document.getElementById("status"), label = document.getElementById("label");
let strokes = [], pointer = null, down = false, cursor = null;
const round = (value) => Math.round(value * 100) / 100;
function show() {
  const scale = window.devicePixelRatio || 1, box = paper.getBoundingClientRect();
  paper.width = box.width * scale; paper.height = box.height * scale;
  draw.setTransform(scale, 0, 0, scale, 0, 0);
  draw.strokeStyle = draw.fillStyle = getComputedStyle(document.body).color;
  draw.lineWidth = 3; draw.lineCap = draw.lineJoin = "round";
  for (const stroke of strokes) {
    draw.beginPath();
    stroke.forEach(([x, y], place) => place ? draw.lineTo(x, y) : draw.moveTo(x, y));
    if (stroke.length === 1) draw.lineTo(stroke[0][0], stroke[0][1]);
    draw.stroke();
  }
  if (cursor && document.activeElement === paper) {
    draw.beginPath(); draw.arc(cursor[0], cursor[1], down ? 4 : 8, 0, 7); down ? draw.fill() : draw.stroke();
  }
}
function place(event) {
  const box = paper.getBoundingClientRect();
  return [round(event.clientX - box.left - paper.clientLeft), round(event.clientY - box.top - paper.clientTop)];
}
function extend(point) {
  const stroke = strokes[strokes.length - 1], last = stroke[stroke.length - 1];
  if (!last || last[0] !== point[0] || last[1] !== point[1]) stroke.push(point);
}
paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button) return;
  pointer = event.pointerId; paper.setPointerCapture(pointer); paper.focus({preventScroll: true});
  cursor = null; down = false; strokes.push([place(event)]); show(); event.preventDefault();
});
paper.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  (events.length ? events : [event]).forEach((part) => extend(place(part))); show();
});
for (const name of ["pointerup", "pointercancel"])
  paper.addEventListener(name, (event) => { if (event.pointerId === pointer) pointer = null; });
const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
paper.addEventListener("keydown", (event) => {
  const move = MOVES[event.key], space = event.key === " ";
  if (!move && !space) return;
  event.preventDefault();
  const width = paper.clientWidth, height = paper.clientHeight;
  cursor = cursor || [round(width / 2), round(height / 2)];
  if (space) { down = !down; if (down) strokes.push([cursor]); }
  if (move) {
    const far = event.shiftKey ? 30 : 6;
    cursor = [Math.min(width, Math.max(0, cursor[0] + far * move[0])),
              Math.min(height, Math.max(0, cursor[1] + far * move[1]))];
    if (down) extend(cursor);
  }
  if (space) status.textContent = down ? "pen down" : "pen up";
  show();
});
function steps() {
  let before = null; const every = [];
  for (const stroke of strokes) stroke.forEach((point, number) => {
    const last = before || point;
    every.push([round(point[0] - last[0]), round(point[1] - last[1]), number === stroke.length - 1 ? 1 : 0]);
    before = point;
  });
  return every;
}
async function send(path, content) {
  try {
    const reply = await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"},
                                     body: JSON.stringify(content)});
    const result = await reply.json();
    if (!reply.ok) throw new Error(result.error);
    return result;
  } catch (why) { status.textContent = "Not done: " + why.message; return null; }
}
function clear() { strokes = []; down = false; cursor = null; show(); }
async function save() {
  const result = await send("/save", {drawing: steps(), label: label.value});
  if (!result) return;
  status.textContent = "Saved" + (label.value ? " as " + label.value : "") + ": " + result.saved + " in all.";
  clear(); document.getElementById("answer").textContent = ""; paper.focus({preventScroll: true});
}
document.getElementById("undo").onclick = () => { strokes.pop(); down = false; show(); };
document.getElementById("clear").onclick = () => { clear(); status.textContent = ""; };
document.getElementById("save").onclick = save;
label.addEventListener("keydown", (event) => { if (event.key === "Enter") save(); });
document.getElementById("ask").onclick = async () => {
  const result = await send("/answer", {drawing: steps()});
  if (result) { document.getElementById("answer").textContent = result.answer; status.textContent = ""; }
};
window.addEventListener("resize", show);
paper.addEventListener("focus", show); paper.addEventListener("blur", show);
show();
</script>
</body>
</html>
"""
