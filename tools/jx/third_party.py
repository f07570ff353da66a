"""`./jx third-party`: software from the distribution's source packages, under out/third_party.

`musl` fetches the C library's source (once), checks it, patches it, compiles it with the overlay of
sdk/libc and writes to calls.txt which functions ask the system for what. No other command needs it.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from thirdparty import apt_source, musl, musl_calls, unpack
from thirdparty.recipe import Recipe, RecipeError, read_recipe

from jx import packages
from jx.tree import ROOT

_NAMES = ("musl",)
_OVERLAY = ROOT / "sdk" / "libc" / "overlay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=_NAMES, help="what to make")
    parser.add_argument("--fetch-only", action="store_true", help="fetch, check, patch; no more")
    parser.add_argument(
        "-j", type=int, metavar="N", dest="jobs", default=os.cpu_count() or 1, help="parallel jobs"
    )


def run(args: argparse.Namespace) -> int:
    packages.ensure("third-party")
    folder = ROOT / "out" / "third_party" / args.name
    try:
        recipe = read_recipe(ROOT / "third_party" / args.name / f"{args.name}.json")
        source = _source(recipe, folder)
        print(f"source   {source.relative_to(ROOT)}")
        if not args.fetch_only:
            _compile(recipe, musl.Places(source, _OVERLAY, folder), args.jobs)
    except RecipeError as error:
        print(f"jx: {args.name}: {error}", file=sys.stderr)
        return 1
    return 0


def _source(recipe: Recipe, folder: Path) -> Path:
    downloads = folder / "download"
    if not unpack.have_archives(recipe, downloads):
        print(f"jx: fetching the source package {recipe.package} {recipe.version}", file=sys.stderr)
        apt_source.fetch(recipe.package, recipe.version, recipe.release, folder / "apt", downloads)
    return unpack.unpack(recipe, downloads, folder)


def _compile(recipe: Recipe, places: musl.Places, jobs: int) -> None:
    started = time.monotonic()
    musl.make_headers(places, recipe.version)
    paths = musl.compile_all(places, jobs=max(1, jobs))
    print(f"objects  {len(paths)} ({time.monotonic() - started:.0f} s)")
    report = musl_calls.measure(places, paths)
    page = places.out / "calls.txt"
    page.write_text(musl_calls.text(report))
    print(f"calls    {page.relative_to(ROOT)}: {len(report.redirected)} objects ask the system")
    for name in report.raw:
        print(f"raw      {name}")
