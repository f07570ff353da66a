"""The site: the tree's Markdown pages and the generated ones as HTML, with navigation and a search box.

Every page has a path as if it were a Markdown file of the tree, generated ones too
(docs/syscalls/zx_channel_write.md), and links between pages are Markdown links. url_of() says where
a page's HTML is. A link to a file that is no page makes a page that shows the file.
"""

from __future__ import annotations

import html
import json
import posixpath
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote

from docs import links, markdown
from docs.render import with_anchors, with_links

HOME = "README.md"
_CONTENTS = "docs/README.md"  # its links give the order of the manual's pages
_ASSETS = Path(__file__).resolve().parent / "assets"
_FENCE = "`" * 12


@dataclass
class Sources:
    """What a site is made of."""

    tree: Mapping[str, str]  # the tree's Markdown pages: path -> text
    exists: Callable[[str], bool]  # whether the tree has a file
    read: Callable[[str], str]  # a file of the tree that is no page
    generated: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (page, anchor) -> page
    parents: Mapping[str, str] = field(default_factory=dict)  # pages shown below another


def url_of(path: str) -> str:
    """Where the page of a path is in the site."""
    folder, name = posixpath.split(path)
    if name == "README.md":
        name = "index.md"
    name = name.removesuffix(".md") if name.endswith(".md") else name
    return posixpath.join(folder, f"{name}.html")


def _shown(path: str, text: str) -> str:
    """A file that is no Markdown page, as one."""
    ending = posixpath.splitext(path)[1].lstrip(".")
    return f"# {path}\n\n{_FENCE}{ending}\n{text}\n{_FENCE}\n"


