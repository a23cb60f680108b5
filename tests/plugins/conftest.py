"""The package of plug-ins is installed for the tests of this folder: its metadata in a folder on the path, as an
installer writes it."""

import contextlib
import importlib
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def forget():
    """Empties every cache that was made from the members of rooms."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "ostinato":
            for value in list(vars(module).values()):
                if callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()


def write_metadata(site, name, points):
    """A package's metadata as an installer writes them; `points`: group -> member -> module."""
    metadata = site / f"{name}-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    groups = (
        f"[{group}]\n" + "".join(f"{member} = {module}\n" for member, module in members.items())
        for group, members in points.items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(groups))


@contextlib.contextmanager
def on_the_path(*folders):
    """Packages in these folders are found, members of rooms among them; afterwards they are not."""
    added = [str(folder) for folder in folders]
    sys.path[:0] = added
    importlib.invalidate_caches()
    forget()
    yield
    for folder in added:
        sys.path.remove(folder)
    importlib.invalidate_caches()
    forget()


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """`pip install --editable tests/plugins`, and `pip uninstall` at the end."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path_factory.mktemp("site")
    write_metadata(site, "ostinato_plugins", project["entry-points"])
    with on_the_path(site, HERE):
        yield
