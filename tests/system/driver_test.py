"""A driver in user mode for a device that QEMU has for the purpose: interrupts and DMA."""

import re

from jx.testing.lab import SystemTest, depends_on, limit

_EDU = "-device edu,addr=5.0,dma_mask=0xffffffffffff"
_PROGRAMS = ("test/edu", "test/interrupt", "test/bti")


@depends_on("variant", "smp")
class EduTest(SystemTest):
    """`test/edu` with the device in its slot; what drivers use leaves nothing behind."""

    @limit(200)
    def test_line_message_and_dma(self) -> None:
        rounds = (*_PROGRAMS, "k drain", "k mem")
        result = self.run_commands(
            *rounds, *rounds, machine="q35", uefi=False, qemu_args=(_EDU,), seconds=180
        )
        self.assertEqual([command.code for command in result.commands], [0] * len(result.commands))
        output = [command.output.decode(errors="replace") for command in result.commands]
        self.assertEqual(output[0].count("edu in slot 5"), 3, output[0])
        before, after = (self._gauges(output[n]) for n in (3, 8))
        # A table of handles grows, a page at a time, until enough entries lie fallow.
        first, second = (
            int(re.findall(r"handle_chunk +4096 B x (\d+)", output[n])[0]) for n in (4, 9)
        )
        for name in ("heap_objects", "allocated_pages"):
            self.assertEqual(before[name] + second - first, after[name], (before, after))

    @staticmethod
    def _gauges(text: str) -> dict[str, int]:
        return {n: int(v) for v, n in re.findall(r"^\s*(\d+) (\w+)$", text, re.MULTILINE)}
