"""Makes everything that follows from the system call definitions.

    main.py --types types.def --out FOLDER group.def...

writes into FOLDER: include/zircon/{syscalls,syscall_numbers}.h, include/syscall/impl.h,
vdso/{stubs.S,internal.h}, kernel/{wrappers.c,model.c}, tests/{entry_points.c,matrix.inc},
docs/{index,GROUP...}.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from syscallgen import emit_docs, emit_kernel, emit_tables, emit_user, emit_vdso  # noqa: E402
from syscallgen.model import DefinitionError, Interface  # noqa: E402
from syscallgen.parser import parse  # noqa: E402


def files(interface: Interface) -> dict[str, str]:
    """Path below the output folder -> contents."""
    out = {
        "include/zircon/syscalls.h": emit_user.header(interface),
        "include/zircon/syscall_numbers.h": emit_user.numbers(interface),
        "include/syscall/impl.h": emit_kernel.implementations(interface),
        "vdso/internal.h": emit_user.vdso_internal(interface),
        "vdso/stubs.S": emit_vdso.stubs(interface),
        "kernel/wrappers.c": emit_kernel.wrappers(interface),
        "kernel/model.c": emit_tables.model(interface),
        "tests/entry_points.c": emit_tables.entry_points(interface),
        "tests/matrix.inc": emit_tables.matrix(interface),
        "docs/index.md": emit_docs.index(interface),
    }
    for group in interface.groups:
        out[f"docs/{group.name}.md"] = emit_docs.page(group)
    return out


def write_if_changed(path: Path, text: str) -> None:
    """Leaves the time stamp alone when nothing changed: what depends on it is not rebuilt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("groups", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    try:
        interface = parse(options.types, options.groups)
    except DefinitionError as error:
        print(f"syscallgen: {error}", file=sys.stderr)
        return 1
    for name, text in files(interface).items():
        write_if_changed(options.out / name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
