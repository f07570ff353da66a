"""`./jx build`: runs gn (with its include and layer checks) and ninja."""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from thirdparty.recipe import RecipeError

from jx import packages, third_party
from jx.tree import ROOT, out_dir

# Settings of the calling shell that would change what the compiler finds.
_CLEARED = ("LIBRARY_PATH", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "COMPILER_PATH")

_ENV_PREFIX = re.compile(r"^env(?: -u \w+)+ ")


class BuildError(Exception):
    """gn or ninja failed. ninja has said why; what gn said is in the message."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--release", dest="variants", action="store_const", const=("release",),
        help="the optimised build, with all host programs and tests (the default)",
    )
    group.add_argument(
        "--debug", dest="variants", action="store_const", const=("debug",),
        help="the build with costly checks",
    )
    group.add_argument(
        "--all", dest="variants", action="store_const", const=("release", "debug"),
        help="both",
    )
    parser.add_argument("-j", type=int, metavar="N", dest="jobs", help="parallel jobs")
    parser.add_argument("targets", nargs="*", help="ninja targets (all by default)")
    parser.set_defaults(variants=("release",))


def run(args: argparse.Namespace) -> int:
    packages.ensure("build")
    for variant in args.variants:
        try:
            build(variant, args.targets, jobs=args.jobs)
        except BuildError as error:
            print(f"jx: {error}", file=sys.stderr)
            return 1
    return 0


def build(
    variant: str,
    targets: list[str] | None = None,
    *,
    jobs: int | None = None,
    folder: Path | None = None,
) -> Path:
    """Brings a variant up to date and returns its folder, which may be another than usual."""
    out = folder or out_dir(variant)
    has_libc = "true" if _make_libc() else "false"
    environment = clean_environment()
    is_debug = "true" if variant == "debug" else "false"
    generate = ["gn", "gen", str(out), "--check", "--export-compile-commands"]
    programs = json.dumps(_make_programs() if has_libc == "true" else [])
    arguments = f"is_debug={is_debug} has_libc={has_libc} third_party_programs={programs}"
    generate.append(f"--args={arguments}")
    answer = subprocess.run(generate, cwd=ROOT, env=environment, capture_output=True, text=True)
    if answer.returncode != 0:
        raise BuildError(f"gn failed for {variant}:\n{answer.stdout}{answer.stderr}".rstrip())
    _clean_compile_commands(out / "compile_commands.json")
    ninja = ["ninja", "-C", str(out), "--quiet"]
    if jobs is not None:
        ninja += ["-j", str(jobs)]
    if _is_up_to_date(ninja + (targets or []), environment):
        return out
    # Its progress is not our output: `./jx run -c` prints what the program printed and no more.
    done = subprocess.run(ninja + (targets or []), cwd=ROOT, env=environment, stdout=sys.stderr)
    if done.returncode != 0:
        raise BuildError(f"the {variant} build failed")
    return out


def _make_libc() -> bool:
    """Brings musl up to date. Without it (no network, at the first time) the rest is still built."""
    try:
        third_party.make_musl()
    except RecipeError as error:
        print(f"jx: no C library, no programs that use it: {error}", file=sys.stderr)
        return False
    return True


def _make_programs() -> list[str]:
    """Brings the programs of others up to date; which of them are there."""
    made = []
    for name in third_party.PROGRAMS:
        try:
            third_party.make_program(name)
            made.append(name)
        except RecipeError as error:
            print(f"jx: no {name}: {error}", file=sys.stderr)
    return made


def _is_up_to_date(ninja: list[str], environment: dict[str, str]) -> bool:
    """Asked first, so that ninja need not say that it has nothing to do."""
    answer = subprocess.run(
        ninja + ["-n"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return answer.returncode == 0 and "no work to do" in answer.stdout


def clean_environment() -> dict[str, str]:
    """Ours without what would change the compiler's search paths."""
    return {name: value for name, value in os.environ.items() if name not in _CLEARED}


def _clean_compile_commands(path: Path) -> None:
    """Editors want the compiler as the first word, not the `env` in front of it."""
    entries = json.loads(path.read_text())
    for entry in entries:
        entry["command"] = _ENV_PREFIX.sub("", entry["command"])
    path.write_text(json.dumps(entries, indent=1))
