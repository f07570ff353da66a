"""Which functions of musl ask the system for what: measured from what was compiled.

The overlay makes every system call of C code a call of `__jx_syscall` with a number; cancellation
points pass theirs through `__syscall_cp`. Both stay visible in the optimised code, with the number
as a constant where the compiler knows it. Assembly has the instruction itself: that is found by
disassembling the objects.
"""

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from thirdparty import musl
from thirdparty.recipe import RecipeError

_GATES = ("__jx_syscall", "__syscall_cp")
UNKNOWN = "(not constant)"

_DEFINE = re.compile(r"define .*?@\"?([\w.$]+)\"?\(")
_CALL = re.compile(r"call .*?@(__jx_syscall|__syscall_cp)\(i64 (?:\w+ )*?(-?\d+|%[\w.]+)[,)]")
_NUMBER = re.compile(r"#define __NR_(\w+)\s+(\d+)\s*$", re.MULTILINE)
_UNDEFINED = re.compile(r"(\S+?):\s+U (\S+)$")
_FILE = re.compile(r"(\S+):\s+file format ")
_INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+syscall\b")


@dataclass(frozen=True)
class Call:
    """A function asks for an operation."""

    operation: str
    function: str
    source: str
    is_cancellation_point: bool


@dataclass
class Report:
    files: int = 0
    redirected: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


def numbers(header: str) -> dict[int, str]:
    """Number -> name, from musl's `bits/syscall.h.in`."""
    return {int(number): name for name, number in _NUMBER.findall(header)}


def calls_of(code: str, source: str, names: dict[int, str]) -> list[Call]:
    """What the functions of one compiled source ask for, each once."""
    function = ""
    found: dict[Call, None] = {}
    for line in code.splitlines():
        define = _DEFINE.match(line)
        if define is not None:
            function = define.group(1)
            continue
        call = _CALL.search(line)
        if call is None:
            continue
        gate, word = call.groups()
        operation = UNKNOWN if word.startswith("%") else names.get(int(word), word)
        found[Call(operation, function, source, gate == "__syscall_cp")] = None
    return list(found)


def undefined(listing: str) -> dict[str, set[str]]:
    """Object -> names it wants from others, from `llvm-nm -A -u`."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for line in listing.splitlines():
        match = _UNDEFINED.match(line)
        if match is not None:
            wanted[match.group(1)].add(match.group(2))
    return wanted


def with_instruction(disassembly: str) -> list[str]:
    """Objects that contain a system call instruction, from `llvm-objdump -d`."""
    current = ""
    found: dict[str, None] = {}
    for line in disassembly.splitlines():
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
    report = Report(files=len(paths), raw=[str(objects[name]) for name in raw])
    header = places.source / "arch" / musl.ARCH / "bits" / "syscall.h.in"
    names = numbers(header.read_text())
    for name, path in objects.items():
        if not wanted[name].intersection(_GATES):
            continue
        report.redirected.append(str(path))
        if path.suffix == ".c":
            report.calls += calls_of(musl.ir(places, path), str(path), names)
    return report


def text(report: Report) -> str:
    """For people: counts, the files that must be replaced, then who asks for each operation."""
    by_operation: dict[str, list[Call]] = defaultdict(list)
    for call in report.calls:
        by_operation[call.operation].append(call)
    functions = {(call.source, call.function) for call in report.calls}
    points = {(call.source, call.function) for call in report.calls if call.is_cancellation_point}
    lines = [
        f"files compiled           {report.files}",
        f"ask the system           {len(report.redirected)}",
        f"functions that ask       {len(functions)}",
        f"cancellation points      {len(points)}",
        f"operations asked for     {len(by_operation.keys() - {UNKNOWN})}",
        f"with a raw instruction   {len(report.raw)}",
        *(f"    {name}" for name in report.raw),
        "",
    ]
    for operation in sorted(by_operation):
        lines.append(f"{operation}: {_who(by_operation[operation])}")
    return "\n".join(lines) + "\n"


def _who(calls: Iterable[Call]) -> str:
    """`function (file)`, with * at cancellation points."""
    shown = set()
    for call in calls:
        star = "*" if call.is_cancellation_point else ""
        shown.add(f"{call.function}{star} ({call.source.removeprefix('src/')})")
    return ", ".join(sorted(shown))


def _run(tool: str, arguments: list[str]) -> str:
    answer = subprocess.run([tool, *arguments], capture_output=True, text=True)
    if answer.returncode != 0:
        raise RecipeError(f"{tool}: {answer.stderr.strip()}")
    return answer.stdout
