"""Services: what happens when they end, what programs may reach, and the file that says so."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on
from jx.tree import ROOT

_FILE = ROOT / "system" / "etc" / "services"


def _text(result: ScriptResult, index: int) -> str:
    return result.commands[index].output.decode()


@contextmanager
def _services(text: str) -> Iterator[tuple[tuple[Path, str], ...]]:
    """A services file of the test's own, as `adds`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "services"
        path.write_text(text)
        yield ((path, "etc/services"),)


def _with(addition: str) -> str:
    """The system's file, with more before the programs' paragraphs."""
    before, mark, after = _FILE.read_text().partition("# ---- programs ----\n")
    return f"{before}{addition}\n{mark}{after}"


@depends_on("variant")
class SupervisorTest(SystemTest):
    """Ends and starts."""

    def test_services_are_started_when_they_are_wanted(self) -> None:
        result = self.run_commands("svc", "spawn -s 1 bin/hello", "svc")
        self.assertRegex(_text(result, 0), r"(?m)^launcher +idle +0 +0$")
        self.assertRegex(_text(result, 2), r"(?m)^launcher +running +0 +0 +\d+ +\d+$")
        self.assertRegex(_text(result, 2), r"(?m)^memfs +idle +0 +0$")

    def test_a_killed_service_serves_the_next_command(self) -> None:
        hello = "spawn -s 1 bin/hello"
        result = self.run_commands(hello, "svc restart launcher", hello, "svc")
        self.assertEqual([command.code for command in result.commands], [0, 0, 0, 0])
        self.assertIn("hello, world", _text(result, 2))
        self.assertRegex(_text(result, 3), r"(?m)^launcher +running +1 +-1024 ")

    def test_what_ends_by_itself_is_reported_and_started_again(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("spawn -s 1 bin/hello\r")
            console.wait_text("hello, world")
            console.wait_text("jacinth> ")
            console.type("ps\r")
            koid = re.search(r"(\d+) [^\n]*K  +launcher\r?\n", console.wait_text("jacinth> "))
            assert koid is not None
            console.type(f"kill {koid[1]}\r")
            console.wait_text("init: service launcher: killed; started again now")
            console.type("spawn -s 1 bin/hello\r")
            console.wait_text("hello, world")

    def test_a_service_that_ends_at_once_is_started_less_and_less_often(self) -> None:
        bad = "service bad\n program /boot/bin/exit 3\n start at-boot\n"
        with _services(_with(bad)) as adds:
            result = self.run_commands("sleep 2", "svc", "hello", adds=adds)
        row = re.search(r"(?m)^bad +(waiting|running) +(\d+) +3\b", _text(result, 1))
        assert row is not None, _text(result, 1)
        # At 0, 100, 300, 700, 1,500 ms after the first end; the next would be at 3,100.
        self.assertIn(int(row[2]), (4, 5, 6))
        said = _text(result, 0)
        waits = re.findall(r"init: service bad: ended with code 3; started again (.*)", said)
        self.assertEqual(waits[:4], ["now", "in 100 ms", "in 200 ms", "in 400 ms"][: len(waits)])
        self.assertEqual(result.commands[2].code, 0)

    def test_restart_policies(self) -> None:
        more = (
            "service once\n program /boot/bin/exit 3\n start at-boot\n restart never\n"
            "service good\n program /boot/bin/exit 0\n start at-boot\n restart on-failure\n"
            "service gone\n program /boot/svc/nothing\n start at-boot\n restart never\n"
        )
        with _services(_with(more)) as adds:
            result = self.run_commands("sleep 1", "svc", "svc restart once", "sleep 1", "svc", adds=adds)
        self.assertRegex(_text(result, 1), r"(?m)^once +ended +0 +3$")
        self.assertRegex(_text(result, 1), r"(?m)^good +ended +0 +0$")
        self.assertRegex(_text(result, 1), r"(?m)^gone +ended +0 ")
        self.assertRegex(_text(result, 4), r"(?m)^once +ended +1 +3$")

    def test_svc_says_how_it_is_used(self) -> None:
        result = self.run_commands("svc --help", "svc x", "svc restart", "svc restart nobody")
        self.assertIn("usage: svc", _text(result, 0))
        self.assertEqual([command.code for command in result.commands], [0, 2, 2, 1])
        self.assertIn("svc: no service nobody", _text(result, 3))


    def test_restarts_leave_nothing_in_init(self) -> None:
        count = "handles $(ps | grep bin/init | sed 's/^ *//; s/ .*//') | wc -l"
        all_of_them = "for one in launcher memfs crash tasks resolver; do svc restart $one; done"
        result = self.run_commands(
            f'sh -c "{all_of_them}; ls /tmp"',
            f'sh -c "{count}"',
            f'sh -c "for n in 0 1 2 3 4 5 6 7 8 9; do {all_of_them}; ls /tmp; svc > /tmp/list; done"',
            f'sh -c "{count}"',
        )
        before, after = int(_text(result, 1)), int(_text(result, 3))
        self.assertGreater(before, 20)
        self.assertLess(after, before + 10)  # of 50 restarts; connections come and go

    def test_what_does_not_stop_is_killed(self) -> None:
        stuck = "service stuck\n program /boot/bin/sleep 1000\n mounts /stuck\n start at-boot\n"
        with _services(_with(stuck)) as adds:
            result = self.run_commands("svc restart stuck", "svc restart stuck", "sleep 12", "svc", adds=adds)
        self.assertIn("init: service stuck: has not ended in 10 s: killed", _text(result, 2))
        self.assertRegex(_text(result, 3), r"(?m)^stuck +running +1 +-1024 ")


@depends_on("variant")
class WallClockTest(SystemTest):
    """UTC is what the machine's clock says, for programs, their children and the servers of files."""

    def test_the_machines_clock(self) -> None:
        result = self.run_commands(
            'sh -c "date -u +%s; touch /tmp/x; date -u -r /tmp/x +%s; sh -c \'date -u +%s\'"',
            qemu_args=("-rtc base=2031-02-28T23:58:30",),
        )
        begin = int(datetime(2031, 2, 28, 23, 58, 30, tzinfo=timezone.utc).timestamp())
        times = [int(line) for line in _text(result, 0).split()]
        self.assertEqual(len(times), 3, _text(result, 0))
        for one in times:
            self.assertTrue(begin <= one < begin + 600, (one - begin, _text(result, 0)))


@depends_on("variant")
class PowerTest(SystemTest):
    """What is asked of the machine's power."""

    def test_a_machine_that_cannot_be_switched_off(self) -> None:
        with self.boot(shell=True, machine="pc", qemu_args=("-machine acpi=off",)) as console:
            console.type("poweroff\r")
            console.wait_text("poweroff: the machine: ZX_ERR_NOT_SUPPORTED\n")
            console.wait_text("# ")


@depends_on("variant")
class AuthorityTest(SystemTest):
    """Who can reach what, and the rules about it."""

    def test_programs_hold_what_their_paragraph_says(self) -> None:
        more = (
            "programs bin/mount\n sees /boot /tmp\n\n"
        )  # fmt: skip
        with _services(_with("").replace("# ---- programs ----\n", more)) as adds:
            result = self.run_commands("mount", "hello", adds=adds)
        self.assertEqual(
            re.findall(r"(?m)^(/\w+)", _text(result, 0)), ["/boot", "/tmp"], _text(result, 0)
        )

    def test_the_graph(self) -> None:
        result = self.run_commands("svc --graph", "svc --graph --svg")
        dot = _text(result, 0)
        shell = re.search(r'(?m)^  (p\d+) \[label="shell"\];$', dot)
        assert shell is not None
        held = re.findall(rf"(?m)^  {shell[1]} -> (t\d+);$", dot)
        labels = [re.search(rf'(?m)^  {one} \[label="(.*?)"', dot) for one in held]
        self.assertNotIn("resource", " ".join(label[1] for label in labels if label))
        self.assertIn('[label="/tmp"]', dot)
        self.assertTrue(_text(result, 1).startswith("<svg "))
        self.assertTrue(_text(result, 1).endswith("</svg>\n"))

    def test_a_rule_that_is_broken_stops_the_boot(self) -> None:
        broken = _FILE.read_text().replace("service shell\n", "service shell\n resource ioport\n")
        self._expect_refusal(broken, r"services:\d+: 'never shell resource:\*', but line \d+ gives")

    def test_a_malformed_file_is_refused_with_its_line(self) -> None:
        self._expect_refusal("service a\n progam /boot/a\n", r"services:2: unknown word 'progam' \(did")
        self._expect_refusal("service a\n uses b\n", r"services:1: service 'a' has no program")

    def _expect_refusal(self, text: str, message: str) -> None:
        with _services(text) as adds:
            result = self.try_commands("hello", adds=adds)
        self.assertEqual(result.commands, [])
        self.assertRegex(result.outside.decode(), message)
        self.assertIn("init: the services file is refused", result.outside.decode())
        assert result.end is not None
        self.assertEqual(result.end.how, "power-off")


class ShellServiceTest(SystemTest):
    """The shell is what the services file says, with what its paragraph gives it."""

    def test_a_shell_that_was_given_less(self) -> None:
        text = _FILE.read_text()
        before, mark, after = text.partition("service shell\n")
        lines = [line for line in after.splitlines() if "jacinth.system" not in line]
        less = "\n".join(lines).replace("start     at-boot", "start at-boot\n at-end power-off", 1)
        with _services(before + mark + less + "\n") as adds, self.boot(shell=True, adds=adds) as console:
            console.wait_text("# ")
            console.type("echo $((6 * 7))\r")
            console.wait_text("\n42\n")
            console.type("poweroff\r")
            console.wait_text("poweroff: the machine: ZX_ERR_PEER_CLOSED (not given to it)")
            console.wait_text("# ")
            console.type("kill -9 $$\r")
            said = console.wait_text("started again now\n")
            self.assertIn("init: service shell: ended with code ", said)
            console.wait_text("# ")
            console.type("exit\r")
            self.assertEqual(console.wait_end().how, "power-off")


class TerminalTest(SystemTest):
    """Typing at programs, by way of the console's terminal."""

    def test_lines(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal line\r")
            console.wait_text("line?")
            console.type("abd\x7fc \x17xyz\x15one two \x17three\r")
            console.wait_text("[one three]\n")
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal line\r")
            console.wait_text("line?")
            console.type("half\x04")
            console.wait_text("[half] end\n")
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal line\r")
            console.wait_text("line?")
            console.type("\x04")
            console.wait_text("[] end\n")
            console.wait_text("jacinth> ")

    def test_raw(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal raw 5\r")
            console.wait_text("raw?")
            console.type("\x03\x04\r\x7f\x15")
            self.assertIn("<03><04><0d><7f><15>\n", console.wait_text("<15>\n"))
            console.wait_text("jacinth> ")

    def test_control_c_goes_to_the_controller(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal interrupt\r")
            console.wait_text("interrupt?")
            console.type("\x03")
            console.wait_text("^C interrupted\n")
            console.wait_text("jacinth> ")

    def test_the_control_is_its_holders_to_hand_on(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal control\r")
            console.wait_text("control: ZX_ERR_ACCESS_DENIED\n")
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal interrupt\r")
            console.wait_text("interrupt?")
            console.type("\x03")
            console.wait_text("^C interrupted\n")

    def test_control_c_after_another_controller(self) -> None:
        """A program took the terminal's control and ended: the prompt has it again."""
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal interrupt\r")
            console.wait_text("interrupt?")
            console.type("\x03")
            console.wait_text("^C interrupted\n")
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal line\r")
            console.wait_text("line?")
            console.type("\x03")
            console.wait_text("jacinth> ")

    def test_flow_control(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("/boot/measure/terminal stopped\r")
            console.wait_text("stop?")
            console.type("\x13")
            console.wait_text("stopped!")
            time.sleep(0.3)
            console.type("\x11")
            console.wait_text(" going on\n")
            console.wait_text("jacinth> ")

    def test_the_prompt_outlives_the_console(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            for _ in range(2):
                console.type("svc restart console\r")
                console.wait_text("jacinth> ")
                console.type("hello again\r")
                console.wait_text("hello again\njacinth> ")
            console.type("svc\r")
            self.assertRegex(console.wait_text("jacinth> "), r"console +running +2 ")


class CrashTest(SystemTest):
    """Reports with the names of functions, which the machine itself has."""

    def _frames(self, program: str) -> list[tuple[str, str]]:
        """Functions and modules of a crash, the innermost first."""
        result = self.run_commands(program, "cat /tmp/crashes/0.txt")
        self.assertEqual([command.code for command in result.commands], [-1028, 0])
        text = result.commands[1].output.decode()
        frames = re.findall(r"(?m)^#(\d+) +([^ +]+)\+0x[0-9a-f]+ \(([^ +]+)\+0x([0-9a-f]+)\)$", text)
        self.assertEqual([int(frame[0]) for frame in frames], list(range(len(frames))), text)
        # One line on the console, then the kernel's own report, which says the same places.
        report = result.commands[0].output.decode()
        self.assertRegex(
            report, r"crash: \d+ in crash_here < shared_call < crash_by_call < main .*\(/tmp/crashes/0\.txt\)\n"
        )
        places = re.findall(r"(?m)^\{\{\{bt:(\d+):0x([0-9a-f]+):([^}]+)\}\}\}", report)
        self.assertEqual([(n, offset, module) for n, _, module, offset in frames], places, report)
        return [(function, module) for _, function, module, _ in frames]

    def test_a_static_program(self) -> None:
        frames = self._frames("measure/crashing")
        chain = ["crash_here", "shared_call", "crash_by_call", "main"]
        self.assertEqual(frames[:4], [(name, "crashing") for name in chain])

    def test_a_dynamic_program(self) -> None:
        frames = self._frames("measure/crashing_dynamic")
        self.assertEqual(
            frames[:4],
            [
                ("crash_here", "crashing_dynamic"),
                ("shared_call", "libutest_early.so"),
                ("crash_by_call", "crashing_dynamic"),
                ("main", "crashing_dynamic"),
            ],
        )
        self.assertEqual(frames[4][1], "ld.so.1")  # which is the C library
