"""Lays out the SDK: a folder that clang, CMake and pkg-config can use wherever it is moved to.

    jacinth.cfg, jacinth-static.cfg   clang's configurations (dynamic, static)
    jacinth.cmake                     CMake's toolchain file
    sysroot/include, sysroot/lib      headers, libraries; lib/pkgconfig says what belongs together
    sysroot/static                    start-up code of programs without a dynamic linker
    clang/                            the compiler's own headers and its run-time library
    tools/                            the protocol compiler
    examples/                         sources to begin from, with a CMakeLists.txt
    licenses/                         of what comes from elsewhere

Everything is copied from a finished build; nothing is compiled here. The folder is made beside its
place and put there at the end, so that an interrupted run leaves the old one.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# The libraries, in the order of dependence: name, its headers' folder below the tree, what it needs.
LIBRARIES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("fidl", "sdk/lib/fidl/include", "encoding and decoding of FIDL messages", ()),
    ("async", "sdk/lib/async/include", "an event loop on a port", ("fidl",)),
    ("io", "sdk/lib/io/include", "files, directories and terminals (jacinth.io)", ("fidl", "async")),
    ("launcher", "sdk/lib/launcher/include", "processes from ELF files", ()),
    ("launchsvc", "sdk/lib/launchsvc/include", "the launcher service, from both sides", ("launcher", "fidl")),
)  # fmt: skip
# Headers without a library of their own: they belong to the system's interface, or to one above.
_HEADERS = (
    "kernel/lib/include", "sdk/abi/include", "sdk/lib/cxx/include", "sdk/lib/elf/include",
    "sdk/lib/processargs/include", "sdk/lib/status/include",
)  # fmt: skip
# Of these folders only what programs may use: <jacinth/...>, <zircon/...>.
_PARTLY = ("sdk/lib/crt0/include", "sdk/libc/system/names/include")
_COMPILER = Path("/usr/lib/llvm-19/lib/clang/19")
_BUILTINS = _COMPILER / "lib" / "linux" / "libclang_rt.builtins-x86_64.a"
_LICENSES = {
    "llvm.txt": Path("/usr/share/doc/libclang-rt-19-dev/copyright"),
}
_PYTHON = ("fidlgen",)


class KitError(Exception):
    """Something that the SDK is made of is not there."""


@dataclass(frozen=True)
class Places:
    """The tree, its build folder of the release variant, and where musl was made."""

    root: Path
    build: Path
    musl: Path

    def musl_source(self) -> Path:
        found = sorted(self.musl.glob("musl-*/COPYRIGHT"))
        if len(found) != 1:
            raise KitError(f"{self.musl}: {len(found)} sources of musl")
        return found[0].parent


def assemble(places: Places, target: Path) -> None:
    """Makes the SDK at `target`, in place of what is there if that is an SDK."""
    if target.exists() and any(target.iterdir()) and not (target / "jacinth.cfg").is_file():
        raise KitError(f"{target}: there is something else")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for step in (_configurations, _headers, _libraries, _compiler, _tools, _examples, _licenses):
        step(places, fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def _configurations(places: Places, kit: Path) -> None:
    for path in sorted((places.root / "sdk" / "kit").iterdir()):
        if path.suffix in (".cfg", ".cmake", ".md"):
            _copy(path, kit / path.name)


def _headers(places: Places, kit: Path) -> None:
    include = kit / "sysroot" / "include"
    _copy_folder(places.musl / "sysroot" / "include", include)
    own = [places.root / folder for folder in _HEADERS]
    own += [places.root / headers for _, headers, _, _ in LIBRARIES]
    generated = places.build / "libc" / "gen"
    own += sorted(generated.glob("sdk/fidl/*/*/include"))
    own.append(generated / "syscall" / "include")
    for folder, name in ((places.root / one, name) for one in _PARTLY for name in ("jacinth", "zircon")):
        if (folder / name).is_dir():
            _copy_folder(folder / name, include / name)
    for folder in own:
        if folder.is_dir():
            _copy_folder(folder, include)


def _libraries(places: Places, kit: Path) -> None:
    lib, static = kit / "sysroot" / "lib", kit / "sysroot" / "static"
    own = places.build / "libc/obj/sdk/kit"
    _copy(places.build / "user" / "libzircon.so", lib / "libzircon.so", strip=True)
    _copy(places.build / "sysroot" / "lib" / "libc.a", lib / "libc.a")
    _copy(places.build / "libc" / "libc.so", lib / "libc.so", strip=True)
    start = places.build / "libc/obj/sdk/libc/system/start"
    _copy(start / "Scrt1.Scrt1.S.o", lib / "Scrt1.o")
    _copy(start / "rcrt1.rcrt1.S.o", static / "Scrt1.o")
    for name in ("cxxbase", "status", *(name for name, _, _, _ in LIBRARIES)):
        _copy(own / f"lib{name}.a", lib / f"lib{name}.a")
    # What other systems keep apart is in libc.
    for name in ("m", "pthread", "rt", "dl", "util", "crypt", "resolv"):
        (lib / f"lib{name}.a").write_bytes(b"!<arch>\n")
    for name, _, about, needs in LIBRARIES:
        (lib / "pkgconfig").mkdir(exist_ok=True)
        (lib / "pkgconfig" / f"{name}.pc").write_text(pkg_config(name, about, needs))


def pkg_config(name: str, about: str, needs: tuple[str, ...]) -> str:
    """A .pc file that works wherever the SDK is: pkg-config knows where it found it."""
    lines = ["prefix=${pcfiledir}/../..", f"Name: {name}", f"Description: {about}", "Version: 1"]
    if needs:
        lines.append(f"Requires: {' '.join(needs)}")
    lines += [f"Libs: -L${{prefix}}/lib -l{name}", "Cflags: -I${prefix}/include"]
    return "\n".join(lines) + "\n"


def _compiler(places: Places, kit: Path) -> None:
    _copy_folder(_COMPILER / "include", kit / "clang" / "include")
    folder = kit / "clang" / "lib" / "x86_64-unknown-fuchsia"
    _copy(_BUILTINS, folder / "libclang_rt.builtins.a")


def _tools(places: Places, kit: Path) -> None:
    for name in _PYTHON:
        for path in sorted((places.root / "tools" / name).glob("*.py")):
            if not path.name.endswith("_test.py"):
                _copy(path, kit / "tools" / name / path.name)


def _examples(places: Places, kit: Path) -> None:
    _copy_folder(places.root / "sdk" / "examples", kit / "examples", without=("BUILD.gn", "*_test.py", "parent.c", "workers.c"))


def _licenses(places: Places, kit: Path) -> None:
    _copy(places.root / "LICENSE", kit / "licenses" / "jacinth.txt")
    _copy(places.musl_source() / "COPYRIGHT", kit / "licenses" / "musl.txt")
    for name, path in _LICENSES.items():
        _copy(path, kit / "licenses" / name)


def _copy(source: Path, target: Path, *, strip: bool = False) -> None:
    if not source.is_file():
        raise KitError(f"{source}: not there")
    target.parent.mkdir(parents=True, exist_ok=True)
    if strip:
        subprocess.run(["llvm-strip-19", "-o", str(target), str(source)], check=True)
    else:
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode & 0o777)


def _copy_folder(source: Path, target: Path, *, without: tuple[str, ...] = ()) -> None:
    if not source.is_dir():
        raise KitError(f"{source}: not there")
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*without))
