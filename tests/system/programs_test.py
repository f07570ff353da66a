"""Programs on an old CPU, and switches between processes by the million."""

import re
import unittest

from jx.testing.lab import SystemTest, depends_on, limit, soak


@depends_on("uefi", "variant")
class PlainCpuTest(SystemTest):
    """QEMU's default model: no SMEP, SMAP, AVX or XSAVE."""

    def test_hello(self) -> None:
        result = self.run_commands("hello plain", cpu="qemu64")
        self.assertEqual(result.commands[0].output, b"hello plain\n")


@depends_on("variant")
class MicrovmTest(SystemTest):
    """QEMU's small machine: no PCI, no HPET, no PM timer, power-off by a register in memory."""

    def test_programs(self) -> None:
        for smp in (1, 4):
            with self.subTest(smp=smp):
                result = self.run_commands(
                    "hello micro", "spawn 3 bin/exit", "ps", machine="microvm", smp=smp, uefi=False
                )
                self.assertEqual(result.commands[0].output, b"hello micro\n")
                self.assertEqual([command.code for command in result.commands], [0, 0, 0])

    def test_a_machine_without_a_timer_says_so(self) -> None:
        result = self.try_commands(
            "hello", machine="microvm,pit=off", smp=1, uefi=False, seconds=40
        )
        self.assertTrue(result.panicked, result)
        self.assertIn("the clock cannot be calibrated", result.panic + result.debug_log)


@depends_on("smp", "variant")
class StormTest(SystemTest):
    """Eight processes answer calls; each finds its own memory and registers as it left them."""

    def test_twenty_thousand_switches(self) -> None:
        self.storm(1_500, 20_000)

    @soak
    @limit(3600)
    def test_a_million_switches(self) -> None:
        self.storm(70_000, 1_000_000)

    def storm(self, rounds: int, switches: int) -> None:
        result = self.run_commands(f"bench storm {rounds}", seconds=3500)
        text = result.commands[0].output.decode()
        self.assertEqual(result.commands[0].code, 0, text)
        counted = re.search(r"storm: (\d+) switches, 0 broken", text)
        self.assertIsNotNone(counted, text)
        assert counted is not None
        self.assertGreaterEqual(int(counted.group(1)), switches)


if __name__ == "__main__":
    unittest.main()
