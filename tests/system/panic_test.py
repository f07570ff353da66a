"""How the kernel ends: the report of each kind of crash, and what the tools make of it."""

import re
import time
import unittest

from jx.guest import Ended, Guest
from jx.boot_image import BootImage
from jx.markers import Marker
from jx.symbolize import Symbolizer
from jx.testing.lab import depends_on, settings_from_environment
from jx.tree import out_dir

_LIMIT_S = 60.0


@depends_on("smp", "machine", "variant")
class PanicTest(unittest.TestCase):
    """The kernel crashes itself on request (kernel.k="crash ...")."""

    def crash(self, how: str) -> tuple[str, str]:
        """The panic's reason and the report behind it, functions and lines in place."""
        settings = settings_from_environment().with_changes(append=f'kernel.k="crash {how}"')
        deadline = time.monotonic() + _LIMIT_S
        reason, text = "", b""
        with BootImage(settings) as files, Guest(settings, files) as guest:
            event = None
            while not isinstance(event, Ended):
                event = guest.next(deadline)
                self.assertIsNotNone(event, f"no end\n{text.decode(errors='replace')}")
                if isinstance(event, bytes):
                    text += event
                elif isinstance(event, Marker) and event.word == "panic":
                    reason = event.rest
        self.assertEqual(event.how, "panic", f"{event}\n{text.decode(errors='replace')}")
        report = text.decode(errors="replace")
        self.assertRegex(report, r"\{\{\{bias:0x[0-9a-f]+\}\}\}")
        symbols = Symbolizer(settings.kernel_elf(), out_dir(settings.variant) / "user")
        return reason, symbols.report(report)

    def test_null_pointer(self) -> None:
        reason, report = self.crash("null")
        self.assertRegex(reason, "kernel page fault: write at 8")
        first = re.search(r"^#0 .*", report, re.MULTILINE)
        self.assertIsNotNone(first, report)
        assert first is not None
        self.assertIn("crash", first.group(0))

    def test_failed_assertion(self) -> None:
        reason, report = self.crash("assert")
        self.assertRegex(reason, r"assertion failed: .* \(command\.c:\d+\)")
        self.assertIn("kcommand_run", report)
        self.assertIn("the last log records", report)

    def test_plain_panic_names_every_cpu(self) -> None:
        reason, report = self.crash("panic")
        self.assertEqual(reason, "asked for")
        cpus = settings_from_environment().smp
        for cpu in range(cpus):
            self.assertIn(f"cpu {cpu}: thread", report)

    def test_stack_overflow_hits_the_guard_page(self) -> None:
        reason, report = self.crash("stack")
        self.assertRegex(reason, "kernel stack overflow in thread 'main'")
        self.assertGreater(report.count("fall"), 10)


if __name__ == "__main__":
    unittest.main()
