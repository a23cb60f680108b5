"""The native kernels: built with the package where a compiler is found, left out where none is."""

import hashlib
import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

COMMON = ["-O3", "-std=c++17", "-fvisibility=hidden", "-ffp-contract=fast", "-Wno-psabi", "-pthread"]
AVX512 = ["-mavx512f", "-mavx512dq", "-mfma"]
BF16 = [*AVX512, "-mavx512bw", "-mavx512bf16"]
X86 = {
    "amxbf16": [*BF16, "-mamx-tile", "-mamx-bf16"],
    "avx512bf16": BF16,
    "avx512": AVX512,
    "avx2": ["-mavx2", "-mfma"],
}
SETS = {"x86_64": X86, "amd64": X86, "aarch64": {"neon": []}, "arm64": {"neon": []}}
NOTE = "_native_build_error.txt"
"""Written beside the package where the library could not be built, for `ostinato doctor`."""

PARTS = ["threads", *sorted(path.stem for path in Path("native").glob("boundary_*.cpp"))]
"""Files of the library that are the same for every instruction set; so is boundary.cpp, which is told of the sets."""

OBJECTS = Path("build", "native")
"""Compiled files, named after the hash of their sources: an installation and a wheel compile once."""


class Build(build_ext):
    """One object per instruction set, each with its own flags; a set that does not compile is left out."""

    def get_export_symbols(self, ext):
        return []

    def get_ext_filename(self, name):
        return str(Path(*name.split("."))) + ".so"

    def build_extension(self, ext):
        library = Path(self.get_ext_fullpath(ext.name))
        note = library.with_name(NOTE)
        note.unlink(missing_ok=True)
        library.unlink(missing_ok=True)
        library.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.build_library(ext, library)
        except Exception as why:
            # Whatever is wrong with a compiler, the package works without it: setuptools' `optional` goes on from here.
            note.write_text(f"{type(why).__name__}: {why}\n", encoding="utf-8")
            raise CompileError(str(why)) from why

    def copy_extensions_to_source(self):
        # An editable installation is read from the source: nothing of an earlier build may stay there.
        (ext,) = self.extensions
        built, source = Path(self.build_lib), Path(self.get_finalized_command("build_py").get_package_dir(""))
        library = Path(self.get_ext_filename(ext.name))
        for name in (library, library.with_name(NOTE)):
            (source / name).unlink(missing_ok=True)
            if (built / name).exists():
                self.copy_file(str(built / name), str(source / name))

    def build_library(self, ext, library):
        sets = SETS.get(platform.machine().lower(), {})
        with ThreadPoolExecutor() as pool:
            pending = {
                name: pool.submit(self.compiled, ext, name, flags)
                for name, flags in {**dict.fromkeys(["plain", *PARTS], []), **sets}.items()
            }
        objects, defined = [], []
        for name, one in pending.items():
            try:
                objects.append(one.result())
            except Exception as why:
                if name not in sets:
                    raise
                print(f"native kernels: {name} is left out: {why}")
            else:
                defined += [f"-DOSTINATO_{name.upper()}"] if name in sets else []
        objects.append(self.compiled(ext, "boundary", defined))
        self.compiler.link_shared_object(objects, str(library), extra_postargs=["-pthread"], target_lang="c++")

    def compiled(self, ext, name, flags):
        """The object of native/{name}.cpp: one that was made from the same files by the same compiler, or a new one."""
        source, flags = f"native/{name}.cpp", [*COMMON, *flags]
        command = self.compiler.compiler_so_cxx
        version = subprocess.run([*command, "--version"], capture_output=True, check=True).stdout
        made_from = [
            " ".join([*command, *flags]).encode(),
            version,
            *(Path(one).read_bytes() for one in (source, *ext.depends)),
        ]
        kept = OBJECTS / f"{name}-{hashlib.sha256(b'|'.join(made_from)).hexdigest()[:16]}.o"
        if not kept.exists():
            (made,) = self.compiler.compile([source], output_dir=self.build_temp, extra_postargs=flags)
            OBJECTS.mkdir(parents=True, exist_ok=True)
            for old in OBJECTS.glob(f"{name}-*.o"):
                old.unlink(missing_ok=True)
            part = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(made, part)
            os.replace(part, kept)
        return str(kept)


class Wheel(bdist_wheel):
    """One wheel for every Python: the library is plain C, and depends on the platform alone."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "ostinato.kernels._native",
            sources=sorted(str(path) for path in Path("native").glob("*.cpp")),
            depends=sorted(str(path) for path in Path("native").glob("*.h")),
            optional=True,
        )
    ],
    cmdclass={"build_ext": Build, "bdist_wheel": Wheel},
)
