"""Tests of machine.py's command line and of guest.py with a real QEMU and a guest of 60 lines."""

import argparse
import contextlib
import io
import os
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from jx import guest as module
from jx import interactive, machine
from jx.guest import Ended, Guest, GuestError, Input, NewlineDecoder
from jx.machine import BootFiles, Channels, Settings, qemu_command
from jx.markers import Marker
from jx.testing import fake_guest
from jx.testing.fake_guest import FakeGuest

_CHANNELS = Channels(Path("/s"), Path("/q"), Path("/d"))


class ArgumentsTest(unittest.TestCase):
    def _parse(self, *words: str) -> Settings:
        parser = argparse.ArgumentParser(exit_on_error=False)
        machine.add_arguments(parser)
        return machine.from_arguments(parser.parse_args(list(words)))

    def test_defaults(self) -> None:
        self.assertEqual(self._parse(), Settings())

    def test_everything(self) -> None:
        me = str(Path(__file__))
        got = self._parse(
            "--debug", "--smp", "8", "--mem", "64", "--uefi", "--machine", "pc", "--icount",
            "--add", f"{me}=/boot/bin/x", "--add", f"{me}=y", "--disk", me,
            "--append", "a=1", "--append", "b", "--qemu-arg=-s -S", "--verbose",
        )  # fmt: skip
        path = Path(me).resolve()
        want = Settings(
            "debug", True, False, "pc", 8, "64M", "max", True, "a=1 b", ((path, "bin/x"), (path, "y")),
            (path,), ("-s -S",), True,
        )  # fmt: skip
        self.assertEqual(got, want)

    def test_refused(self) -> None:
        for words in (["--smp", "0"], ["--smp", "x"], ["--mem", "0"], ["--mem", "1Q"],
                      ["--add", "nothing"], ["--add", "/no/such=bin/x"], ["--disk", "/no/such"],
                      ["--machine", "virt"]):  # fmt: skip
            with self.subTest(words), self.assertRaises((argparse.ArgumentError, SystemExit)):
                self._parse(*words)

    def test_direct_command(self) -> None:
        files = BootFiles(Path("/k"), Path("/z"), "log.serial=0 x")
        words = qemu_command(Settings(qemu_args=("-s -S",), disks=(Path("/a,b"),)), files, _CHANNELS)
        text = " ".join(words)
        self.assertIn("-kernel /k -initrd /z", text)
        self.assertIn("log.serial=0 x", words)
        self.assertIn("file=/a,,b", text)
        self.assertNotIn("pflash", text)
        self.assertEqual(words[-2:], ["-s", "-S"])

    def test_uefi_command(self) -> None:
        files = BootFiles(Path("/k"), Path("/z"), "", esp=Path("/esp"), vars=Path("/vars"))
        text = " ".join(qemu_command(Settings(uefi=True), files, _CHANNELS))
        self.assertRegex(text, r"unit=0,format=raw,readonly=on,file=\S*CODE")
        self.assertIn("unit=1,format=raw,file=/vars", text)
        self.assertIn("virtio-blk-pci,drive=esp,bootindex=0", text)
        self.assertNotIn("-kernel", text)

    def test_microvm_command(self) -> None:
        files = BootFiles(Path("/k"), Path("/z"), "")
        settings = Settings(machine="microvm", disks=(Path("/d"),))
        text = " ".join(qemu_command(settings, files, _CHANNELS))
        self.assertIn("-machine microvm,acpi=on,pit=on,rtc=on ", text)
        self.assertIn("virtio-blk-device,drive=disk0", text)
        self.assertNotIn("pci", text)
        with self.assertRaises(argparse.ArgumentTypeError):
            self._parse("--uefi", "--machine", "microvm")

    def test_memory_that_firmware_needs(self) -> None:
        for size in ("32M", "49151k", "1"):
            with self.assertRaisesRegex(argparse.ArgumentTypeError, "48M"):
                self._parse("--uefi", "--mem", size)
        for size in ("48M", "49152K", "1g"):
            self.assertEqual(self._parse("--uefi", "--mem", size).mem, size)
        self.assertEqual(self._parse("--mem", "8M").mem, "8M")


class NewlineDecoderTest(unittest.TestCase):
    def test_removes_exactly_one_cr_before_a_newline(self) -> None:
        data = b"a\r\nb\r\r\n\rc\n\r"
        for step in range(1, len(data)):
            decoder = NewlineDecoder()
            out = b"".join(decoder.feed(data[i : i + step]) for i in range(0, len(data), step))
            self.assertEqual(out + decoder.finish(), b"a\nb\r\n\rc\n\r")


