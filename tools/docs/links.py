"""Where the links of Markdown pages lead. Paths are relative to the tree's root, with `/`."""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from docs import markdown

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


class LinkError(Exception):
    """A link leads nowhere."""


def is_external(target: str) -> bool:
    return _SCHEME.match(target) is not None


def resolve(page: str, target: str, exists: Callable[[str], bool]) -> tuple[str, str]:
    """(path, anchor) of a link in `page`; a folder stands for its README.md."""
    name, _, anchor = target.partition("#")
    if not name:
        return page, unquote(anchor)
    if name.startswith("/"):
        raise LinkError("not relative")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(name)))
    if path.startswith(".."):
        raise LinkError("leads out of the tree")
    for candidate in (path, posixpath.normpath(posixpath.join(path, "README.md"))):
        if exists(candidate):
            return candidate, unquote(anchor)
    raise LinkError("no such file")


def unreached(pages: Mapping[str, str], exists: Callable[[str], bool]) -> list[str]:
    """Pages that no page links to, README.md being where one starts."""
    reached: set[str] = set()
    todo = ["README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page not in pages:
            continue
        reached.add(page)
        for link in markdown.links(pages[page]):
            with contextlib.suppress(LinkError):
                if not is_external(link.target):
                    todo.append(resolve(page, link.target, exists)[0])
    return sorted(set(pages) - reached)


def check(pages: Mapping[str, str], exists: Callable[[str], bool]) -> list[str]:
    """One message for each link of the pages (path -> text) that leads nowhere."""
    messages = []
    anchors: dict[str, set[str]] = {}
    for page, text in pages.items():
        for link in markdown.links(text):
            if is_external(link.target):
                continue
            try:
                path, anchor = resolve(page, link.target, exists)
            except LinkError as error:
                messages.append(f"{page}:{link.line}: {link.target}: {error}")
                continue
            if anchor and path not in anchors:
                anchors[path] = markdown.anchors(pages.get(path, ""))
            if anchor and anchor not in anchors[path]:
                messages.append(f"{page}:{link.line}: {link.target}: no such heading")
    return messages
