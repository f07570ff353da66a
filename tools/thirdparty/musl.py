"""Compiles musl for clang's Fuchsia target, with our overlay in front of its own headers.

What musl's configure and Makefile would do for this compiler, without running them: they want to
link test programs, and there is nothing to link with yet. Sources and flags follow the Makefile: a
file in a folder of the architecture's name takes the place of the one above it; start-up files and
the dynamic linker are never stack-protected, because the canary is not there before them.
"""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from thirdparty.recipe import RecipeError

ARCH = "x86_64"
TARGET = "x86_64-unknown-fuchsia"

# Below the source: where sources are, by the Makefile's SRC_DIRS with its default allocator.
_FOLDERS = ("src/*", "src/malloc/mallocng", "crt", "ldso")
_SUFFIXES = (".c", ".s", ".S")
# They run before the thread pointer is set, or set it.
_BEFORE_CANARY = (
    "crt/", "ldso/", "src/env/__libc_start_main.", "src/env/__init_tls.",
    "src/env/__stack_chk_fail.",
)  # fmt: skip
# What configure chooses for speed, and the allocator.
_FAST = ("src/internal/", "src/malloc/", "src/string/")


@dataclass(frozen=True)
class Places:
    """Folders: musl's source, our overlay, where generated headers and objects go."""

    source: Path
    overlay: Path
    out: Path


def sources(source: Path) -> list[Path]:
    """What is compiled, relative to `source`."""
    found: dict[str, Path] = {}
    for pattern in _FOLDERS:
        for folder in sorted(source.glob(pattern)):
            if folder.is_dir():
                found |= _of_folder(source, folder)
    if not found:
        raise RecipeError(f"{source}: no sources")
    return sorted(found.values())


def _of_folder(source: Path, folder: Path) -> dict[str, Path]:
    """Object name -> source; the architecture's own come last and win."""
    names: dict[str, Path] = {}
    for path in sorted(folder.glob("*.c")):
        names[str((folder / path.stem).relative_to(source))] = path.relative_to(source)
    for path in sorted((folder / ARCH).glob("*")):
        if path.suffix in _SUFFIXES:
            names[str((folder / path.stem).relative_to(source))] = path.relative_to(source)
    return names


def make_headers(places: Places, version: str) -> None:
    """The three headers that musl's Makefile generates."""
    bits = places.out / "include" / "bits"
    bits.mkdir(parents=True, exist_ok=True)
    arch = places.source / "arch" / ARCH / "bits"
    script = places.source / "tools" / "mkalltypes.sed"
    inputs = [arch / "alltypes.h.in", places.source / "include" / "alltypes.h.in"]
    _run(["sed", "-f", str(script), *map(str, inputs)], bits / "alltypes.h")
    numbers = (arch / "syscall.h.in").read_text()
    renamed = [line.replace("__NR_", "SYS_") for line in numbers.splitlines() if "__NR_" in line]
    (bits / "syscall.h").write_text(numbers + "\n".join(renamed) + "\n")
    internal = places.out / "internal"
    internal.mkdir(parents=True, exist_ok=True)
    (internal / "version.h").write_text(f'#define VERSION "{version}"\n')


def headers(places: Places) -> list[Path]:
    """Where those who use the library find its headers."""
    source = places.source
    return [source / "arch" / ARCH, source / "arch" / "generic", places.out / "include",
            source / "include"]  # fmt: skip


def command(places: Places, path: Path) -> list[str]:
    """The compiler's command line for one source, without what it writes and where to."""
    source, name = places.source, str(path)
    flags = ["clang-19", f"--target={TARGET}", "-std=c99", "-ffreestanding", "-nostdinc", "-w"]
    flags += ["-fno-strict-aliasing", "-frounding-math", "-fno-sanitize=safe-stack"]
    flags += ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
    flags += ["-ffunction-sections", "-fdata-sections"]
    is_early = name.startswith(_BEFORE_CANARY)
    flags.append("-fno-stack-protector" if is_early else "-fstack-protector-strong")
    flags.append("-O3" if name.startswith(_FAST) else "-Os")
    flags.append("-fPIC" if name.startswith(("ldso/", "crt/")) else "-fPIE")
    if name.startswith("crt/"):
        flags.append("-DCRT")
    folders = [
        places.overlay / "arch" / ARCH, source / "arch" / ARCH, source / "arch" / "generic",
        places.out / "internal", source / "src" / "include", source / "src" / "internal",
        places.out / "include", source / "include",
    ]  # fmt: skip
    flags += ["-D_XOPEN_SOURCE=700", *(f"-I{folder}" for folder in folders)]
    return [*flags, str(source / path)]


def object_path(places: Places, path: Path) -> Path:
    return (places.out / "obj" / path).with_suffix(".o")


def compile_all(places: Places, *, jobs: int) -> list[Path]:
    """Compiles everything anew, and returns the sources whose objects are there now: all."""
    paths = sources(places.source)
    for folder in {object_path(places, path).parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)

    def one(path: Path) -> str:
        answer = subprocess.run(
            [*command(places, path), "-c", "-o", str(object_path(places, path))],
            env=_environment(), capture_output=True, text=True,
        )  # fmt: skip
        return "" if answer.returncode == 0 else f"{path}:\n{answer.stderr}"

    with ThreadPoolExecutor(jobs) as pool:
        failures = [text for text in pool.map(one, paths) if text]
    if failures:
        first = failures[0].strip()
        raise RecipeError(f"{len(failures)} of {len(paths)} files do not compile; {first}")
    return paths


def ir(places: Places, path: Path) -> str:
    """The optimised code as LLVM's own text."""
    answer = subprocess.run(
        [*command(places, path), "-S", "-emit-llvm", "-o", "-"],
        env=_environment(), capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode != 0:
        raise RecipeError(f"{path}:\n{answer.stderr.strip()}")
    return answer.stdout


def _environment() -> dict[str, str]:
    """Ours without what changes the compiler's search paths."""
    names = ("CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "LIBRARY_PATH")
    return {name: value for name, value in os.environ.items() if name not in names}


def _run(words: list[str], into: Path) -> None:
    with into.open("wb") as out:
        answer = subprocess.run(words, stdout=out, stderr=subprocess.PIPE)
    if answer.returncode != 0:
        raise RecipeError(f"`{' '.join(words)}`: {answer.stderr.decode(errors='replace').strip()}")
