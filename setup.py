"""The native kernels: built with the package where a compiler is found, left out where none is."""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

COMMON = ["-O3", "-std=c++17", "-fvisibility=hidden", "-ffp-contract=fast", "-Wno-psabi", "-pthread"]
X86 = {"avx512": ["-mavx512f", "-mavx512dq", "-mfma"], "avx2": ["-mavx2", "-mfma"]}
SETS = {"x86_64": X86, "amd64": X86, "aarch64": {"neon": []}, "arm64": {"neon": []}}
NOTE = "_native_build_error.txt"
"""Written beside the package where the library could not be built, for `ostinato doctor`."""


class Build(build_ext):
    """One object per instruction set, each with its own flags; a set that does not compile is left out, the rest is built."""

    def get_export_symbols(self, ext):
        return []

    def get_ext_filename(self, name):
        return str(Path(*name.split("."))) + ".so"

    def build_extension(self, ext):
        library = Path(self.get_ext_fullpath(ext.name))
        note = library.with_name(NOTE)
        note.unlink(missing_ok=True)
        try:
            self.build_library(ext, library)
        except Exception as why:
            # Whatever is wrong with a compiler, the package works without it: setuptools' `optional` goes on from here.
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{type(why).__name__}: {why}\n", encoding="utf-8")
            library.unlink(missing_ok=True)
            raise

    def build_library(self, ext, library):
        compiled, defined = [], []
        compile_one = lambda source, flags: self.compiler.compile(  # noqa: E731
            [source], output_dir=self.build_temp, extra_postargs=[*COMMON, *flags], depends=ext.depends
        )
        for name, flags in SETS.get(platform.machine().lower(), {}).items():
            try:
                compiled += compile_one(f"native/{name}.cpp", flags)
                defined.append(f"-DOSTINATO_{name.upper()}")
            except Exception as why:
                print(f"native kernels: {name} is left out: {why}")
        for name in ("plain", "threads"):
            compiled += compile_one(f"native/{name}.cpp", [])
        compiled += compile_one("native/boundary.cpp", defined)
        library.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(compiled, str(library), extra_postargs=["-pthread"], target_lang="c++")


setup(
    ext_modules=[
        Extension(
            "ostinato.kernels._native",
            sources=sorted(str(path) for path in Path("native").glob("*.cpp")),
            depends=sorted(str(path) for path in Path("native").glob("*.h")),
            optional=True,
        )
    ],
    cmdclass={"build_ext": Build},
)
