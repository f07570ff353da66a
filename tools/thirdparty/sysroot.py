"""Makes one C library of its two halves: a build step.

sysroot.py --output ARCHIVE MUSL SYSTEM

The names of the system layer are ours, and a program may use the same: so they are changed, in both
halves, to names that are reserved for the implementation (`fd_close` becomes `__jx_fd_close`).
"""

import argparse
import subprocess
import sys
from pathlib import Path

_PREFIX = "__jx_"
# Reserved already, or what programs call (<zircon/process.h>).
_KEPT = ("__", "zx_")
# Functions of the system layer that programs call: of the standard, and of <jacinth/namespace.h>.
_PUBLIC = {"vfork", "jacinth_connect", "jacinth_fd_get_vmo", "jacinth_open_executable"}


def renamed(system: set[str], musl: set[str]) -> dict[str, str]:
    """The global names that the system layer defines -> what they become."""
    return {
        name: _PREFIX + name
        for name in sorted(system - musl - _PUBLIC)
        if not name.startswith(_KEPT)
    }


def script(output: Path, archives: list[Path]) -> str:
    """What llvm-ar is told."""
    lines = [f"CREATE {output}", *(f"ADDLIB {path}" for path in archives), "SAVE", "END"]
    return "\n".join(lines) + "\n"


def _defined(archive: Path) -> set[str]:
    command = ["llvm-nm-19", "--defined-only", "-g", "--no-sort", "-j", str(archive)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Members are announced by `NAME.o:`.
    return {line for line in listing.splitlines() if line and not line.endswith(":")}


def _rename(archive: Path, into: Path, table: Path) -> None:
    subprocess.run(
        ["llvm-objcopy-19", f"--redefine-syms={table}", str(archive), str(into)], check=True
    )


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("musl", type=Path)
    parser.add_argument("system", type=Path)
    args = parser.parse_args(argv)
    output: Path = args.output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    table = output.with_suffix(".names")
    names = renamed(_defined(args.system), _defined(args.musl))
    table.write_text("".join(f"{old} {new}\n" for old, new in names.items()))
    halves = []
    for archive in (args.musl, args.system):
        half = output.with_suffix(f".{archive.stem}.a")
        _rename(archive, half, table)
        halves.append(half)
    answer = subprocess.run(["llvm-ar-19", "-M"], input=script(output, halves), text=True)
    for path in (*halves, table):
        path.unlink()
    return answer.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
