"""Which objects of musl ask the system for what: measured from what was compiled.

The overlay makes every operation whose number the compiler knows a call of a function, `sys_NAME`;
what an object wants is among its undefined symbols. An object that wants the gate itself passes a
number that the compiler does not know. Assembly could have the instruction itself: that is found by
disassembling the objects.
"""

import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from thirdparty import musl
from thirdparty.recipe import RecipeError

GATE = "__jx_syscall"
_OPERATION = "sys_"
UNKNOWN = "(not constant)"

_UNDEFINED = re.compile(r"(\S+?):\s+U (\S+)$")
_FILE = re.compile(r"(\S+):\s+file format ")
_INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+(?:syscall|sysenter|int\s+\$0x80)\b")


@dataclass
class Report:
    files: int = 0
    # Operation -> the sources that ask for it.
    calls: dict[str, set[str]] = field(default_factory=dict)
    # Sources with the system call instruction.
    raw: list[str] = field(default_factory=list)

    def asking(self) -> set[str]:
        return set().union(*self.calls.values())


def undefined(listing: str) -> dict[str, set[str]]:
    """Object -> names it wants from others, from `llvm-nm -A -u`."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for line in listing.splitlines():
        match = _UNDEFINED.match(line)
        if match is not None:
            wanted[match.group(1)].add(match.group(2))
    return wanted


def operations(names: set[str]) -> set[str]:
    """The operations among the names that an object wants."""
    found = {name.removeprefix(_OPERATION) for name in names if name.startswith(_OPERATION)}
    return found | ({UNKNOWN} if GATE in names else set())


def with_instruction(listing: str) -> list[str]:
    """The files, in `llvm-objdump -d` of several, that have a system call instruction."""
    current = ""
    found: dict[str, None] = {}
    for line in listing.splitlines():
        file = _FILE.match(line)
        if file is not None:
            current = file.group(1)
        elif _INSTRUCTION.match(line):
            found[current] = None
    return list(found)


def measure(places: musl.Places, paths: list[Path]) -> Report:
    objects = {str(musl.object_path(places, path)): path for path in paths}
    wanted = undefined(_run("llvm-nm-19", ["-A", "-u", *objects]))
    raw = with_instruction(_run("llvm-objdump-19", ["-d", "--no-show-raw-insn", *objects]))
    report = Report(files=len(paths))
    report.raw = [musl.name_of(places, objects[name]) for name in raw]
    for name, path in objects.items():
        for operation in operations(wanted[name]):
            report.calls.setdefault(operation, set()).add(musl.name_of(places, path))
    return report


def text(report: Report) -> str:
    """For people: counts, files with the instruction, then who asks for each operation."""
    lines = [
        f"files compiled           {report.files}",
        f"ask the system           {len(report.asking())}",
        f"operations asked for     {len(report.calls.keys() - {UNKNOWN})}",
        f"with a raw instruction   {len(report.raw)}",
        *(f"    {name}" for name in report.raw),
        "",
    ]
    for operation in sorted(report.calls):
        who = ", ".join(sorted(name.removeprefix("src/") for name in report.calls[operation]))
        lines.append(f"{operation}: {who}")
    return "\n".join(lines) + "\n"


def _run(tool: str, arguments: list[str]) -> str:
    answer = subprocess.run([tool, *arguments], capture_output=True, text=True)
    if answer.returncode != 0:
        raise RecipeError(f"{tool}: {answer.stderr.strip()}")
    return answer.stdout
