"""Splits a .fidl file into words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fidlgen.model import FidlError

_TOKEN = re.compile(
    r"""(?P<doc>///[^\n]*) | (?P<comment>//[^\n]*) | (?P<space>\s+)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<number>-?(?:0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*(?:\.[0-9]+)?))
      | (?P<name>@?[A-Za-z][A-Za-z0-9_]*) | (?P<symbol>->|[{}()<>\[\]:;,.=|])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    kind: str  # doc, string, number, name, symbol, end
    text: str
    where: str


def tokens(name: str, text: str) -> list[Token]:
    found = []
    at = 0
    line = 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        where = f"{name}:{line}"
        if match is None:
            raise FidlError(f"{where}: not understood: {text[at:at + 20]!r}")
        if match.lastgroup not in ("space", "comment"):
            found.append(Token(str(match.lastgroup), match.group(), where))
        line += match.group().count("\n")
        at = match.end()
    return found + [Token("end", "", f"{name}:{line}")]
