"""`./jx docs`: the manual as a static site, out/docs/index.html.

It holds the tree's Markdown pages, one page for each system call (from syscall/defs) and one for each
FIDL protocol. It needs no server. A link in the tree's pages that leads nowhere is an error; with
--check every link of the finished site is followed, too.
"""

import argparse
import sys
from pathlib import Path

from docs import fidl, links, render, site, syscalls
from fidlgen.model import FidlError
from syscallgen.model import DefinitionError

from jx import packages
from jx.checks import links as tree_links
from jx.tree import ROOT, tree_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="also follow every link of the site")
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="FOLDER", default=ROOT / "out" / "docs",
        help="where to put it (out/docs); replaced",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    _refuse_foreign(args.out)
    packages.ensure("docs")
    try:
        sources = _sources()
        messages = links.check(sources.tree, sources.exists)
        made = site.Site(sources, render.render)
        made.write(args.out)
    except (DefinitionError, FidlError, render.RenderError) as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    messages += site.check(args.out) if args.check else []
    for message in messages:
        print(message)
    print(f"{len(made.pages)} pages: {args.out / 'index.html'}")
    return 1 if messages else 0


def _refuse_foreign(folder: Path) -> None:
    """The folder is replaced: so it must be new, empty, or a site that was made before."""
    if folder.exists() and not folder.is_dir():
        raise argparse.ArgumentTypeError(f"not a folder: {folder}")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "index.js").is_file():
        raise argparse.ArgumentTypeError(f"neither empty nor a site: {folder}")


def _sources() -> site.Sources:
    interface = syscalls.interface(ROOT / "syscall" / "defs")
    errors = (ROOT / "sdk/abi/include/zircon/errors.h").read_text()
    protocols = fidl.universe(
        path for path in tree_files(".fidl") if "testdata" not in path.parts)
    return site.Sources(
        tree=tree_links.pages(),
        exists=tree_links.exists,
        read=lambda path: (ROOT / path).read_text(),
        generated=syscalls.pages(interface, errors) | fidl.pages(protocols),
        moved=syscalls.moved(interface),
        parents=syscalls.parents(interface) | fidl.parents(protocols),
    )
