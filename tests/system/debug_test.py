"""`./jx debug` on the boot probe: gdb finds the relocated kernel and stops where it is told to."""

import shutil
import subprocess
import sys
import unittest

from jx.testing.lab import depends_on, settings_from_environment
from jx.tree import ROOT, out_dir


@depends_on("variant")
@unittest.skipUnless(shutil.which("gdb"), "gdb is not installed (./jx debug installs it)")
class DebugTest(unittest.TestCase):
    def test_stops_in_the_kernel_with_symbols(self) -> None:
        variant = settings_from_environment().variant
        probe = out_dir(variant) / "kernel" / "boot_probe.elf"
        command = [sys.executable, str(ROOT / "jx"), "debug", f"--{variant}", "--kernel", str(probe)]
        typed = "continue\nbacktrace\ninfo registers rip\ndelete\ncontinue\n"
        answer = subprocess.run(
            command, input=typed, cwd=ROOT, capture_output=True, text=True, timeout=100
        )
        text = answer.stdout + answer.stderr
        self.assertIn("Breakpoint 1, kernel_main", text)
        self.assertRegex(text, r"#1 .* kernel_entry .* at \./kernel/arch/x86/boot_entry\.c:\d+")
        self.assertRegex(text, r"rip +0xffffffff8\w+")
        self.assertIn("probe ok", text)


if __name__ == "__main__":
    unittest.main()
