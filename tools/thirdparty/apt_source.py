"""Fetches a source package through apt, with a configuration of our own beside the machine's.

The machine's apt knows mirrors and how to reach them; its list of releases is not ours to change.
So the places of the distribution's archive are asked of it, and another list, state and cache are
used with them. What apt always does, it does here: the release file is checked against the
distribution's keyring, the index against the release file, and each archive against the index.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from thirdparty.recipe import Recipe, RecipeError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# What apt would read to bring its lists up to date. Suites of the distribution itself only: other
# repositories name theirs after it, too, but not like this.
_SUITE = r"(?:bookworm|trixie|forky|stable|oldstable|testing)"
_MAIN = re.compile(rf"'(\S+)/dists/{_SUITE}(?:-updates)?/InRelease' ")
_SECURITY = re.compile(rf"'(\S+)/dists/{_SUITE}-security/InRelease' ")
_LIMIT_S = 300.0


def places(listing: str) -> tuple[list[str], list[str]]:
    """(archive, its security part): the roots in `apt-get --print-uris update`, once each."""
    return (
        list(dict.fromkeys(_MAIN.findall(listing))),
        list(dict.fromkeys(_SECURITY.findall(listing))),
    )


def source_list(listing: str, release: str) -> str:
    """The lines of a list of sources that has the release's source packages."""
    main, security = places(listing)
    if not main:
        raise RecipeError("this machine's apt knows no mirror of the distribution")
    signed = f"deb-src [signed-by={KEYRING}]"
    lines = [f"{signed} {root} {release} main" for root in main]
    lines += [f"{signed} {root} {release}-security main" for root in security]
    return "\n".join(lines) + "\n"


def configuration(folder: Path) -> str:
    """Read after the machine's: moves all state here, drops hooks that clean up there."""
    return f"""\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::AllowInsecureRepositories "0";
Acquire::AllowWeakRepositories "0";
APT::Get::AllowUnauthenticated "0";
APT::Get::Only-Source "1";
APT::Sandbox::User "";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


def fetch(recipe: Recipe, state: Path, into: Path) -> None:
    """Leaves the files of the source package in `into`; `state` is apt's and may be kept."""
    if not KEYRING.exists():
        raise RecipeError(f"no {KEYRING}: install debian-archive-keyring")
    for folder in (state / "lists" / "partial", state / "cache" / "archives" / "partial", into):
        folder.mkdir(parents=True, exist_ok=True)
    listing = _run(["apt-get", "--print-uris", "update"], into)
    (state / "sources.list").write_text(source_list(listing, recipe.release))
    config = state / "apt.conf"
    config.write_text(configuration(state))
    apt = ["apt-get", "-q", "-c", str(config)]
    _run([*apt, "update", "-o", "APT::Update::Error-Mode=any"], into)
    wanted = f"{recipe.package}={_full_version(apt, recipe.package, recipe.version)}"
    parts = [] if recipe.packaging else ["--tar-only"]
    _run([*apt, "source", "--download-only", *parts, wanted], into)


def newest(listing: str, version: str) -> str:
    """The last of the versions that `apt-cache showsrc` prints whose upstream version is this.

    The distribution marks with +dfsg what it has packed again without parts that are not free.
    """
    pattern = rf"^Version: ((?:\d+:)?{re.escape(version)}(?:\+dfsg[\d.]*)?-\S+)$"
    found: list[str] = re.findall(pattern, listing, re.MULTILINE)
    if not found:
        raise RecipeError(f"the distribution has no source of version {version}")
    best = found[0]
    for one in found[1:]:
        if subprocess.run(["dpkg", "--compare-versions", one, "gt", best]).returncode == 0:
            best = one
    return best


def _full_version(apt: Sequence[str], package: str, version: str) -> str:
    return newest(_run(["apt-cache", *apt[2:], "showsrc", "--only-source", package], None), version)


def _run(command: Sequence[str], folder: Path | None) -> str:
    """Standard output; the rest is shown only if the command fails."""
    environment = dict(os.environ, LC_ALL="C.UTF-8", DEBIAN_FRONTEND="noninteractive")
    try:
        answer = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=_LIMIT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RecipeError(f"`{' '.join(command)}`: {error}") from error
    if answer.returncode != 0:
        print(answer.stdout + answer.stderr, file=sys.stderr, end="")
        raise RecipeError(f"`{' '.join(command)}` failed")
    return answer.stdout
