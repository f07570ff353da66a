"""Programs: from a command to an exit code, on small and large machines, and of any size."""

import re
import subprocess
import unittest
from pathlib import Path

from jx.testing.lab import SystemTest, limit, soak
from jx.tree import out_dir


class ProgramsTest(SystemTest):
    """What a user sees of programs."""

    def test_output_and_exit_codes(self) -> None:
        result = self.run_commands("hello a b", "exit 3", "no-such-program", "echo last")
        self.assertEqual([c.code for c in result.commands], [0, 3, 127, 0])
        self.assertEqual(result.commands[0].output, b"hello a b\n")
        self.assertEqual(result.commands[3].output, b"last\n")

    def test_files_of_the_boot_image(self) -> None:
        result = self.run_commands("ls /boot/bin", "cat /boot/doc/LICENSE")
        names = result.commands[0].output.decode()
        for name in ("hello", "init", "ls", "ps"):
            self.assertIn(name, names)
        self.assertTrue(result.commands[1].output.startswith(b"MIT License"))

    def test_prompt(self) -> None:
        with self.boot() as console:
            console.type("hello there\n")
            console.wait_text("hello there")
            console.type("no-such-program\n")
            console.wait_text("no such command")
            console.type("ps\n")
            console.wait_text("init")
            console.type("poweroff\n")
            self.assertEqual(console.wait_end().how, "power-off")

    def test_kernel_commands(self) -> None:
        result = self.run_commands("k mem", "k threads", "k drain", "k no-such-command")
        self.assertEqual([c.code for c in result.commands][:3], [0, 0, 0])
        self.assertNotEqual(result.commands[3].code, 0)
        self.assertIn(b"free", result.commands[0].output)
        self.assertIn(b"idle/0", result.commands[1].output)

    def test_least_memory(self) -> None:
        result = self.run_commands("hello small", mem="32M", smp=1)
        self.assertEqual(result.commands[0].output, b"hello small\n")

    @limit(180)
    def test_many_cpus(self) -> None:
        result = self.run_commands("hello wide", smp=16, seconds=120)
        self.assertEqual(result.commands[0].output, b"hello wide\n")

    def test_plain_cpu(self) -> None:
        """QEMU's default model: no SMEP, SMAP, AVX or XSAVE."""
        result = self.run_commands("hello plain", cpu="qemu64")
        self.assertEqual(result.commands[0].output, b"hello plain\n")


class BigProgramTest(SystemTest):
    """A program of 96 MiB: code and data all over it, every kind of relocation, a hole, a large bss."""

    def big(self) -> Path:
        folder = out_dir(self.settings.variant)
        subprocess.run(["ninja", "-C", str(folder), "big_programs"], check=True, stdout=subprocess.DEVNULL)
        return folder / "big"

    @limit(300)
    def test_runs_and_costs_no_more_than_a_small_one(self) -> None:
        big = self.big()
        result = self.run_commands(
            "big",
            "test/loader cost_does_not_depend_on_size",
            seconds=200,
            adds=((big / "big", "bin/big"),),
        )
        self.assertEqual(result.commands[0].output, (big / "big.expected").read_bytes())
        self.assertEqual([c.code for c in result.commands], [0, 0])


class SoakTest(SystemTest):
    """Long runs that must leave nothing behind."""

    @soak
    @limit(3600)
    def test_ten_thousand_programs(self) -> None:
        self.spawn_and_compare(10_000)

    @limit(240)
    def test_five_hundred_programs(self) -> None:
        self.spawn_and_compare(500)

    @soak
    @limit(3600)
    def test_a_million_switches(self) -> None:
        self.storm(70_000, 1_000_000)

    def test_twenty_thousand_switches(self) -> None:
        self.storm(1_500, 20_000)

    def storm(self, rounds: int, switches: int) -> None:
        """Eight processes answer calls; each finds its own memory and registers as it left them."""
        result = self.run_commands(f"bench storm {rounds}", seconds=3500)
        text = result.commands[0].output.decode()
        self.assertEqual(result.commands[0].code, 0, text)
        counted = re.search(r"storm: (\d+) switches, 0 broken", text)
        self.assertIsNotNone(counted, text)
        assert counted is not None
        self.assertGreaterEqual(int(counted.group(1)), switches)

    def spawn_and_compare(self, count: int) -> None:
        """What the kernel holds, drained, is the same to the page and the object before and after."""
        result = self.run_commands(
            "spawn 20 bin/hello", "k drain", f"spawn {count} bin/hello", "k drain", seconds=3500
        )
        self.assertEqual([c.code for c in result.commands], [0, 0, 0, 0])
        before, after = result.commands[1].output, result.commands[3].output
        self.assertIn(b"allocated_pages", before)
        self.assertIn(b"heap_objects", before)
        self.assertEqual(before, after)


if __name__ == "__main__":
    unittest.main()
