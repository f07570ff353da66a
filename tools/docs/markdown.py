"""What a Markdown page links to and what can be linked to in it.

Not a parser: it knows fenced and indented code, code spans, `#` headings, inline links and link
definitions, which is what the tree's pages consist of. Needs nothing but Python, so that the links
can be checked without a package; the site itself is made by a real parser (render.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_INLINE = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s+\".*\")?\s*$", re.MULTILINE)
_LINK_TEXT = re.compile(r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\([^)]*\)")


@dataclass(frozen=True)
class Link:
    line: int
    target: str


def without_code_blocks(text: str) -> str:
    """The same number of lines; those of code blocks are empty."""
    lines: list[str] = []
    fence, blank, indented = "", True, False
    for line in text.splitlines():
        match = _FENCE.match(line)
        if fence:
            closes = match is not None and match.group(1).startswith(fence)
            if closes and not line.strip().strip(fence[0]):
                fence = ""
            line = ""
        elif match is not None:
            fence, line = match.group(1), ""
        elif line.startswith(("    ", "\t")) and line.strip() and (blank or indented):
            indented, blank, line = True, False, ""
            lines.append(line)
            continue
        indented = indented and not line.strip()
        blank = not line.strip()
        lines.append(line)
    return "\n".join(lines)


def _hidden(match: re.Match[str]) -> str:
    return "".join("\n" if c == "\n" else " " for c in match.group(0))


def links(text: str) -> list[Link]:
    """In the order of the page."""
    visible = _CODE_SPAN.sub(_hidden, without_code_blocks(text))
    found = [
        Link(visible.count("\n", 0, match.start(1)) + 1, match.group(1))
        for pattern in (_INLINE, _DEFINITION)
        for match in pattern.finditer(visible)
    ]
    return sorted(found, key=lambda link: link.line)


def headings(text: str) -> list[tuple[int, str]]:
    """(level, text without markup)."""
    found = []
    for line in without_code_blocks(text).splitlines():
        match = _HEADING.match(line)
        if match is not None:
            words = _LINK_TEXT.sub(r"\1", match.group(2))
            found.append((len(match.group(1)), re.sub(r"[`*]", "", words)))
    return found


class Slugs:
    """Anchors of one page's headings, as GitHub forms them."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def of(self, heading: str) -> str:
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        count = self._used.get(slug, 0)
        self._used[slug] = count + 1
        return f"{slug}-{count}" if count else slug


def anchors(text: str) -> set[str]:
    slugs = Slugs()
    return {slugs.of(heading) for _, heading in headings(text)}


def title(text: str, default: str) -> str:
    return next((heading for level, heading in headings(text) if level == 1), default)
