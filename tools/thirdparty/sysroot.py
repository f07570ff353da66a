"""Makes one C library of its two halves: a build step.

sysroot.py --output ARCHIVE MUSL SYSTEM
"""

import argparse
import subprocess
import sys
from pathlib import Path


def script(output: Path, archives: list[Path]) -> str:
    """What llvm-ar is told."""
    lines = [f"CREATE {output}", *(f"ADDLIB {path}" for path in archives), "SAVE", "END"]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("archives", nargs="+", type=Path)
    args = parser.parse_args(argv)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.unlink(missing_ok=True)
    text = script(args.output, args.archives)
    answer = subprocess.run(["llvm-ar-19", "-M"], input=text, text=True)
    return answer.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
