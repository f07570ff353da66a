"""From Markdown to HTML, by cmark-gfm (Debian's package of that name)."""

from __future__ import annotations

import html
import re
import subprocess
from collections.abc import Callable

from docs.markdown import Slugs

_HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>", re.DOTALL)
_LINK = re.compile(r'<a href="([^"]*)"')
_TAG = re.compile(r"<[^>]*>")


class RenderError(Exception):
    """cmark-gfm could not do it."""


def render(text: str) -> str:
    """The body of a page; raw HTML in it is left out."""
    answer = subprocess.run(
        ["cmark-gfm", "--extension", "table"], input=text, capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode != 0:
        raise RenderError(f"cmark-gfm: {answer.stderr.strip()}")
    return answer.stdout


def plain(fragment: str) -> str:
    """The text of a piece of HTML."""
    return html.unescape(_TAG.sub("", fragment)).strip()


def with_anchors(body: str) -> str:
    """Gives headings the ids that links to Markdown headings use."""
    slugs = Slugs()

    def heading(match: re.Match[str]) -> str:
        level, inner = match.groups()
        slug = html.escape(slugs.of(plain(inner)))
        anchor = "" if level == "1" else f' <a class="anchor" href="#{slug}">#</a>'
        return f'<h{level} id="{slug}">{inner}{anchor}</h{level}>'

    return _HEADING.sub(heading, body)


def with_links(body: str, rewritten: Callable[[str], str]) -> str:
    """Passes every link's target through `rewritten`."""
    return _LINK.sub(
        lambda m: f'<a href="{html.escape(rewritten(html.unescape(m.group(1))))}"', body)
