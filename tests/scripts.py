"""Scripts of the repository as modules."""

import importlib.util
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]


def script(path):
    """The module that a script makes, such as benchmarks/tunes.py; it is not entered in sys.modules."""
    spec = importlib.util.spec_from_file_location(f"script_{Path(path).stem}", HOME / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
