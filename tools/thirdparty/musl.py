"""Compiles musl for clang's Fuchsia target, with our overlay in the place of some of its files.

What musl's configure and Makefile would do for this compiler, without running them: they want to
link test programs, and there is nothing to link with yet. Sources and flags follow the Makefile: a
file in a folder of the architecture's name takes the place of the one above it, and a file of the
overlay that of both. ninja does the work, so that only what has changed is compiled again.

The result is half a C library: `sysroot/include`, and `libc_musl.a`, which wants the system layer's
functions; `libdynlink.a` is what the shared library has besides. All objects are position-independent, for programs and for the shared library.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from thirdparty.recipe import RecipeError

ARCH = "x86_64"
TARGET = "x86_64-unknown-fuchsia"

# Below the source: where sources are, by the Makefile's SRC_DIRS with its default allocator. Not
# `crt`: programs start otherwise here.
_FOLDERS = ("src/*", "src/malloc/mallocng", "ldso")
_SUFFIXES = (".c", ".s", ".S")
# They run before the thread pointer is set, or set it.
_BEFORE_CANARY = (
    "ldso/", "src/env/__libc_start_main.", "src/env/__init_tls.", "src/env/__stack_chk_fail.",
    "src/thread/__set_thread_area.",
)  # fmt: skip
# What configure chooses for speed, and the allocator.
_FAST = ("src/internal/", "src/malloc/", "src/string/")
# Comparisons of our headers with musl's: compiled, never linked.
_CHECKS = "check"


@dataclass(frozen=True)
class Places:
    """Folders: musl's source, our overlay, the system layer's headers, where results go."""

    source: Path
    overlay: Path
    system: Path
    out: Path


def sources(places: Places) -> list[Path]:
    """What is compiled: absolute paths, in the order of their objects' names."""
    found: dict[str, Path] = {}
    for pattern in _FOLDERS:
        for folder in sorted(places.source.glob(pattern)):
            if folder.is_dir():
                found |= _of_folder(places.source, folder)
    if not found:
        raise RecipeError(f"{places.source}: no sources")
    found.pop("ldso/dlstart", None)  # the dynamic linker starts otherwise, too
    for path in sorted(places.overlay.glob("src/**/*.c")) + sorted(places.overlay.glob("ldso/*.c")):
        found[str(path.relative_to(places.overlay).with_suffix(""))] = path
    return [found[name] for name in sorted(found)]


def _of_folder(source: Path, folder: Path) -> dict[str, Path]:
    """Object name -> source; the architecture's own come last and win."""
    names: dict[str, Path] = {}
    for path in sorted(folder.glob("*.c")):
        names[str((folder / path.stem).relative_to(source))] = path
    for path in sorted((folder / ARCH).glob("*")):
        if path.suffix in _SUFFIXES:
            names[str((folder / path.stem).relative_to(source))] = path
    return names


def name_of(places: Places, path: Path) -> str:
    """A source's name in both trees."""
    root = places.overlay if path.is_relative_to(places.overlay) else places.source
    return str(path.relative_to(root))


def make_headers(places: Places, version: str) -> None:
    """The three headers that musl's Makefile generates."""
    bits = places.out / "include" / "bits"
    bits.mkdir(parents=True, exist_ok=True)
    arch = places.source / "arch" / ARCH / "bits"
    script = places.source / "tools" / "mkalltypes.sed"
    inputs = [arch / "alltypes.h.in", places.source / "include" / "alltypes.h.in"]
    _write_if_other(bits / "alltypes.h", _output(["sed", "-f", str(script), *map(str, inputs)]))
    numbers = (arch / "syscall.h.in").read_text()
    renamed = [line.replace("__NR_", "SYS_") for line in numbers.splitlines() if "__NR_" in line]
    _write_if_other(bits / "syscall.h", numbers + "\n".join(renamed) + "\n")
    internal = places.out / "internal"
    internal.mkdir(parents=True, exist_ok=True)
    _write_if_other(internal / "version.h", f'#define VERSION "{version}"\n')


def install_headers(places: Places) -> None:
    """The public headers, in one folder; a later one of the same name wins."""
    into = places.out / "sysroot" / "include"
    fresh = places.out / "sysroot" / "include.fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    arch = places.source / "arch"
    shutil.copytree(arch / "generic" / "bits", fresh / "bits")
    for folder in (arch / ARCH / "bits", places.out / "include" / "bits"):
        shutil.copytree(folder, fresh / "bits", dirs_exist_ok=True)
    shutil.copytree(places.source / "include", fresh, dirs_exist_ok=True)
    for path in fresh.rglob("*.in"):
        path.unlink()
    shutil.rmtree(into, ignore_errors=True)
    fresh.rename(into)


