"""The C library against the host's: tests/libc is compiled for both, and what it prints is compared.

A line is `GROUP.NUMBER: ...`. Lines of `math` may differ in the last places, since no library rounds
every function correctly; all others must be equal, but for those of _OTHER_ANSWERS. The number of
lines that agree is printed for docs/status.md.
"""

import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import build
from jx.testing.lab import SystemTest, depends_on, limit
from jx.tree import ROOT, out_dir

_SUITE = ROOT / "tests" / "libc"
# Rounding of the host and of ours may differ by this many units in the last place.
_ULPS = 4
# Where the host's library and ours are both within the standard, or the host is wrong.
_OTHER_ANSWERS = {
    # 99999.95 as %#.5g is 1.0000e+05: the host loses the zeros that # asks for.
    *(f"printf: float.{number}" for number in (200, 201, 326, 327, 410, 411)),
    # "0x" before the width ends, or before anything that is no digit, does not match (C23 7.23.6.2).
    "scanf: scan_int.18", "scanf: scan_int.19",
    # "1e" is no number, so nothing is assigned; the host takes the 1.
    "scanf: scan_text.16",
    # e2 28 cannot begin a character: an error at the second byte, not the third.
    "wide: mbrtowc.14",
    # The leftmost of the longest matches of the whole is the same; the parts may be divided either way.
    "regex: regex.26",
}  # fmt: skip


def _host_lines(name: str, folder: Path) -> list[str]:
    program = folder / name
    command = ["clang-19", "-O1", "-w", "-fno-builtin", "-frounding-math", "-D_GNU_SOURCE"]
    command += [str(_SUITE / f"{name}.c"), "-o", str(program), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    environment = {"TZ": "UTC0"}
    answer = subprocess.run([str(program)], check=True, capture_output=True, env=environment)
    return answer.stdout.decode("latin-1").splitlines()


def _close(ours: str, host: str) -> bool:
    """Lines of words that are doubles' bits: the last one within some places, the others equal."""
    a, b = ours.split(), host.split()
    if a[:-1] != b[:-1] or "nan" in (a[-1], b[-1]):
        return False
    x, y = (value if value < 1 << 63 else (1 << 63) - value for value in (int(a[-1], 16), int(b[-1], 16)))
    return abs(x - y) <= _ULPS


def _differences(name: str, ours: list[str], host: list[str]) -> list[str]:
    wrong = [f"{len(ours)} lines, the host has {len(host)}"] if len(ours) != len(host) else []
    for one, other in zip(ours, host, strict=False):
        case = f"{name}: {other.split(':')[0]}"
        same = one == other or case in _OTHER_ANSWERS
        if not same and other.startswith("math."):
            same = _close(one, other)
        if not same:
            wrong.append(f"{name}: ours {one[:400]}\n      host {other[:400]}")
    return wrong


@depends_on("variant")
class LibcSuiteTest(SystemTest):
    """String, stdio, numbers, calendars, wide characters, expressions."""

    @limit(300)
    def test_answers_as_the_host_does(self) -> None:
        names = sorted(path.stem for path in _SUITE.glob("*.c"))
        self.assertGreater(len(names), 5)
        build.build(self.settings.variant, ["libc_suite"])
        programs = out_dir(self.settings.variant) / "libc" / "suite"
        adds = tuple((programs / name, f"suite/{name}") for name in names)
        result = self.run_commands(*(f"suite/{name}" for name in names), adds=adds, seconds=240)
        wrong: list[str] = []
        lines = 0
        with TemporaryDirectory(prefix="jx-suite-") as folder:
            for name, command in zip(names, result.commands, strict=True):
                self.assertEqual(command.code, 0, f"{name}: {command.output[-500:]!r}")
                ours = command.output.decode("latin-1").splitlines()
                host = _host_lines(name, Path(folder))
                lines += len(host)
                wrong += _differences(name, ours, host)
        print(f"{lines - len(wrong)} of {lines} lines agree")
        self.assertEqual(wrong, [], "\n".join(wrong[:20]))


if __name__ == "__main__":
    unittest.main()
