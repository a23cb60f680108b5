"""The page on which people draw: what it keeps, what it refuses, and what a run answers."""

import json
import socket
import struct
import threading
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.errors import ConfigError

LINE, WIDE = [[0, 0, 0], [1, 20, 0], [0, 19.5, 1]], [[0, 0, 0], [20, 1, 0], [21, 0, 1]]


@contextmanager
def page(folder, run=None):
    server = api.drawing_page(folder, run, device="cpu")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def ask(path, content=None, **headers):
        connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        connection.request("GET" if body is None else "POST", path, body, {**kind, **headers})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, text if path == "/" else json.loads(text), reply.headers

    ask.port = server.server_address[1]
    try:
        yield ask
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_drawings_are_kept_as_rows_that_a_model_is_trained_on_and_then_read_and_its_advice_is_right(tmp_path):
    folder = tmp_path / "drawings"
    with page(folder) as ask:
        status, text, headers = ask("/")
        assert (
            status == 200
            and 'id="ask" type="button" hidden' in text
            and "default-src 'none'" in headers["Content-Security-Policy"]
        )
        assert ask("/count")[1] == {"saved": 0} and not folder.exists()
        for number in range(8):
            saved = {"drawing": (LINE, WIDE)[number % 2], "label": ("one", "f\u00fcnf")[number % 2]}
            assert ask("/save", saved)[:2] == (200, {"saved": number + 1})
        assert ask("/answer", {"drawing": LINE})[:2] == (404, {"error": "there are /save and, with --run, /answer"})
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[1] == {"drawing": WIDE, "label": "f\u00fcnf"} and len(rows) == 8
    model = ostinato.Model(
        {"drawing": {"type": "strokes", "encoder": {"hidden_size": 8}}},
        {"label": "category"},
        training={"epochs": 12, "optimizer": {"type": "adam", "learning_rate": 0.05}},
    )
    model.fit(str(folder), rows, device="cpu", folder=tmp_path / "run")
    with page(folder, tmp_path / "run") as ask:
        assert "RUN_HIDDEN" not in ask("/")[1] and 'type="button" hidden' not in ask("/")[1]
        assert ask("/answer", {"drawing": WIDE})[1] == {"answer": "f\u00fcnf"}
        assert ask("/answer", {"drawing": [[0, 0, 1]]})[1] == {
            "error": "a drawing has at least two points; draw a line"
        }
        assert ask("/answer", {"drawing": LINE})[1] == {"answer": "one"}


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "message"),
    [
        ("/save", b"{", {}, 400, "Expecting property name"),
        ("/save", [], {}, 400, "a JSON object is needed"),
        ("/save", {"drawing": LINE, "label": "a\nb"}, {}, 400, "one line of at most 1000 characters; shorten it"),
        (
            "/save",
            b'{"drawing": [[0, 0, 0], [1, Infinity, 1]]}',
            {},
            400,
            "point 2 is not dx, dy and 0 or 1 for a pen that lifts; draw it again",
        ),
        ("/save", {"drawing": [[0, 0, 0], [1, True, 1]]}, {}, 400, "point 2 is not"),
        ("/save", {"drawing": [[0, 0, 0], [1, 1, 2]]}, {}, 400, "point 2 is not"),
        ("/save", {"drawing": LINE}, {"Content-Type": "text/plain"}, 400, "JSON of at most 1,048,576 bytes"),
        ("/save", {"drawing": LINE}, {"Host": "example.org"}, 403, "on this machine"),
        ("/save", {"drawing": LINE}, {"Origin": "http://example.org"}, 403, "on this machine"),
        ("/elsewhere", None, {}, 404, "there is / alone"),
    ],
)
def test_the_advice_on_what_the_page_would_not_send(tmp_path, path, content, headers, status, message):
    with page(tmp_path / "drawings") as ask:
        code, reply, _ = ask(path, content, **headers)
        assert code == status and message in reply["error"] and not (tmp_path / "drawings").exists()
        assert ask("/save", {"drawing": LINE, "label": "a"})[:2] == (200, {"saved": 1})


def test_the_advice_on_a_run_that_reads_no_drawings(tmp_path):
    lines = [{"x": LINE if row % 2 else WIDE, "text": "ab"[row % 2], "label": "ab"[row % 2]} for row in range(8)]
    for name, column in (("text", "text"), ("strokes", "strokes")):
        inputs = {"x": {"type": column, "column": "text" if name == "text" else "x", "encoder": {"hidden_size": 4}}}
        model = ostinato.Model(inputs, {"label": "category"}, training={"epochs": 1})
        model.fit(lines, lines, device="cpu", folder=tmp_path / name)
    with pytest.raises(ConfigError, match=r"reads no drawings, but x \(text\).*; give a run with one input of strokes"):
        api.drawing_page(tmp_path / "d", tmp_path / "text", device="cpu")
    api.drawing_page(tmp_path / "d", tmp_path / "strokes", port=0, device="cpu").server_close()


def test_a_browser_that_hangs_up_is_no_error_and_others_are_answered(tmp_path, capfd):
    with page(tmp_path / "drawings") as ask:
        port = ask.port
        for request in (b"POST /save HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
                        b"GET / HTTP/1.1\r\n%s\r\n"):  # fmt: skip
            with socket.create_connection(("127.0.0.1", port)) as browser:
                browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                browser.sendall(request % b"Host: 127.0.0.1:%d\r\n" % port)
        assert ask("/save", {"drawing": LINE, "label": "a"})[:2] == (200, {"saved": 1})
    assert capfd.readouterr().err == ""


def test_the_advice_on_a_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refusal = CliRunner().invoke(group, ["draw", "--out", str(tmp_path / "d"), "--port", str(port)])
        assert refusal.exit_code == 2 and "Address already in use; give another, or 0 for a free one" in refusal.output
        api.drawing_page(tmp_path / "d", port=0).server_close()
    api.drawing_page(tmp_path / "d", port=port).server_close()
