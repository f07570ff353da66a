"""Puts functions, files and lines in the place of `{{{bt:...}}}` in a panic or crash report."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

_BIAS = re.compile(r"\{\{\{bias:0x([0-9a-fA-F]+)\}\}\}")
_FRAME = re.compile(r"\{\{\{bt:(\d+):0x([0-9a-fA-F]+)(?::([^}:]+))?\}\}\}")
_SYMBOLIZER = "llvm-symbolizer-19"

# Answers "what is at this link-time address of this file" with one line per inlined function.
Lookup = Callable[[Path, int], list[str]]


def llvm_lookup(image: Path, address: int) -> list[str]:
    """Asks llvm-symbolizer; an empty list if it is not there or knows nothing."""
    command = [_SYMBOLIZER, f"--obj={image}", "--output-style=GNU", "--pretty-print", hex(address)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    return [] if lines[:1] == ["?? at ??:0"] else lines


class Symbolizer:
    """Rewrites a report line by line. It remembers the bias; lines before that keep their address."""

    def __init__(
        self, kernel: Path, programs: Path, lookup: Lookup = llvm_lookup
    ) -> None:
        self._kernel = kernel
        self._programs = programs
        self._lookup = lookup
        self._bias: int | None = None

    def line(self, text: str) -> str:
        bias = _BIAS.search(text)
        if bias is not None:
            self._bias = int(bias.group(1), 16)
        return _FRAME.sub(self._frame, text)

    def report(self, text: str) -> str:
        """A whole report. The bias may stand anywhere in it."""
        bias = _BIAS.search(text)
        if bias is not None:
            self._bias = int(bias.group(1), 16)
        return "".join(self.line(line) for line in text.splitlines(keepends=True))

    def _program(self, path: str) -> Path:
        """The file of a program in bootfs: test/NAME keeps its folder, bin/NAME does not."""
        folder = "test/" if Path(path).parent.name == "test" else ""
        return self._programs / (folder + Path(path).name)

    def _frame(self, match: re.Match[str]) -> str:
        index, address, program = int(match.group(1)), int(match.group(2), 16), match.group(3)
        shown = f"#{index:<2} 0x{address:016x}"
        if program is not None:
            image, link_address = self._program(program), address
            shown += f" ({program})"
        elif self._bias is not None:
            image, link_address = self._kernel, (address - self._bias) % 2**64
        else:
            return shown
        # A return address may be the first of the next line, or function: look at the call.
        if index > 0 and link_address > 0:
            link_address -= 1
        places = self._lookup(image, link_address) if image.is_file() else []
        return "\n    ".join([f"{shown} {places[0]}", *places[1:]]) if places else shown
