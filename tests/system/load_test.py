"""Many of everything at once: services, short processes, pipes; and nothing is left of them."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on, limit
from jx.tree import ROOT

_FILE = ROOT / "system" / "etc" / "services"
_SERVICES, _PROCESSES, _PIPES = 100, 1000, 200


def _gauges(text: str) -> dict[str, int]:
    return {name: int(value) for value, name in re.findall(r"(?m)^\s*(\d+) (\w+)$", text)}


@depends_on("variant")
class LoadTest(SystemTest):
    """On four CPUs and 256 MiB."""

    @limit(300)
    def test_a_hundred_services_a_thousand_processes_two_hundred_pipes(self) -> None:
        before, mark, after = _FILE.read_text().partition("# ---- programs ----\n")
        more = "".join(
            f"service extra{i}\n program /boot/bin/sleep 100000\n start at-boot\n"
            for i in range(_SERVICES)
        )
        storm = f"measure/storm {_PROCESSES} {_PIPES}"
        with TemporaryDirectory() as folder:
            path = Path(folder) / "services"
            path.write_text(f"{before}{more}\n{mark}{after}")
            result = self.run_commands(
                "svc", storm, "k drain", "k mem", storm, "k drain", "k mem",
                smp=4, mem="256M", adds=((path, "etc/services"),), seconds=280,
            )  # fmt: skip
        self._check_storms(result)
        said = result.commands[0].output.decode()
        self.assertEqual(len(re.findall(r"(?m)^extra\d+ +running ", said)), _SERVICES, said)
        first, second = (_gauges(result.commands[i].output.decode()) for i in (2, 5))
        tables = [
            int(re.search(r"handle_chunk +4096 B x (\d+)", result.commands[i].output.decode())[1])  # type: ignore[index]
            for i in (3, 6)
        ]
        # Tables of handles grow, a page at a time, until enough entries lie fallow; nothing else may.
        grown = tables[1] - tables[0]
        seen = (first, second, tables)
        self.assertEqual(first["heap_objects"] + grown, second["heap_objects"], seen)
        self.assertLess(second["allocated_pages"] - first["allocated_pages"] - grown, 5, seen)

    def _check_storms(self, result: ScriptResult) -> None:
        for command in result.commands:
            self.assertEqual(command.code, 0, f"{command.command}: {command.output!r}")
            if command.command.startswith("measure/storm"):
                text = f"{_PROCESSES} processes and {_PIPES} pipes\n0 wrong\n"
                self.assertEqual(command.output.decode(), text)
