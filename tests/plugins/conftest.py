"""The package of plug-ins is installed for the tests of this folder: its metadata in a folder on the path, as an installer writes it."""

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


@pytest.fixture(scope="package", autouse=True)
def installed(tmp_path_factory):
    """`pip install --editable tests/plugins`, and `pip uninstall` at the end."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path_factory.mktemp("site")
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in members.items())
        for group, members in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(points))
    added = [str(site), str(HERE)]
    sys.path[:0] = added
    importlib.invalidate_caches()
    forget()
    yield
    for path in added:
        sys.path.remove(path)
    importlib.invalidate_caches()
    forget()
