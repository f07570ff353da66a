"""The public headers below <zircon/> and <jacinth/> compile alone, without a warning, in every dialect that programs use."""

import os
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jx.tree import ROOT
from syscallgen.emit_user import header, numbers
from syscallgen.main import write_if_changed
from syscallgen.parser import parse

_DEFS = ROOT / "syscall" / "defs"
_FOLDERS = tuple(
    ROOT / "sdk" / name / "include" for name in ("abi", "lib/status", "lib/crt0"))
_DIALECTS = ("c99", "c11", "c17", "c23", "c++17")
_FLAGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only")


class DialectsTest(unittest.TestCase):
    def test_every_header_in_every_dialect(self) -> None:
        with tempfile.TemporaryDirectory() as generated:
            interface = parse(
                _DEFS / "types.def", [p for p in _DEFS.glob("*.def") if p.name != "types.def"])
            write_if_changed(Path(generated) / "zircon/syscalls.h", header(interface))
            write_if_changed(Path(generated) / "zircon/syscall_numbers.h", numbers(interface))
            folders = (*_FOLDERS, Path(generated))
            # Other folders hold what parts of the system tell each other.
            headers = [str(path.relative_to(folder)) for folder in folders
                       for name in ("zircon", "jacinth")
                       for path in sorted((folder / name).rglob("*.h"))]
            self.assertIn("zircon/syscalls.h", headers)
            self.assertGreater(len(headers), 20)
            jobs = [(name, dialect) for name in headers for dialect in _DIALECTS]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                faults = pool.map(lambda job: _compile(folders, *job), jobs)
            self.assertEqual("\n".join(filter(None, faults)), "")


def _compile(folders: tuple[Path, ...], name: str, dialect: str) -> str:
    """What the compiler says about a file that includes the header twice and nothing else."""
    language = "c++" if dialect.startswith("c++") else "c"
    command = ["clang-19", "-x", language, f"-std={dialect}", *_FLAGS]
    command += [f"-I{folder}" for folder in folders]
    # No C++ library is needed, nor installed with the compiler.
    command += ["-nostdinc++"] if language == "c++" else []
    source = f"#include <{name}>\n#include <{name}>\nextern int nothing;\n"
    answer = subprocess.run([*command, "-"], input=source, capture_output=True, text=True)
    return "" if answer.returncode == 0 else f"{dialect} {name}: {answer.stderr[:400]}"


if __name__ == "__main__":
    unittest.main()
