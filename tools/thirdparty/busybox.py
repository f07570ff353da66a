"""busybox: the shell, and the tools that toybox lacks.

Its scripts make the headers (which programs there are, their usage); which sources take part is
read from the same Kbuild files that its Makefile reads.
"""

import re
from pathlib import Path

from thirdparty import program
from thirdparty.recipe import RecipeError

_OBJECTS = re.compile(r"(?:lib|obj)-(?:y|\$\(CONFIG_(\w+)\))\s*[+:]?=([^#]*)")
_TABLE = re.compile(r'^"(\S+)" "\\0"$', re.MULTILINE)
_MAKE = ("make", "-s", f"HOSTCC={program.HOST_CC}", f"CC={program.HOST_CC}")


def configure(source: Path, config: Path) -> None:
    """Everything off, then ours on: its `allnoconfig` does not take settings from a file."""
    ours = config.read_text()
    dot_config = source / ".config"
    dot_config.unlink(missing_ok=True)
    program.run_script([*_MAKE, "allnoconfig"], source)
    dot_config.write_text(program.merge_config(dot_config.read_text(), ours))
    # An empty line takes the default of what the settings above have brought up.
    program.run_script([*_MAKE, "oldconfig"], source, answers="\n" * 1000)
    program.check_config(dot_config.read_text(), ours)
    program.run_script([*_MAKE, "prepare"], source)


def objects_of(kbuild: str, enabled: set[str]) -> list[str]:
    """Names of the sources that a Kbuild file selects."""
    found = []
    for line in kbuild.replace("\\\n", " ").splitlines():
        match = _OBJECTS.match(line)
        if match and (match[1] is None or match[1] in enabled):
            found += [word[:-2] + ".c" for word in match[2].split() if word.endswith(".o")]
    return found


def sources(source: Path) -> list[Path]:
    enabled = program.enabled(source)
    found: set[Path] = set()
    for kbuild in source.rglob("Kbuild"):
        folder = kbuild.parent.relative_to(source)
        found |= {folder / name for name in objects_of(kbuild.read_text(), enabled)}
    return sorted(found)


def flags(source: Path) -> list[str]:
    version = source.name.partition("-")[2]
    return [
        # It asks for a Linux by name where it means the interface of one.
        "-D__linux__", "-D_GNU_SOURCE", "-DNDEBUG", "-D_LARGEFILE_SOURCE",
        f'-DBB_VER="{version}"', '-DBB_EXTRA_VERSION=""', "-Iinclude", "-Ilibbb", "-include", "include/autoconf.h",
    ]  # fmt: skip


def names(source: Path) -> list[str]:
    found = _TABLE.findall((source / "include" / "applet_tables.h").read_text())
    if "sh" not in found:
        raise RecipeError(f"{source}: applet_tables.h is not understood")
    return sorted(found)


PACKAGE = program.Package("busybox", configure, sources, flags, names)