def headers(places: Places) -> list[Path]:
    """Where those who use the library find its headers."""
    return [places.out / "sysroot" / "include"]


def flags(places: Places, path: Path) -> list[str]:
    """The compiler's flags for one source."""
    source, name = places.source, name_of(places, path)
    is_check = name.startswith(_CHECKS)
    words = [f"--target={TARGET}", "-std=c23" if is_check else "-std=c99", "-ffreestanding"]
    # The checks read our own headers, which want some of the compiler's.
    words.append("-nostdlibinc" if is_check else "-nostdinc")
    words += ["-w", "-fno-strict-aliasing", "-frounding-math"]
    words += ["-fno-sanitize=safe-stack", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
    words += ["-ffunction-sections", "-fdata-sections", "-fPIC"]
    is_early = name.startswith(_BEFORE_CANARY)
    words.append("-fno-stack-protector" if is_early else "-fstack-protector-strong")
    words.append("-O3" if name.startswith(_FAST) else "-Os")
    folders = [
        places.overlay / "arch" / ARCH, source / "arch" / ARCH, source / "arch" / "generic",
        places.out / "internal", source / "src" / "include", source / "src" / "internal",
        places.out / "include", source / "include", places.system / "include",
    ]  # fmt: skip
    if is_check:
        folders.append(places.system.parents[1] / "abi" / "include")
    # A file of the overlay includes neighbours of the file whose place it takes.
    folders.append(source / Path(name).parent)
    words += ["-D_XOPEN_SOURCE=700", *(f"-I{folder}" for folder in folders)]
    if path.suffix != ".c":
        words = [word for word in words if not word.startswith("-std=")]
    return words


def object_path(places: Places, path: Path) -> Path:
    return (places.out / "obj" / name_of(places, path)).with_suffix(".o")


def ninja_file(places: Places, paths: list[Path], checks: list[Path]) -> str:
    """The build of everything, for ninja."""
    unset = " ".join(f"-u {name}" for name in _SEARCH_PATHS)
    lines = [
        "rule cc",
        f"  command = env {unset} clang-19 -MMD -MF $out.d $flags -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule ar",
        "  rspfile = $out.rsp",
        "  rspfile_content = $in",
        "  command = rm -f $out && llvm-ar-19 rcsD $out @$out.rsp",
    ]
    for path in paths + checks:
        lines += [f"build {object_path(places, path)}: cc {path}"]
        lines += [f"  flags = {' '.join(flags(places, path))}"]
    # The dynamic linker is in the shared library only.
    members = [object_path(places, path) for path in paths]
    linker = [path for path in members if path.is_relative_to(places.out / "obj" / "ldso")]
    library = [path for path in members if path not in set(linker)]
    lines.append(f"build {archive(places)}: ar {' '.join(map(str, library))}")
    lines.append(f"build {places.out / 'libdynlink.a'}: ar {' '.join(map(str, linker))}")
    return "\n".join(lines) + "\n"


def archive(places: Places) -> Path:
    return places.out / "libc_musl.a"


def compile_all(places: Places, *, jobs: int | None = None) -> list[Path]:
    """Brings objects and archive up to date, and returns the sources whose objects are there."""
    paths = sources(places)
    checks = sorted((places.overlay / _CHECKS).glob("*.c"))
    build = places.out / "build.ninja"
    _write_if_other(build, ninja_file(places, paths, checks))
    command = ["ninja", "-C", str(places.out), "--quiet"]
    if jobs is not None:
        command += ["-j", str(jobs)]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        raise RecipeError(f"musl does not compile:\n{(answer.stdout + answer.stderr).strip()}")
    return paths


# What would change the compiler's search paths.
_SEARCH_PATHS = ("CPATH", "C_INCLUDE_PATH", "COMPILER_PATH", "LIBRARY_PATH")


def environment() -> dict[str, str]:
    """Ours without what changes the compiler's search paths."""
    return {name: value for name, value in os.environ.items() if name not in _SEARCH_PATHS}


def _write_if_other(path: Path, text: str) -> None:
    """Keeps the time of a file that would not change."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def _output(words: list[str]) -> str:
    answer = subprocess.run(words, capture_output=True, text=True)
    if answer.returncode != 0:
        raise RecipeError(f"`{' '.join(words)}`: {answer.stderr.strip()}")
    return answer.stdout
