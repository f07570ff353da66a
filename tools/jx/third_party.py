"""`./jx third-party`: software from the distribution's source packages, under out/third_party.

`musl` fetches the C library's source (once), checks it, patches it and compiles it with the overlay
of sdk/libc. Every build does as much by itself; this command also writes to calls.txt which objects
ask the system for what.
`busybox` and `toybox` are programs: fetched in the same way, configured by what third_party has for
them, compiled, and left as an archive that the build links. Every build does this, too, by itself.
Nothing is done twice.

--sources collects what whoever gets a boot image may ask for (docs/third-party.md).
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from thirdparty import apt_source, busybox, musl, musl_calls, program, toybox, unpack
from thirdparty.recipe import Recipe, RecipeError, read_recipe

from jx import packages
from jx.tree import ROOT

PROGRAMS = {package.name: package for package in (busybox.PACKAGE, toybox.PACKAGE)}
_NAMES = ("musl", *PROGRAMS)
_OUT = ROOT / "out" / "third_party"
_RECIPES = ROOT / "third_party"
_LIBC = ROOT / "sdk" / "libc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=_NAMES, nargs="?", help="what to make")
    parser.add_argument(
        "--sources", type=Path, metavar="FOLDER", help="put all sources and our changes there"
    )
    parser.add_argument("--fetch-only", action="store_true", help="fetch, check, patch; no more")
    parser.add_argument(
        "-j", type=int, metavar="N", dest="jobs", default=os.cpu_count() or 1, help="parallel jobs"
    )


def run(args: argparse.Namespace) -> int:
    if (args.name is None) == (args.sources is None):
        raise argparse.ArgumentTypeError("either a name or --sources")
    packages.ensure("third-party")
    try:
        if args.sources is not None:
            for name in _NAMES:
                collect(name, args.sources / name)
            return 0
        source = _source(args.name)
        print(f"source   {source.relative_to(ROOT)}")
        if args.fetch_only:
            return 0
        if args.name in PROGRAMS:
            make_musl(args.jobs)
            is_new = make_program(args.name, args.jobs)
            print(f"archive  {'made' if is_new else 'up to date'}")
        else:
            _report(*make_musl(args.jobs))
    except RecipeError as error:
        print(f"jx: {args.name or args.sources}: {error}", file=sys.stderr)
        return 1
    return 0


def make_musl(jobs: int | None = None) -> tuple[musl.Places, list[Path]]:
    """Brings the upper half of the C library up to date: a fraction of a second if it is.

    The folders, and the sources that it is made of.
    """
    folder = _OUT / "musl"
    recipe = _recipe("musl")
    is_new = not unpack.is_unpacked(recipe, folder)
    started = time.monotonic()
    if is_new:
        packages.ensure("third-party")
        print("jx: making the C library's upper half (once)", file=sys.stderr)
    places = musl.Places(_source("musl"), _LIBC / "overlay", _LIBC / "system", folder)
    if is_new or not (folder / "sysroot" / "include").is_dir():
        musl.make_headers(places, recipe.version)
        musl.install_headers(places)
    paths = musl.compile_all(places, jobs=jobs)
    if is_new:
        print(f"jx: {len(paths)} objects, {time.monotonic() - started:.0f} s", file=sys.stderr)
    return places, paths


def _recipe(name: str) -> Recipe:
    return read_recipe(_RECIPES / name / f"{name}.json")


def _source(name: str) -> Path:
    """A recipe's source: fetched, checked, patched."""
    recipe, folder = _recipe(name), _OUT / name
    if unpack.is_unpacked(recipe, folder):
        return unpack.unpacked(recipe, folder)
    downloads = folder / "download"
    if not unpack.have_archives(recipe, downloads):
        print(f"jx: fetching the source package {recipe.package} {recipe.version}", file=sys.stderr)
        apt_source.fetch(recipe, folder / "apt", downloads)
    return unpack.unpack(recipe, downloads, folder)


def collect(name: str, into: Path) -> None:
    """The archives as they were fetched, and what third_party has: recipe, configuration, patches."""
    _source(name)
    recipe = _recipe(name)
    into.mkdir(parents=True, exist_ok=True)
    downloads = _OUT / name / "download"
    files = [downloads / archive for archive in recipe.archives]
    if recipe.packaging:
        files += downloads.glob(recipe.packaging)
    files += [path for path in (_RECIPES / name).iterdir() if path.is_file()]
    for path in files:
        shutil.copy(path, into / path.name)


def make_program(name: str, jobs: int | None = None) -> bool:
    """Brings an archive up to date, when musl is (make_musl). False if it was."""
    package, out = PROGRAMS[name], _OUT / name
    if not program.archive(package, out).is_file():
        packages.ensure("third-party")
        print(f"jx: making {name} (once)", file=sys.stderr)
    headers = [_OUT / "musl" / "sysroot" / "include"]
    config = _RECIPES / name / f"{name}.config"
    return program.make(package, _source(name), config, headers, out, jobs or os.cpu_count() or 1)


def _report(places: musl.Places, paths: list[Path]) -> None:
    print(f"objects  {len(paths)}")
    report = musl_calls.measure(places, paths)
    page = places.out / "calls.txt"
    page.write_text(musl_calls.text(report))
    print(f"calls    {page.relative_to(ROOT)}: {len(report.asking())} objects ask the system")
    for name in report.raw:
        print(f"raw      {name}")
