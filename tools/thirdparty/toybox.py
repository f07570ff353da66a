"""toybox: the utilities.

Its scripts make the headers under generated/. Which sources take part is what its scripts/make.sh
would compile: the library, and each source that defines a command that is configured.
"""

import re
from pathlib import Path

from thirdparty import program
from thirdparty.recipe import RecipeError

_DEFINES = re.compile(r"(?:NEW|OLD)TOY\((\w+)[ ,]")
_COMMAND = re.compile(r"^USE_(\w+)\((?:NEW|OLD)TOY\(([^ ,]+),.*$", re.MULTILINE)


def configure(source: Path, config: Path) -> None:
    compilers = {"CC": program.HOST_CC, "HOSTCC": program.HOST_CC}
    make = ["make", "-s", *(f"{name}={value}" for name, value in compilers.items())]
    program.run_script([*make, "allnoconfig"], source, KCONFIG_ALLCONFIG=str(config))
    program.check_config((source / ".config").read_text(), config.read_text())
    program.run_script(["bash", "scripts/make.sh"], source, **compilers, NOBUILD="1")


def sources(source: Path) -> list[Path]:
    enabled = {name.lower() for name in program.enabled(source)}
    found = [Path("main.c")]
    found += [path.relative_to(source) for path in (source / "lib").glob("*.c")]
    for path in (source / "toys").glob("*/*.c"):
        if enabled & {name.lower() for name in _DEFINES.findall(path.read_text(errors="replace"))}:
            found.append(path.relative_to(source))
    return sorted(found)


def flags(source: Path) -> list[str]:
    # It asks for a Linux by name where it means the interface of one.
    return ["-D__linux__", "-I."]


def names(source: Path) -> list[str]:
    enabled = program.enabled(source)
    table = (source / "generated" / "newtoys.h").read_text()
    found = [name for symbol, name in _COMMAND.findall(table) if symbol in enabled]
    if "toybox" not in found:
        raise RecipeError(f"{source}: newtoys.h is not understood")
    return sorted(name for name in found if name[0].isalnum() or name == "[")


PACKAGE = program.Package("toybox", configure, sources, flags, names)
