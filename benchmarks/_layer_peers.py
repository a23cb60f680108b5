"""The peers of recurrent_layers.py: each in an environment and a process of its own, taking orders
(_peer_service.py)."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from _layer_cases import Case

HOME = Path(__file__).resolve().parent.parent
FOLDER = HOME / ".peers"


class Installed(NamedTuple):
    """Where a peer lives below .peers, which script speaks for it, and what it needs."""

    folder: str
    script: str
    packages: tuple[str, ...]


KNOWN = {
    "flax": Installed("jax", "_flax_peer.py", ("jax==0.10.2", "jaxlib==0.10.2", "flax==0.12.8")),
    "onnx": Installed("onnx", "_onnx_peer.py", ("numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.31.1")),
    "keras": Installed("keras", "_keras_peer.py", ("keras==3.15.1", "jax==0.10.2", "jaxlib==0.10.2")),
}
TITLES = {"flax": "Flax", "onnx": "ONNX Runtime", "keras": "Keras"}


def install() -> None:
    """All of them; one that cannot be installed is named, and the next is tried."""
    for name, peer in KNOWN.items():
        home = FOLDER / peer.folder
        print(f"{TITLES[name]}: {', '.join(peer.packages)} into .peers/{peer.folder} ...", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            subprocess.run(
                [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *peer.packages], check=True
            )
        except subprocess.CalledProcessError as why:
            print(f"{TITLES[name]} could not be installed ({why}); it will be measured without")


class PeerEnded(Exception):
    """A peer's process is gone; `name` says whose."""

    def __init__(self, name: str, last_words: str):
        super().__init__(f"{TITLES[name]} ended: {last_words}")
        self.name = name


class Peer:
    """One process, waiting for orders; asleep while others are measured."""

    def __init__(self, name: str, threads: int, log: Path):
        self.name = name
        self._log = log
        known = KNOWN[name]
        python, script = FOLDER / known.folder / "bin" / "python", HOME / "benchmarks" / known.script
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(python), str(script), str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.versions: dict[str, str] = self._answer()

    def case(self, case: Case, numbers: Path) -> dict[str, float]:
        """Makes a row: the seconds of a call and what was computed, or nothing where this peer does not have it."""
        lengths = list(case.lengths)
        return self._order("case", {"cell": case.cell, "what": case.what, "lengths": lengths, "numbers": str(numbers)})

    def turn(self, calls: int) -> float:
        """Seconds a call."""
        return self._order("turn", calls)["seconds"]

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _order(self, *words: Any) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as gone:
            raise self._ended() from gone
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def _ended(self) -> PeerEnded:
        self.end()
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return PeerEnded(self.name, lines[-1] if lines else "it said nothing")


@contextlib.contextmanager
def started(names: list[str], threads: int, folder: Path) -> Iterator[dict[str, Peer]]:
    """Those of the peers that are installed and can be started; the others are named."""
    peers: dict[str, Peer] = {}
    try:
        for name in names:
            if not (FOLDER / KNOWN[name].folder / "bin" / "python").exists():
                print(f"{TITLES[name]} is not installed (--install-peers does it): measured without")
                continue
            try:
                peers[name] = Peer(name, threads, folder / f"{name}.log")
            except PeerEnded as why:
                print(f"{why}; measured without")
        yield peers
    finally:
        for peer in peers.values():
            peer.end()
