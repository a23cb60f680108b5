"""Fetching against a server on loopback that breaks, stalls, lies and attacks."""

import gzip
import hashlib
import http.server
import io
import os
import random
import socket
import stat
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ostinato.data.catalogue import BUILTIN, Entry, File
from ostinato.data.fetch import Connection, fetch, fetch_entry
from ostinato.errors import DataError

CONTENT = random.Random(7).randbytes(300_000)


@dataclass
class Server:
    """What the loopback server holds, how it answers the next requests, and what it was asked.

    Args:
        files: path below the server's root -> content.
        answers: one word for each coming request: `break:N`, `stall:N`, `status:N`, `whole` (Range ignored), `shifted`
            (a wrong range).
        ranges: the Range header of every request so far, "" where there was none.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kept: Server = self.server.kept
        asked = self.headers.get("Range", "")
        kept.ranges.append(asked)
        kept.paths.append(self.path)
        word, _, number = (kept.answers.pop(0) if kept.answers else "").partition(":")
        content = kept.files.get(self.path)
        if word == "status" or content is None:
            self.send_error(int(number or 404))
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and word != "whole" else 0
        if start >= len(content) > 0:
            self.send_error(416)
            return
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            first = start + 1 if word == "shifted" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: int(number)] if word in ("break", "stall") else rest)
        self.wfile.flush()
        if word == "stall":
            kept.released.wait(10)

    def log_message(self, *words: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    loopback = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    loopback.kept = Server(f"http://127.0.0.1:{loopback.server_address[1]}")
    thread = threading.Thread(target=loopback.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield loopback.kept
    loopback.kept.released.set()
    loopback.shutdown()
    thread.join()
    loopback.server_close()


def patient(server: Server) -> Connection:
    return Connection(base=server.address, timeout_seconds=0.2, tries=3, pause_seconds=0.001)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def plain(name: str = "a.txt", content: bytes = CONTENT) -> File:
    return File(name, len(content), sha256(content), path=f"data/{name}")


def entry(*files: File) -> Entry:
    return Entry("toy-set", "a test", "MIT", True, "", "owner/name", "abc1234", False, files)


def held(server: Server, name: str = "a.txt", content: bytes = CONTENT) -> None:
    server.files[f"/owner/name/abc1234/data/{name}"] = content


def lying(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_several_files_come_whole_and_are_told_of(server, tmp_path):
    held(server)
    held(server, "b c.txt", b"second")
    server.files["/owner/name/abc1234/data/b%20c.txt"] = b"second"
    told = []
    folder = fetch_entry(
        entry(plain(), plain("b c.txt", b"second")),
        tmp_path,
        connection=patient(server),
        progress=lambda name, done, whole: told.append((name, done, whole)),
    )
    assert folder == tmp_path / "toy-set"
    assert (folder / "a.txt").read_bytes() == CONTENT and (folder / "b c.txt").read_bytes() == b"second"
    assert lying(folder) == ["a.txt", "b c.txt"]
    assert ("a.txt", 300_000, 300_000) in told and told[-1] == ("b c.txt", 6, 6)


def test_nothing_is_asked_for_what_is_there(server, tmp_path):
    held(server)
    fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    server.ranges.clear()
    fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert server.ranges == []


def test_a_broken_connection_goes_on_where_it_broke(server, tmp_path):
    held(server)
    server.answers = ["break:100000", "break:50000"]
    folder = fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert (folder / "a.txt").read_bytes() == CONTENT
    assert server.ranges == ["", "bytes=100000-", "bytes=150000-"]


def test_a_later_call_goes_on_from_the_part_that_an_earlier_one_kept(server, tmp_path):
    held(server)
    server.answers = ["break:100000", "status:503", "status:503", "status:503"]
    with pytest.raises(DataError, match="503.*100000 bytes are kept in .*a.txt.part.*the download resumes there"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert lying(tmp_path / "toy-set") == ["a.txt.part"]
    folder = fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert server.ranges[-1] == "bytes=100000-"
    assert (folder / "a.txt").read_bytes() == CONTENT and lying(folder) == ["a.txt"]


def test_a_server_that_ignores_ranges_is_read_from_the_start(server, tmp_path):
    held(server)
    server.answers = ["break:100000", "whole"]
    folder = fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert server.ranges == ["", "bytes=100000-"]
    assert (folder / "a.txt").read_bytes() == CONTENT


def test_a_server_that_sends_another_range_is_not_believed(server, tmp_path):
    held(server)
    server.answers = ["break:100000", "shifted"]
    folder = fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert server.ranges == ["", "bytes=100000-", ""]
    assert (folder / "a.txt").read_bytes() == CONTENT


def test_a_stalling_server_times_out_and_loses_nothing(server, tmp_path):
    held(server)
    server.answers = ["stall:100000"]
    folder = fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert server.ranges == ["", "bytes=100000-"]
    assert (folder / "a.txt").read_bytes() == CONTENT


def test_a_server_that_never_answers_is_given_up(server, tmp_path):
    held(server)
    server.answers = ["stall:0", "stall:0", "stall:0"]
    began = time.monotonic()
    with pytest.raises(DataError, match="timed out, 3 times in a row"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert time.monotonic() - began < 5 and len(server.ranges) == 3


def test_no_server_at_all_is_an_error_of_data(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = Connection(base=f"http://127.0.0.1:{taken.getsockname()[1]}", tries=2, pause_seconds=0.001)
        with pytest.raises(DataError, match="refused, 2 times in a row"):
            fetch_entry(entry(plain()), tmp_path, connection=nobody)


def test_a_truncated_original_is_refused(server, tmp_path):
    held(server, content=CONTENT[:1000])
    with pytest.raises(DataError, match="has 1000 bytes, the catalogue knows 300000"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert lying(tmp_path / "toy-set") == []


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    held(server, content=CONTENT[:-1] + b"!")
    with pytest.raises(DataError, match="not what the catalogue knows.*thrown away; fetch again"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert lying(tmp_path / "toy-set") == [] and len(server.ranges) == 1


@pytest.mark.parametrize("left", [b"?" * 1000, b"?" * 300_000, b"?" * 400_000])
def test_a_foreign_part_is_found_out_and_fetched_anew(server, tmp_path, left):
    held(server)
    (tmp_path / "toy-set").mkdir()
    (tmp_path / "toy-set" / "a.txt.part").write_bytes(left)
    folder = fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert (folder / "a.txt").read_bytes() == CONTENT and lying(folder) == ["a.txt"]
    assert server.ranges[-1] == ""


def test_a_missing_file_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(DataError, match="/owner/name/abc1234/data/a.txt answers 404 .*in a browser"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert len(server.ranges) == 1


def test_the_files_before_a_failure_stay(server, tmp_path):
    held(server)
    with pytest.raises(DataError, match="404"):
        fetch_entry(entry(plain(), plain("z.txt", b"gone")), tmp_path, connection=patient(server))
    assert lying(tmp_path / "toy-set") == ["a.txt"]


def test_an_original_is_checked_and_then_kept_gzipped(server, tmp_path):
    held(server)
    kept = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=kept, mtime=0) as file:
        file.write(CONTENT)
    stored = kept.getvalue()
    file = File("a.txt.gz", len(stored), sha256(stored), "data/a.txt", "gz", len(CONTENT), sha256(CONTENT))
    folder = fetch_entry(entry(file), tmp_path, connection=patient(server))
    assert lying(folder) == ["a.txt.gz"] and (folder / "a.txt.gz").read_bytes() == stored


def test_the_same_content_packed_by_another_zlib_is_the_same_file(server, tmp_path):
    held(server)
    file = File("a.txt.gz", 1, sha256(b"other bytes"), "data/a.txt", "gz", len(CONTENT), sha256(CONTENT))
    fetch_entry(entry(file), tmp_path, connection=patient(server))
    fetch_entry(entry(file), tmp_path, connection=patient(server))
    assert len(server.ranges) == 1


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_file_of_the_user_is_never_overwritten(server, tmp_path, name):
    held(server)
    file = replace(plain(), name=name, store="gz" if name.endswith(".gz") else "")
    (tmp_path / "toy-set").mkdir()
    (tmp_path / "toy-set" / name).write_bytes(b"mine")
    with pytest.raises(DataError, match="is there but is not the catalogue's.*move it away"):
        fetch_entry(entry(file), tmp_path, connection=patient(server))
    assert (tmp_path / "toy-set" / name).read_bytes() == b"mine" and server.ranges == []


def packed(kind: str, members: dict[str, bytes], link: str = "") -> bytes:
    target = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
            if link:
                info = zipfile.ZipInfo(link)
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, "/etc/passwd")
        return target.getvalue()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return target.getvalue()


def member(kind: str, name: str, content: bytes) -> File:
    return File(name, len(content), sha256(content), path="data/all.pack", archive=kind, member=f"inside/{name}")


KINDS = pytest.mark.parametrize("kind", ["zip", "tar"])


@KINDS
def test_the_members_of_an_archive_come_with_one_download(server, tmp_path, kind):
    held(
        server,
        "all.pack",
        packed(kind, {"inside/a.txt": CONTENT, "inside/b.txt": b"second", "inside/more.txt": b"unlisted"}),
    )
    server.answers = ["break:1000"]
    files = [member(kind, "a.txt", CONTENT), member(kind, "b.txt", b"second")]
    folder = fetch_entry(entry(*files), tmp_path, connection=patient(server))
    assert lying(folder) == ["a.txt", "b.txt"] and (folder / "a.txt").read_bytes() == CONTENT
    assert server.ranges == ["", "bytes=1000-"]


@KINDS
@pytest.mark.parametrize(
    "bad", ["../evil.txt", "inside/../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "C:\\evil.txt"]
)
def test_an_archive_that_leaves_its_folder_is_refused_whole(server, tmp_path, kind, bad):
    root = tmp_path / "root"
    held(server, "all.pack", packed(kind, {"inside/a.txt": CONTENT, bad: b"evil"}))
    with pytest.raises(DataError, match="a path that leaves its folder; nothing was unpacked"):
        fetch_entry(entry(member(kind, "a.txt", CONTENT)), root, connection=patient(server))
    assert [path.name for path in tmp_path.rglob("*")] == ["root", "toy-set"]


@KINDS
def test_an_archive_with_a_link_is_refused_whole(server, tmp_path, kind):
    held(server, "all.pack", packed(kind, {"inside/a.txt": CONTENT}, link="inside/passwords"))
    with pytest.raises(DataError, match="a link or a device"):
        fetch_entry(entry(member(kind, "a.txt", CONTENT)), tmp_path, connection=patient(server))
    assert lying(tmp_path / "toy-set") == []


@KINDS
def test_a_member_larger_than_the_catalogue_says_is_not_unpacked_to_its_end(server, tmp_path, kind):
    held(server, "all.pack", packed(kind, {"inside/a.txt": bytes(50_000_000)}))
    with pytest.raises(DataError, match=r"it has at least 3\d{5} bytes"):
        fetch_entry(entry(member(kind, "a.txt", CONTENT)), tmp_path, connection=patient(server))
    assert lying(tmp_path / "toy-set") == []


@KINDS
def test_a_member_that_is_not_there_is_named(server, tmp_path, kind):
    held(server, "all.pack", packed(kind, {"inside/other.txt": CONTENT}))
    with pytest.raises(DataError, match="holds no member 'inside/a.txt'"):
        fetch_entry(entry(member(kind, "a.txt", CONTENT)), tmp_path, connection=patient(server))


@KINDS
def test_a_damaged_archive_is_thrown_away(server, tmp_path, kind):
    held(server, "all.pack", packed(kind, {"inside/a.txt": CONTENT})[:-2000])
    with pytest.raises(DataError, match="is a damaged"):
        fetch_entry(entry(member(kind, "a.txt", CONTENT)), tmp_path, connection=patient(server))
    assert lying(tmp_path / "toy-set") == []


@KINDS
def test_a_foreign_part_of_an_archive_is_found_out_and_fetched_anew(server, tmp_path, kind):
    held(server, "all.pack", packed(kind, {"inside/a.txt": CONTENT}))
    (tmp_path / "toy-set").mkdir()
    (tmp_path / "toy-set" / "all.pack.part").write_bytes(b"?" * 1000)
    folder = fetch_entry(entry(member(kind, "a.txt", CONTENT)), tmp_path, connection=patient(server))
    assert (folder / "a.txt").read_bytes() == CONTENT and lying(folder) == ["a.txt"]
    assert server.ranges == ["bytes=1000-", ""]


def test_a_set_without_a_free_licence_is_refused_with_the_reason_and_the_way(tmp_path):
    with pytest.raises(DataError, match=r"restricted owner: the text belongs to Reuters.*glample/tagger.*eng.testa.gz"):
        fetch("conll2003-english-ner", tmp_path)


def test_the_built_in_set_is_where_the_package_is(tmp_path):
    assert fetch("dates", tmp_path) == BUILTIN and lying(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_root_is_an_error_of_data(server, tmp_path):
    held(server)
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot use .*ermission denied"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))


def test_a_root_that_is_a_file_is_an_error_of_data(server, tmp_path):
    held(server)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot use .*file"):
        fetch_entry(entry(plain()), tmp_path / "file", connection=patient(server))


def test_what_the_advice_asks_for_lets_the_next_try_succeed(server, tmp_path):
    held(server)
    folder = tmp_path / "toy-set"
    folder.mkdir()
    (folder / "a.txt").write_text("mine")
    with pytest.raises(DataError, match="is there but is not the catalogue's a.txt; move it away, then fetch again"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    (folder / "a.txt").rename(tmp_path / "mine.txt")
    server.answers += ["break:1000", "status:503", "status:503"]
    with pytest.raises(DataError, match="look at the connection and fetch again, the download resumes there"):
        fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    server.ranges.clear()
    fetch_entry(entry(plain()), tmp_path, connection=patient(server))
    assert server.ranges == ["bytes=1000-"] and (folder / "a.txt").read_bytes() == CONTENT
    with pytest.raises(DataError, match="make room or choose another root, then fetch again"):
        fetch_entry(entry(plain()), tmp_path / "mine.txt", connection=patient(server))
    fetch_entry(entry(plain()), tmp_path / "other", connection=patient(server))


def test_a_file_that_is_put_where_the_advice_says_is_taken(server, tmp_path):
    gone, closed = entry(plain()), replace(entry(plain()), free=False, reason="a contract")
    for set_, advice in (
        (gone, "if the address opens in a browser, put the file into the folder yourself"),
        (closed, "if you may use it, get it from .* and put a.txt into .*toy-set"),
    ):
        with pytest.raises(DataError, match=advice):
            fetch_entry(set_, tmp_path / set_.reason, connection=patient(server))
        folder = tmp_path / set_.reason / "toy-set"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.txt").write_bytes(CONTENT)
        assert fetch_entry(set_, tmp_path / set_.reason, connection=patient(server)) == folder