@unittest.skipUnless(fake_guest.CAN_BOOT, "QEMU or clang is not installed")
class GuestTest(unittest.TestCase):
    fake: FakeGuest

    @classmethod
    def setUpClass(cls) -> None:
        cls.fake = FakeGuest()
        cls.addClassCleanup(cls.fake.remove)

    def _guest(self, **changes: object) -> Guest:
        settings = Settings(smp=1, mem="32M").with_changes(**changes)
        return Guest(settings, self.fake.files(b""))

    def _run(self, letters: bytes, seconds: float = 30.0) -> tuple[bytes, list[Marker], Ended | None]:
        """Types the letters when the guest is ready; gives its text, markers and end."""
        text, deadline = b"", time.monotonic() + seconds
        markers: list[Marker] = []
        with self._guest() as guest:
            while True:
                event = guest.next(deadline)
                if event is None or isinstance(event, Ended):
                    return text, markers, event
                if isinstance(event, bytes):
                    text += event
                if isinstance(event, Marker):
                    markers.append(event)
                    if event.word == "ready":
                        guest.send(letters)

    def test_ends_are_told_apart(self) -> None:
        for letters, how in ((b"abc\np", "power-off"), (b"x", "clean"), (b"r", "reset")):
            with self.subTest(how):
                text, markers, end = self._run(letters)
                self.assertEqual(end and end.how, how)
                self.assertEqual(text, b"echo guest\n" + letters)
                self.assertEqual(markers, [Marker("ready", "")])

    def test_panic(self) -> None:
        text, markers, end = self._run(b"X")
        self.assertEqual(end, Ended("panic"))
        self.assertEqual(markers[-1], Marker("panic", "asked for"))
        self.assertIn(b"{{{bt:0:0x10}}}\n", text)

    def test_hang_meets_the_deadline(self) -> None:
        self.assertIsNone(self._run(b"h", seconds=3.0)[2])

    def test_typing_does_not_wait_for_a_guest_that_does_not_read(self) -> None:
        with self._guest() as guest:
            deadline = time.monotonic() + 30
            while guest.next(deadline) != Marker("ready", ""):
                pass
            guest.send(b"h" + b"." * (4 << 20))
            self.assertTrue(guest.is_sending())

    def test_the_limit_of_a_machine_whose_input_has_ended(self) -> None:
        with contextlib.ExitStack() as stack:
            stdin = stack.enter_context(tempfile.TemporaryFile())
            stdin.write(b"h" + b"." * (4 << 20))
            stdin.seek(0)
            out = stack.enter_context(tempfile.TemporaryFile())
            errors = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            images = fake_guest.FakeImages(self.fake, [b""])
            for name, value in (("sys.stdin", stdin), ("sys.stdout", out), ("jx.interactive.BootImage", images),
                                ("jx.interactive.symbolizer", mock.Mock())):  # fmt: skip
                stack.enter_context(mock.patch(name, value))
            self.assertEqual(interactive.run(Settings(smp=1, mem="32M"), limit=2.0), 124)
        self.assertEqual(errors.getvalue(), "jx: time limit of 2 s reached\n")

    def test_qmp_debug_log_and_other_input(self) -> None:
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        with self._guest() as guest:
            deadline = time.monotonic() + 30
            while guest.next(deadline) != Marker("ready", ""):
                pass
            status = guest.query("query-status")
            self.assertEqual(status["running"], True)  # type: ignore[index]
            with self.assertRaises(GuestError):
                guest.query("no-such-command")
            self.assertIn("echo guest", guest.debug_log())
            os.close(write_end)
            self.assertEqual(guest.next(deadline, also=read_end), Input(read_end))

    def test_qemu_that_does_not_start_says_why(self) -> None:
        with self.assertRaisesRegex(GuestError, "no-such-option"):
            with self._guest(qemu_args=("-no-such-option",)):
                self.fail("it started")

    def test_a_disk_is_of_one_machine(self) -> None:
        with tempfile.NamedTemporaryFile(suffix=".img") as image:
            os.truncate(image.name, 1 << 20)
            disks, deadline = (Path(image.name),), time.monotonic() + 30
            with self._guest(disks=disks) as first:
                while first.next(deadline) != Marker("ready", ""):
                    pass
                with self.assertRaisesRegex(GuestError, f"^QEMU .*: {image.name} is in use by another machine$"):
                    with self._guest(disks=disks) as second:
                        end = second.next(deadline)
                        self.assertIsInstance(end, Ended)
                        raise GuestError(end.words())  # type: ignore[union-attr]

    def test_silence_is_named(self) -> None:
        limit, module.FIRST_BYTE_S = module.FIRST_BYTE_S, 1.0
        self.addCleanup(setattr, module, "FIRST_BYTE_S", limit)
        with self._guest(qemu_args=("-S",)) as guest:
            event = guest.next(time.monotonic() + 10)
        self.assertIsInstance(event, Ended)
        self.assertEqual(event.how, "silent")  # type: ignore[union-attr]


if __name__ == "__main__":
    unittest.main()
