"""Cuts marker lines out of what the guest writes (the contract is tests/README.md).

A marker is 0x1e, `[word]`, fields, newline. Everything else is text and is passed through unchanged,
byte by byte, as soon as it is known not to belong to a marker.
"""

from typing import NamedTuple

_START = b"\x1e"
# A marker that goes on for longer is text that happened to contain 0x1e.
_MAX_LENGTH = 1024


class Marker(NamedTuple):
    """One marker: `word` of `[word]`, and the rest of its line."""

    word: str
    rest: str

    def fields(self, count: int) -> list[str]:
        """The first `count` fields, the last of them running to the end; missing ones are empty."""
        parts = self.rest.split(" ", count - 1)
        return parts + [""] * (count - len(parts))


def in_words(marker: Marker) -> str:
    """What a marker says to whoever reads the console, a panic apart; nothing: it is the runner's."""
    return marker.rest if marker.word in ("test", "tests", "bench", "value") else ""


class MarkerParser:
    """Fed with bytes in pieces of any size; gives back text and markers in their order."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes | Marker]:
        items: list[bytes | Marker] = []
        self._pending += data
        while self._pending:
            start = self._pending.find(_START)
            if start != 0:
                text = self._pending if start < 0 else self._pending[:start]
                _append_text(items, text)
                self._pending = self._pending[len(text) :]
                continue
            end = self._pending.find(b"\n")
            if end < 0 and len(self._pending) <= _MAX_LENGTH:
                break
            marker = _parse(self._pending[:end]) if 0 <= end <= _MAX_LENGTH else None
            if marker is None:
                _append_text(items, _START)
                self._pending = self._pending[1:]
            else:
                items.append(marker)
                self._pending = self._pending[end + 1 :]
        return items

    def finish(self) -> list[bytes | Marker]:
        """At the end of the stream: an unfinished marker is text after all."""
        rest, self._pending = self._pending, b""
        return [rest] if rest else []


def _append_text(items: list[bytes | Marker], text: bytes) -> None:
    last = items[-1] if items else None
    if isinstance(last, bytes):
        items[-1] = last + text
    else:
        items.append(text)


def _parse(line: bytes) -> Marker | None:
    text = line[1:].rstrip(b"\r").decode("utf-8", "replace")
    if not text.startswith("["):
        return None
    word, bracket, rest = text[1:].partition("]")
    if not bracket or not word.isalpha():
        return None
    return Marker(word, rest.strip(" "))