class Site:
    """`render`: Markdown to an HTML body (render.render)."""

    def __init__(self, sources: Sources, render: Callable[[str], str]) -> None:
        self._sources = sources
        self._render = render
        self.pages: dict[str, str] = {}
        self._collect()

    # ---- which pages ----

    def _exists(self, path: str) -> bool:
        return path in self._sources.generated or self._sources.exists(path)

    def _text(self, path: str) -> str:
        if path in self._sources.generated:
            return self._sources.generated[path]
        if path in self._sources.tree:
            return self._sources.tree[path]
        return _shown(path, self._sources.read(path))

    def _collect(self) -> None:
        """The manual, what was generated, and all that they lead to."""
        todo = [path for path in self._sources.tree if path.startswith("docs/")]
        todo += [HOME, "CONTRIBUTING.md", *self._sources.generated]
        while todo:
            path = todo.pop()
            if path in self.pages or not self._exists(path):
                continue
            self.pages[path] = self._text(path)
            for link in markdown.links(self.pages[path]):
                if not links.is_external(link.target):
                    todo += self._target(path, link.target)[:1]

    def _target(self, page: str, target: str) -> tuple[str, str] | tuple[()]:
        """(path, anchor) of a link, () if it leads nowhere: check() of the site says so."""
        try:
            path, anchor = links.resolve(page, target, self._exists)
        except links.LinkError:
            return ()
        moved = self._sources.moved.get((path, anchor))
        return (moved, "") if moved is not None else (path, anchor)

    # ---- one page ----

    def _href(self, page: str, path: str, anchor: str = "") -> str:
        relative = posixpath.relpath(url_of(path), posixpath.dirname(url_of(page)) or ".")
        return quote(relative) + (f"#{quote(anchor)}" if anchor else "")

    def _rewritten(self, page: str, target: str) -> str:
        if links.is_external(target):
            return target
        found = self._target(page, target)
        return self._href(page, *found) if found else target

    def _title(self, path: str) -> str:
        return markdown.title(self.pages[path], path)

    def _page(self, path: str) -> str:
        body = with_anchors(self._render(self.pages[path]))
        body = with_links(body, lambda target: self._rewritten(path, target))
        body = body.replace("<table>", '<div class="wide"><table>').replace(
            "</table>", "</table></div>")
        root = posixpath.relpath(".", posixpath.dirname(url_of(path)) or ".")
        title = self._title(path)
        title = title if title == "Jacinth" else f"{title} · Jacinth"
        return (_ASSETS / "page.html").read_text().format(
            title=html.escape(title), root=root, body=body, navigation=self._navigation(path),
            home=self._href(path, HOME))

    # ---- navigation ----

    def _order(self) -> dict[str, int]:
        """Pages in the order in which the manual's contents name them."""
        named = [HOME, _CONTENTS]
        for link in markdown.links(self.pages.get(_CONTENTS, "")):
            if not links.is_external(link.target):
                named += self._target(_CONTENTS, link.target)[:1]
        return {path: number for number, path in reversed(list(enumerate(named)))}

    def _sections(self) -> list[tuple[str, list[str]]]:
        order = self._order()
        sections: dict[str, list[str]] = {
            "Manual": [], "System calls": [], "Protocols": [], "Design": [], "Beside the code": []}
        rank = {path: (order.get(path, len(order)), not path.endswith("/index.md"), path)
                for path in self.pages}
        for path in sorted(self.pages, key=lambda p: rank[p]):
            folder = posixpath.dirname(path)
            if path in self._sources.parents:
                continue
            name = {"docs": "Manual", "": "Manual", "docs/design": "Design",
                    "docs/syscalls": "System calls", "docs/fidl": "Protocols"}.get(folder)
            if path.endswith(".md"):
                sections[name or "Beside the code"].append(path)
        return [(name, paths) for name, paths in sections.items() if paths]

    def _navigation(self, page: str) -> str:
        open_page = self._sources.parents.get(page, page)
        out = []
        for name, paths in self._sections():
            is_open = " open" if open_page in paths or name == "Manual" else ""
            out.append(f"<details{is_open}><summary>{name}</summary><ul>")
            for path in paths:
                out.append(self._entry(page, path, open_page))
            out.append("</ul></details>")
        return "\n".join(out)

    def _entry(self, page: str, path: str, open_page: str) -> str:
        current = ' class="current"' if path == page else ""
        text = f'<li><a href="{self._href(page, path)}"{current}>{html.escape(self._title(path))}</a>'
        if path == open_page:
            below = [p for p, parent in self._sources.parents.items() if parent == path]
            if below:
                entries = "".join(self._entry(page, p, "") for p in sorted(below))
                text += f"<ul>{entries}</ul>"
        return text + "</li>"

    # ---- all ----

    def _search_index(self) -> str:
        entries = [
            {"title": self._title(path), "url": url_of(path),
             "headings": [words for level, words in markdown.headings(self.pages[path]) if level > 1]}
            for path in sorted(self.pages)
        ]
        return f"const PAGES = {json.dumps(entries, indent=0)};\n"

    def write(self, folder: Path) -> None:
        """Makes the folder anew."""
        shutil.rmtree(folder, ignore_errors=True)
        for path in self.pages:
            target = folder / url_of(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._page(path))
        (folder / "index.js").write_text(self._search_index())
        for name in ("style.css", "search.js"):
            shutil.copyfile(_ASSETS / name, folder / name)


class _Reader(HTMLParser):
    """Ids and references of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value is not None:
                self.ids.add(value)
            if name in ("href", "src") and value is not None:
                self.references.append(value)


def check(folder: Path) -> list[str]:
    """One message for each reference in the site's pages that leads nowhere."""
    readers: dict[Path, _Reader] = {}
    for path in sorted(folder.rglob("*.html")):
        readers[path.resolve()] = reader = _Reader()
        reader.feed(path.read_text())
    messages = []
    for path, reader in readers.items():
        for reference in dict.fromkeys(reader.references):
            if links.is_external(reference):
                continue
            name, _, anchor = reference.partition("#")
            target = (path.parent / unquote(name)).resolve() if name else path
            page = path.relative_to(folder.resolve())
            if not target.is_file() or not target.is_relative_to(folder.resolve()):
                messages.append(f"{page}: {reference}: no such page")
            elif anchor and (target not in readers or unquote(anchor) not in readers[target].ids):
                messages.append(f"{page}: {reference}: no such anchor")
    return messages
