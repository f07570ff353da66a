#!/usr/bin/env python3
"""Writes a file of names for the test of the library that reads it, and what the answers are.

    sample.py --out-dir FOLDER      FOLDER/symbols, FOLDER/answers: lines BUILD_ID OFFSET NAME+INTO, or -
"""

import argparse
import random
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from symbols import symbol_file
from symbols.elf_symbols import Module


def modules() -> list[Module]:
    """Always the same: names that begin alike, long ones, gaps, functions anywhere and at multiples of 16."""
    draw = random.Random(1)
    words = ["open", "close", "zx_channel", "read", "_", "a" * 250]
    names = sorted({"_".join(draw.choices(words, k=draw.randint(1, 3)))[:255] for _ in range(150)})
    made = []
    for _ in range(7):
        at, functions = 0x1000, []
        for _ in range(draw.randint(1, 200)):
            at += draw.choice((1, 7, 16, 32, 144, 4096, 70_000))
            functions.append((at, draw.choice(names) if draw.random() < 0.9 else ""))
        functions.append((at + 8, ""))
        made.append(Module(draw.randbytes(20), functions))
    return made


def answers(module: Module) -> list[str]:
    """At, before and behind every beginning."""
    build_id = int.from_bytes(module.build_id[:8], "little")
    lines = []
    for index, (start, name) in enumerate(module.functions):
        end = module.functions[index + 1][0] if index + 1 < len(module.functions) else start + 100
        for offset in {start, end - 1}:
            lines.append(f"{build_id:x} {offset:x} " + (f"{name}+{offset - start:x}" if name else "-"))
    lines.append(f"{build_id:x} {module.functions[0][0] - 1:x} -")
    lines.append(f"{build_id ^ 1:x} {module.functions[0][0]:x} -")
    return lines


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="write a sample of the file of names")
    parser.add_argument("--out-dir", type=Path, required=True)
    args = parser.parse_args(argv)
    made = modules()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    (args.out_dir / "symbols").write_bytes(symbol_file.write(made))
    lines = [line for module in made for line in answers(module)]
    (args.out_dir / "answers").write_text("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
