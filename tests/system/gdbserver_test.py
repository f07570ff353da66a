"""`./jx debug --attach`: a real gdb on programs in the machine, over the second serial port."""

import random
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from jx import build
from jx.testing.lab import depends_on, limit, settings_from_environment
from jx.tree import ROOT, out_dir


_NONSENSE = (
    b"", b"!", b"p", b"pffff", b"P", b"P10", b"P10=12", b"G", b"Gzz", b"m", b"m1", b"m1,", b"m0,10",
    b"mffffffffffffffff,ffffffffffffffff", b"M0,ffffffffffffffff:", b"X0,2:a", b"Z9,0,1", b"Z0,zz,1",
    b"Z0,0,1", b"Z2,1,8", b"Z2,1000,3", b"Hg99999", b"Hx1", b"T1", b"vCont", b"vCont;", b"vCont;q",
    b"vCont;C", b"vCont;c:zz", b"vCont;s" + 40 * b";c", b"c1000", b"qXfer:features:read:other.xml:0,1",
    b"qXfer:features:read:target.xml:zz", b"qXfer:libraries-svr4:read::zz", b"qXfer:libraries-svr4:write:",
    b"qThreadExtraInfo,", b"QStartNoAckModeX", b"vNothing",
)  # fmt: skip


@depends_on("variant")
@unittest.skipUnless(shutil.which("gdb"), "gdb is not installed (./jx debug installs it)")
class GdbServerTest(unittest.TestCase):
    def _gdb(self, program: str, typed: list[str], *options: str) -> str:
        variant = settings_from_environment().variant
        build.build(variant, ["sdk/examples"])
        command = [sys.executable, str(ROOT / "jx"), "debug", f"--{variant}", *options]
        adds = {f"bin/{name}": f"user/{name}" for name in ("first", "workers")}
        adds["bin/linked"] = "libc/libc_linked"
        adds |= {f"lib/{name}": f"libc/{name}" for name in ("libutest_early.so", "libutest_late.so")}
        for boot, file in adds.items():
            command += ["--add", f"{out_dir(variant)}/{file}={boot}"]
        answer = subprocess.run(
            [*command, "--attach", program], input="\n".join([*typed, ""]), cwd=ROOT,
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        return answer.stdout + answer.stderr

    @limit(220)
    def test_a_program_from_its_start_to_its_end(self) -> None:
        text = self._gdb("first jacinth", [
            "print $pc == (unsigned long)&_start",
            "break main", "continue", "backtrace", "print argc", "print argv[1]",
            "next", "print text", "stepi", "info registers fs_base rip",
            "delete", "hbreak printf", "continue", "finish", "set variable $rax = 42",
            "print $rax", "delete", "continue",
        ])  # fmt: skip
        self.assertIn("$1 = 1", text)
        self.assertRegex(text, r"Breakpoint 1, main \(argc=2, argv=0x\w+")
        self.assertRegex(text, r"#0  main \(argc=2.* at \./sdk/examples/first\.c:\d+")
        self.assertIn("$2 = 2", text)
        self.assertRegex(text, r'\$3 = 0x\w+ .*"jacinth"')
        self.assertRegex(text, r'\$4 = 0x\w+ .*"jacinth"')
        self.assertRegex(text, r"fs_base +0x[1-9a-f]")
        self.assertRegex(text, r"Breakpoint 2, .*printf \(")
        self.assertIn("$5 = 42", text)
        self.assertIn("7 bytes came through the channel: jacinth", text)
        self.assertIn("exited normally", text)

    @limit(220)
    def test_a_dynamic_program(self) -> None:
        """It stands at its own first instruction; libraries, also one that it loads itself, and the vDSO have symbols."""
        text = self._gdb("linked libutest_late.so", [
            "print $pc == (unsigned long)&_start", "info sharedlibrary", "print shared_counter",
            "break main", "continue", "print argc", "info symbol zx_channel_write",
            "break exit", "continue", "info sharedlibrary", "info symbol malloc", "delete", "continue",
        ])  # fmt: skip
        self.assertIn("$1 = 1\n", text)
        self.assertIn("$2 = 40\n", text)  # a library's data, before anything of it has run
        self.assertRegex(text, r"Breakpoint 1, main \(argc=2, .*linked\.c:")
        self.assertRegex(text, r"zx_channel_write in section \.text of .*libzircon\.so")
        self.assertRegex(text, r"malloc in section \.text of .*libc\.so")
        self.assertRegex(text, r"Breakpoint 2, .*exit \(\) from .*libc\.so")
        before, after = text[: text.index("Breakpoint 1, ")], text[text.index("Breakpoint 2, ") :]
        for name, listed in (("libc", before), ("libzircon", before), ("libutest_early", before), ("libutest_late", after)):
            self.assertRegex(listed, rf"(?m)^0x\w+ +0x\w+ +Yes .*/{name}\.so$")
        self.assertNotRegex(before, r"Yes .*libutest_late\.so")
        self.assertIn("exited with code 050]", text)

    @limit(220)
    def test_wide_registers_and_the_vdso(self) -> None:
        text = self._gdb("first x", [
            "break zx_channel_write", "continue", "backtrace", "print $ymm3.v4_int64[3] = 77",
            "print $ymm3.v4_int64[0] = 5", "stepi", "print $ymm3.v4_int64", "print $xmm3.v2_int64[0]",
            "delete", "continue",
        ])  # fmt: skip
        self.assertRegex(text, r"Breakpoint 1, zx_channel_write \(\)")
        self.assertRegex(text, r"#1 .* in main \(argc=.* at \./sdk/examples/first\.c:")
        self.assertRegex(text, r"\$3 = \{5, [^,]+, [^,]+, 77\}")
        self.assertIn("$4 = 5\n", text)
        self.assertIn("exited normally", text)

    @limit(220)
    def test_threads(self) -> None:
        text = self._gdb("workers 3", [
            "break sum_part", "continue", "info threads", "thread apply all backtrace 1",
            "print *request", "delete", "watch workers[0].sum", "continue", "delete", "continue",
        ])  # fmt: skip
        self.assertRegex(text, r"Breakpoint 1, sum_part \(data=\d+")
        listed = re.findall(r"Thread \d+ \((initial-thread|worker)\)", text)
        self.assertIn("initial-thread", listed)
        self.assertGreaterEqual(listed.count("worker"), 3)
        self.assertRegex(text, r"word_count = 8738[12]\b")  # 262,144 words in three parts; any may come first
        # Those that hit it too are shown where it is, not behind it.
        self.assertNotRegex(text, r"0x\w+ in sum_part")
        self.assertRegex(text, r"Hardware watchpoint 2: workers\[0\]\.sum\s+Old value = 0\s+New value = [1-9]")
        self.assertIn("3 workers agree on the sum", text)
        self.assertIn("exited normally", text)

    @limit(220)
    def test_a_fault_and_a_kill(self) -> None:
        text = self._gdb("first x", [
            "break main", "continue", "set variable $rip = 0x10", "continue", "kill",
        ])  # fmt: skip
        self.assertIn("Program received signal SIGSEGV", text)
        self.assertRegex(text, r"killed\]")

    @limit(220)
    def test_a_process_that_runs(self) -> None:
        text = self._gdb("init", ["backtrace", "info threads", "detach"], "--running")
        self.assertRegex(text, r"#0 +zx_port_wait \(\)|#0 .* in ")  # it waits for the next request, or serves one
        self.assertRegex(text, r" main \(.* at \./system/init/init\.c:\d+")
        self.assertRegex(text, r"Thread \d+ \(initial-thread\)")
        self.assertIn("detached]", text)
        self.assertNotRegex(text, r"\n(\[[a-z]+\] |!)")  # what the runner reads is not for people
        self.assertIn("jx: ended with code 0", text)  # init saw gdbserver end

    @limit(220)
    def test_an_interrupt(self) -> None:
        text = self._gdb("small/sleep 1000", [
            "continue &", "shell sleep 3", "interrupt", "shell sleep 2", "echo \\n",
            "shell sleep 2", "backtrace", "kill",
        ])  # fmt: skip
        self.assertIn("received signal SIGINT", text)
        self.assertRegex(text, r" main \(argc=.* at \./system/bin/sleep\.c:\d+")

    @limit(220)
    def test_nonsense(self) -> None:
        """Noise and packets that make no sense change nothing; the line answers afterwards."""
        variant = settings_from_environment().variant
        with tempfile.TemporaryDirectory(prefix="jx-gdb-") as folder:
            line = f"{folder}/line"
            command = [
                sys.executable, str(ROOT / "jx"), "run", f"--{variant}", "--direct", "-c", "gdbserver small/echo hello",
                f"--qemu-arg=-chardev socket,id=gdb,path={line},server=on,wait=off -serial chardev:gdb",
            ]  # fmt: skip
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as machine:
                assert machine.stdout is not None
                said = b""
                while b"the line is free" not in said:
                    text = machine.stdout.readline()
                    self.assertTrue(text, said)
                    said += text
                with socket.socket(socket.AF_UNIX) as wire:
                    wire.connect(line)
                    wire.settimeout(60)
                    noise = random.Random(1)
                    wire.sendall(bytes(noise.choice(b"\x00\x04}#+\xffgmZ$0") for _ in range(4000)))
                    while not re.search(rb"\$T05.*#..$", self._drain(wire)):
                        wire.sendall(b"$?#3f")
                    for packet in _NONSENSE:
                        self.assertRegex(self._ask(wire, packet), rb"^(E\d\d|)$", packet)
                    self.assertRegex(self._ask(wire, b"?"), rb"^T05thread:\w+;$")
                    self.assertEqual(self._ask(wire, b"vCont;c"), b"W0")
                rest = machine.stdout.read()
                self.assertEqual(machine.wait(60), 0, rest)
        self.assertIn(b"hello", rest)

    @staticmethod
    def _drain(wire: socket.socket) -> bytes:
        """What comes until the line is silent for a while."""
        got = b""
        while select.select([wire], [], [], 1.0)[0]:
            got += wire.recv(4096)
        return got

    @staticmethod
    def _ask(wire: socket.socket, packet: bytes) -> bytes:
        wire.sendall(b"$%s#%02x" % (packet, sum(packet) & 255))
        answer = b""
        while not re.search(rb"\$[^#]*#..$", answer):
            answer += wire.recv(4096)
        return answer[answer.rindex(b"$") + 1 : -3]

    @limit(220)
    def test_what_is_not_there(self) -> None:
        text = self._gdb("first", [], "-c", "gdbserver nonsense", "-c", "gdbserver", "--running")
        self.assertIn("gdbserver: nonsense: ZX_ERR_NOT_FOUND", text)
        self.assertIn("usage: gdbserver PROGRAM", text)
        self.assertIn("the program cannot be debugged", text)


if __name__ == "__main__":
    unittest.main()
