"""Compiles a FIDL library to C.

    main.py --out FOLDER [--using FILE.fidl]... FILE.fidl...

writes FOLDER/include/fidl/LIBRARY.h and FOLDER/LIBRARY.c. The files are one library; those under
--using, in the order of their dependence, are the libraries that it uses.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fidlgen import emit_header, emit_source  # noqa: E402
from fidlgen.model import FidlError, Library, Universe  # noqa: E402
from fidlgen.resolve import resolve  # noqa: E402
from fidlgen.syntax import parse  # noqa: E402


def files(universe: Universe, library: Library) -> dict[str, str]:
    """Path below the output folder -> contents."""
    return {
        f"include/fidl/{library.name}.h": emit_header.header(universe, library),
        f"{library.name}.c": emit_source.source(universe, library),
    }


# As in syscallgen; but the SDK carries this folder alone.
def write_if_changed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--using", type=Path, action="append", default=[])
    parser.add_argument("sources", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    universe = Universe()
    try:
        for path in options.using:
            resolve(universe, [parse(path.name, path.read_text())])
        library = resolve(universe, [parse(p.name, p.read_text()) for p in options.sources])
    except FidlError as error:
        print(f"fidlgen: {error}", file=sys.stderr)
        return 1
    for name, text in files(universe, library).items():
        write_if_changed(options.out / name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
