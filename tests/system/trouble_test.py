"""What the machine itself may do to the kernel: non-maskable interrupts, machine checks."""

import random
import re
import time

from jx.testing.lab import Console, SystemTest, depends_on

_NMIS = 60


@depends_on("smp", "machine", "variant")
class TroubleTest(SystemTest):
    def test_nmis_are_counted_and_survived(self) -> None:
        """They arrive in user mode, in system calls, at switches, and on idle CPUs."""
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("bench storm 1000\r")
            console.wait_text("bench storm 1000\n")
            for _ in range(_NMIS):
                time.sleep(random.uniform(0.001, 0.03))
                console.guest.query("inject-nmi")
            console.wait_text(" 0 broken", seconds=100)
            console.wait_text("jacinth> ")
            console.type("k counters\r")
            counted = self._counter(console.wait_text("jacinth> "), "foreign_nmis")
            # Each goes to every CPU; one that finds another still pending there is lost.
            self.assertGreaterEqual(counted, self.settings.smp * _NMIS // 4)
            self.assertLessEqual(counted, self.settings.smp * _NMIS)
            console.type("k threads\r")
            threads = console.wait_text("jacinth> ")
            deepest = re.search(r"deepest kernel stack: (\d+) bytes", threads)
            self.assertIsNotNone(deepest, threads)
            assert deepest is not None
            self.assertGreater(int(deepest.group(1)), 500)
            self.assertLess(int(deepest.group(1)), 24 * 1024)
            console.type("k log\r")
            log = console.wait_text("jacinth> ")
            self.assertIn("non-maskable interrupt from outside", log)
            console.type("poweroff\r")
            self.assertEqual(console.wait_end().how, "power-off")

    @staticmethod
    def _counter(text: str, name: str) -> int:
        match = re.search(rf"(\d+) {name}\n", text)
        return int(match.group(1)) if match is not None else -1

    def test_a_machine_check_is_reported(self) -> None:
        """Valid, uncorrected, enabled, context corrupt, in bank 2 with an address."""
        status, address = 0xB600000000000135, 0x12345000
        with self.boot() as console:
            console.wait_text("jacinth> ")
            self._inject(console, f"mce 0 2 {status:#x} 0x4 {address:#x} 0x0")
            panic = console.wait_marker("panic")
            self.assertEqual(console.wait_end().how, "panic")
            self.assertIn(f"machine check (status {status:x}, global 4)", panic.rest)
            report = console.text.decode()
            self.assertIn("machine check on cpu 0, bank 2", report)
            self.assertIn(f"address {address:016x}", report)

    @staticmethod
    def _inject(console: Console, command: str) -> None:
        console.guest.query("human-monitor-command", **{"command-line": command})

    def test_a_policy_error_names_its_callers(self) -> None:
        """The report of a call that was refused: user mode's frames, from the vDSO to main."""
        result = self.run_commands("test/job policy_actions")
        text = result.commands[0].output.decode()
        self.assertEqual(result.commands[0].code, 0, text)
        report = text[text.index("crash: policy error") :]
        frames = re.findall(r"\{\{\{bt:(\d+):0x[0-9a-f]+:(\w+)\}\}\}", report)
        modules = [module for _, module in frames[:5]]
        self.assertEqual([number for number, _ in frames[:5]], ["0", "1", "2", "3", "4"], report)
        self.assertEqual(modules[1:], ["job"] * 4, report)
