"""Exceptions and suspension leave nothing behind in the kernel."""

import re

from jx.testing.lab import SystemTest, depends_on, limit

_PROGRAMS = ("test/exception", "test/suspend", "test/debugger")


@depends_on("smp", "variant")
class LeakTest(SystemTest):
    """Handlers that die, threads that are killed in exceptions and while suspended, debug registers."""

    @limit(300)
    def test_nothing_is_left(self) -> None:
        rounds = (*_PROGRAMS, "k drain")
        result = self.run_commands(*rounds, *rounds, seconds=280)
        self.assertEqual([command.code for command in result.commands], [0] * len(rounds) * 2)
        before, after = (
            self._gauges(c.output.decode()) for c in result.commands if c.command == "k drain"
        )
        for name in ("heap_objects", "allocated_pages"):
            self.assertEqual(before[name], after[name], (before, after))

    @staticmethod
    def _gauges(text: str) -> dict[str, int]:
        return {n: int(v) for v, n in re.findall(r"^\s*(\d+) (\w+)$", text, re.MULTILINE)}
