"""Programs of others: configured by their own scripts, compiled by us for the C library.

What they are made of is kept as one archive, which the build links like a library of the tree. It
is made anew only if something changed that goes into it: the recipe, the configuration, the tool
that makes it, or a header of the C library.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from thirdparty.recipe import RecipeError

TARGET = "x86_64-unknown-fuchsia"
HOST_CC = "clang-19"

_STAMP = "made"
_LIMIT_S = 600.0
_CLEARED = ("CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "LIBRARY_PATH", "CFLAGS", "LDFLAGS", "V")
_SETTING = re.compile(r"(?:# )?(CONFIG_\w+)(?:=| is not set)")

# How the C library's users are compiled (as the library itself is). Somebody else's warnings are
# not ours to mend.
_FLAGS = (
    f"--target={TARGET}", "-std=gnu11", "-nostdinc", "-w", "-Os", "-fPIE", "-fno-strict-aliasing",
    "-fstack-protector-strong", "-fno-sanitize=safe-stack", "-funsigned-char",
    "-ffunction-sections", "-fdata-sections", "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables", "-Werror=implicit-function-declaration",
)  # fmt: skip


@dataclass(frozen=True)
class Package:
    """What differs from program to program. Each function gets the folder of the source."""

    name: str
    configure: Callable[[Path, Path], None]  # and our configuration file
    sources: Callable[[Path], list[Path]]  # relative to the source
    flags: Callable[[Path], list[str]]
    names: Callable[[Path], list[str]]  # by which the program may be called


def merge_config(text: str, ours: str) -> str:
    """A .config in which the settings of `ours` take the place of its own."""
    wanted = {line.partition("=")[0]: line for line in settings(ours)}
    lines = []
    for line in text.splitlines():
        match = _SETTING.match(line)
        lines.append(wanted.pop(match[1], line) if match else line)
    return "\n".join([*lines, *wanted.values()]) + "\n"


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("CONFIG_")]


def check_config(text: str, ours: str) -> None:
    """Raises if their scripts did not keep a setting of ours: its name or what it needs is wrong."""
    lost = sorted(set(settings(ours)) - set(settings(text)))
    if lost:
        raise RecipeError(f"settings that do not hold: {' '.join(lost)}")


def enabled(source: Path) -> set[str]:
    """What is set to y in the source's .config, without CONFIG_."""
    lines = settings((source / ".config").read_text())
    return {line[len("CONFIG_") : -len("=y")] for line in lines if line.endswith("=y")}


def run_script(command: Sequence[str], source: Path, *, answers: str = "", **extra: str) -> None:
    """Runs a tool of theirs on this machine; what it says is shown only if it fails."""
    try:
        answer = subprocess.run(
            command, cwd=source, env=_environment() | extra, input=answers, capture_output=True,
            text=True, timeout=_LIMIT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RecipeError(f"`{' '.join(command)}`: {error}") from error
    if answer.returncode != 0:
        said = "\n".join((answer.stdout + answer.stderr).splitlines()[-20:])
        raise RecipeError(f"`{' '.join(command)}` failed:\n{said}")


def make(
    package: Package, source: Path, config: Path, headers: Sequence[Path], out: Path, jobs: int
) -> bool:
    """Brings `out`/lib<name>.a and `out`/names up to date; False if they were.

    headers   the C library's include folders, in the order of search
    """
    library, stamp = archive(package, out), out / _STAMP
    key = _key(package, source, config, headers)
    if library.is_file() and stamp.is_file() and stamp.read_text() == key:
        return False
    stamp.unlink(missing_ok=True)
    package.configure(source, config)
    objects = out / "obj"
    shutil.rmtree(objects, ignore_errors=True)
    flags = [*_FLAGS, *package.flags(source), *(f"-I{folder}" for folder in headers)]
    paths = package.sources(source)
    if not paths:
        raise RecipeError(f"{source}: no sources")
    made = _compile(paths, source, objects, flags, jobs)
    library.unlink(missing_ok=True)
    _run_tool(["llvm-ar-19", "rcsD", str(library), *map(str, made)])
    (out / "names").write_text("".join(f"{name}\n" for name in package.names(source)))
    stamp.write_text(key)
    return True


def archive(package: Package, out: Path) -> Path:
    return out / f"lib{package.name}.a"


def _key(package: Package, source: Path, config: Path, headers: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    # The stamp of the unpacked source stands for all of it.
    files = [source / ".recipe", config, Path(__file__)]
    files.append(Path(package.configure.__code__.co_filename))
    for folder in headers:
        files += sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _compile(
    paths: Sequence[Path], source: Path, objects: Path, flags: Sequence[str], jobs: int
) -> list[Path]:
    made = [(objects / path).with_suffix(".o") for path in paths]
    for folder in {path.parent for path in made}:
        folder.mkdir(parents=True, exist_ok=True)

    def one(index: int) -> str:
        words = ["clang-19", *flags, "-c", str(paths[index]), "-o", str(made[index])]
        answer = subprocess.run(
            words, cwd=source, env=_environment(), capture_output=True, text=True
        )
        return "" if answer.returncode == 0 else f"{paths[index]}:\n{answer.stderr}"

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        failures = [text for text in pool.map(one, range(len(paths))) if text]
    if failures:
        raise RecipeError(
            f"{len(failures)} of {len(paths)} files do not compile; {failures[0].strip()}"
        )
    return made


def _run_tool(words: Sequence[str]) -> None:
    answer = subprocess.run(words, env=_environment(), capture_output=True, text=True)
    if answer.returncode != 0:
        raise RecipeError(f"`{words[0]}`: {answer.stderr.strip()}")


def _environment() -> dict[str, str]:
    """Ours without what changes the compiler's search paths or their scripts' minds."""
    kept = {name: value for name, value in os.environ.items() if name not in _CLEARED}
    return kept | {"LC_ALL": "C", "KCONFIG_NOTIMESTAMP": "1"}
