"""Relative links in the tree's Markdown pages lead to a file, and to a heading where they name one;
and they lead to every page."""

from docs import links

from jx.tree import ROOT, tree_files


def pages() -> dict[str, str]:
    """Path -> text of every Markdown page of the tree."""
    return {str(path.relative_to(ROOT)): path.read_text() for path in tree_files(".md")}


def exists(path: str) -> bool:
    return (ROOT / path).is_file()


def check() -> list[str]:
    found = pages()
    lost = [f"{page}: no page that README.md leads to links here"
            for page in links.unreached(found, exists)]
    return links.check(found, exists) + lost
