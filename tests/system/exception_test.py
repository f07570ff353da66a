"""Exceptions and suspension leave nothing behind in the kernel."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.testing.lab import SystemTest, depends_on, limit
from jx.tree import ROOT

_PROGRAMS = ("test/exception", "test/suspend", "test/debugger", "test/hostile")


@depends_on("smp", "variant")
class LeakTest(SystemTest):
    """Handlers that die, threads that are killed in exceptions and while suspended, debug registers."""

    @limit(300)
    def test_nothing_is_left(self) -> None:
        rounds = (*_PROGRAMS, "k drain", "k mem")
        with TemporaryDirectory() as folder:
            # Nobody keeps reports of the crashes: that is meant to leave something.
            services = Path(folder) / "services"
            text = (ROOT / "system" / "etc" / "services").read_text()
            services.write_text(re.sub(r"(?m)^ *exceptions +programs$", "", text))
            adds = ((services, "etc/services"),)
            result = self.run_commands(*rounds, *rounds, seconds=280, adds=adds)
        self.assertEqual([command.code for command in result.commands], [0] * len(result.commands))
        before, after = (
            self._gauges(c.output.decode()) for c in result.commands if c.command == "k drain"
        )
        # A table of handles grows, a page at a time, until enough entries lie fallow.
        tables = [
            int(re.search(r"handle_chunk +4096 B x (\d+)", c.output.decode())[1])  # type: ignore[index]
            for c in result.commands
            if c.command == "k mem"
        ]
        grown = tables[1] - tables[0]
        for name in ("heap_objects", "allocated_pages"):
            self.assertEqual(before[name] + grown, after[name], (before, after, tables))

    @staticmethod
    def _gauges(text: str) -> dict[str, int]:
        return {n: int(v) for v, n in re.findall(r"^\s*(\d+) (\w+)$", text, re.MULTILINE)}
