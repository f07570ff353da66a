"""The shell and the utilities: programs of others, linked with the C library."""

import re
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.run import shell_line
from jx.script import ScriptResult
from jx.testing.lab import Console, SystemTest, depends_on, limit

_SCRIPT = Path(__file__).parent / "data" / "shell.sh"


def _text(result: ScriptResult, index: int) -> str:
    return result.commands[index].output.decode()


@depends_on("smp", "variant")
class UtilityTest(SystemTest):
    """One program, many names."""

    def test_names_choose_the_utility(self) -> None:
        lines = {
            "echo a b": "a b\n",
            "toybox echo a b": "a b\n",
            "seq 8 11": "8\n9\n10\n11\n",
            "basename /a/b.c .c": "b\n",
            "printf '%s-%03d\\n' x 7": "x-007\n",
            "expr 6 '*' 7": "42\n",
            "uname": "Jacinth\n",
        }
        result = self.run_commands(*lines, "false", "busybox no_such_applet")
        for command, (line, text) in zip(result.commands, lines.items()):
            self.assertEqual((command.output.decode(), command.code), (text, 0), line)
        self.assertEqual(result.commands[-2].code, 1)
        self.assertEqual(result.commands[-1].code, 127)

    def test_files(self) -> None:
        result = self.run_commands(
            "ls /", "ls -l /boot/doc", "sha256sum /boot/doc/LICENSE", "cat /boot/nowhere"
        )
        self.assertEqual(_text(result, 0).split(), ["bin", "boot", "data", "dev", "svc", "tmp"])
        self.assertRegex(_text(result, 1), r"(?m)^-r.* 1076 .* LICENSE$")
        host = subprocess.run(["sha256sum", "LICENSE"], capture_output=True, check=True, text=True)
        self.assertEqual(_text(result, 2).split()[0], host.stdout.split()[0])
        self.assertIn("cat: /boot/nowhere: No such file or directory", _text(result, 3))
        self.assertEqual(result.commands[3].code, 1)


@depends_on("smp", "variant")
class ShellTest(SystemTest):
    """hush."""

    def test_one_liners(self) -> None:
        lines = {
            'sh -c "echo hi | cat"': "hi\n",
            "sh -c 'for i in 1 2 3; do echo $((i * i)); done'": "1\n4\n9\n",
            "sh -c 'ps | grep -c \"job sh\"'": "1\n",
            "sh -c '(echo $0; exit 3); echo $?' name": "name\n3\n",
            "sh -c 'echo 1 >/tmp/f; timeout 2 tail -f /tmp/f & sleep 1; echo 2 >>/tmp/f; wait'": "1\n2\n",
            # Nobody waits for this shell but init: another process goes on in its place.
            "sh -c 'trap \"\" CHLD; exec echo replaced'": "replaced\n",
            "sh -c '(time sleep 1) 2>&1 | sed -n \"s/^real.*1[.].*/timed/p\"'": "timed\n",
        }
        result = self.run_commands(*lines, "sh -c 'exit 5'", "sh -c 'no_such_thing'")
        for command, (line, text) in zip(result.commands, lines.items()):
            self.assertEqual((command.output.decode(), command.code), (text, 0), line)
        self.assertEqual([command.code for command in result.commands[-2:]], [5, 127])

    def test_the_environment_is_the_services_files(self) -> None:
        said = _text(self.run_commands(shell_line("env | cut -d = -f 1 | sort | tr '\\n' ' '")), 0)
        self.assertEqual(set(said.split()) - {"HUSH_VERSION", "PWD"}, {"HOME", "PATH", "PS1", "TERM"})

    def test_lines_of_jx_run(self) -> None:
        lines = ("echo 'a  b' \"$((6 * 7))\" | tr a-z A-Z; exit 4", "ps | grep -c bin/init", "no_such_thing")
        result = self.run_commands(*map(shell_line, lines))
        self.assertEqual([_text(result, index) for index in range(2)], ["A  B 42\n", "1\n"])
        self.assertEqual([command.code for command in result.commands], [4, 0, 127])

    @limit(300)
    def test_a_script_as_the_build_machines_shell_runs_it(self) -> None:
        with TemporaryDirectory() as folder:
            host = subprocess.run(
                ["dash", str(_SCRIPT), folder], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
            )
        self.assertEqual(host.stderr, "")
        result = self.run_commands(
            "mkdir /tmp/script", "sh /boot/data/shell.sh /tmp/script",
            adds=((_SCRIPT, "data/shell.sh"),), seconds=200,
        )  # fmt: skip
        self.assertEqual(_text(result, 1).splitlines(), host.stdout.splitlines())
        self.assertEqual(result.commands[1].code, host.returncode)


_PROMPT = "jacinth:/ # "


class ShellPromptTest(SystemTest):
    """The system's prompt: hush at a terminal. What is typed ahead of a prompt is echoed once by the terminal."""

    def _line(self, console: Console, keys: str) -> str:
        """Types a line at the shell's prompt; what follows until the next prompt."""
        console.type(keys + "\r")
        return console.wait_text(f"\n{_PROMPT}").replace("\r", "")

    def test_lines_jobs_and_signals(self) -> None:
        with self.boot(shell=True) as console:
            self.assertIn("Type help for help.", console.wait_text(_PROMPT))
            edited = self._line(console, "echo helo world" + "\x1b[D" * 7 + "l")
            self.assertIn("\nhello world\n", edited)
            self.assertIn("\nJACINTH\n", self._line(console, "uname | tr a-z A-Z"))
            # The line before, by the arrow key; a name, completed.
            self.assertIn("\nJACINTH\n", self._line(console, "\x1b[A"))
            self.assertIn("\n/boot/small/cat\n", self._line(console, "echo /boot/sm\tca\t"))
            # Control-C ends what runs, not the shell; control-D is the end of a program's input.
            console.type("sleep 1000\r")
            console.wait_text("sleep 1000\n")
            time.sleep(1)
            console.type("\x03")
            console.wait_text(f"^C\n{_PROMPT}")
            self.assertIn("\nstatus 130\n", self._line(console, "echo status $?"))
            console.type("cat\r")
            console.wait_text("cat\n")
            time.sleep(1)  # what is typed before the program runs is not echoed, as anywhere
            console.type("to and fro\r")
            console.wait_text("to and fro\nto and fro\n")
            console.type("\x04")
            console.wait_text(_PROMPT)
            # Jobs.
            self.assertRegex(self._line(console, "sleep 500 &"), r"\n\[1\] \d+ sleep 500\n")
            self.assertRegex(self._line(console, "jobs"), r"\n\[1\] Running +sleep 500\n")
            said = self._line(console, "kill %1; wait $!; echo killed $?")
            self.assertIn("\nkilled 143\n", said)
            self.assertRegex(said, r"\[1\] Terminated +sleep 500\n")
            self.assertRegex(self._line(console, "history | tail -n 1 | tr a-z A-Z"), r"\n +\d+ HISTORY \| TAIL ")
            self.assertNotIn("sleep", self._line(console, "jobs"))
            console.type("sleep 400\r")
            console.wait_text("sleep 400\n")
            time.sleep(1)
            console.type("\x1a")
            self.assertRegex(console.wait_text(f"\n{_PROMPT}"), r"\[1\] \d+ sleep 400")
            self.assertRegex(self._line(console, "jobs"), r"\n\[1\] Stopped +sleep 400\n")
            self._line(console, "bg")
            self.assertRegex(self._line(console, "jobs"), r"\n\[1\] Running +sleep 400\n")
            console.type("fg\r")
            console.wait_text("fg\n")
            time.sleep(1)
            console.type("\x03")
            console.wait_text(_PROMPT)
            self.assertNotIn("sleep", self._line(console, "jobs"))
            # How a child ended is said in words (the kernel's report may come between).
            for how, words, code in (
                ("abort", "Aborted", 134),
                ("fault 11", "Segmentation fault", 139),
                ("fault 8", "Arithmetic exception", 136),
            ):
                said = self._line(console, f"/boot/bin/libc_child {how}")
                self.assertIn(f"\n{words}\n", said)
                self.assertIn(f"\nstatus {code}\n", self._line(console, "echo status $?"))
            self.assertIn("\nTRAP\n", self._line(console, "trap 'echo TRAP' USR1; kill -USR1 $$"))
            # An end of it is the beginning of another one, which knows what was typed before.
            console.type("exit 3\r")
            console.wait_text("init: service shell: ended with code 3; started again ")
            console.wait_text(_PROMPT)
            self.assertIn("exit 3\n", self._line(console, "history"))

    def test_editor(self) -> None:
        with self.boot(shell=True) as console:
            self.assertIn("Type help for help.", console.wait_text(_PROMPT))
            console.type("vi /tmp/x\r")
            console.wait_text("1/1 100%")
            console.type("ione\rtwo")
            console.wait_text("two")
            console.type("\x1b")
            time.sleep(1)  # an escape by itself, not the beginning of a key
            console.type(":%s/o/0/g\r")
            console.type(":wq\r")
            console.wait_text(_PROMPT)
            self.assertIn("\n0ne\ntw0\n", self._line(console, "cat /tmp/x"))
            self.assertIn("icanon", self._line(console, "stty -a"))

    def test_tools_see_the_whole_system(self) -> None:
        with self.boot(shell=True) as console:
            console.wait_text(_PROMPT)
            self.assertRegex(self._line(console, "ps | grep init"), r"\n +\d+ +\d+K +\d+K +bin/init\n")
            self.assertIn("\n1 shell\n", self._line(console, "echo $(jobtree | grep -c ' shell$') shell"))
            self.assertIn("\n5 1\n", self._line(console, "sh -c 'exit 5'; echo $? $(ps >/tmp/ps; grep -c userboot /tmp/ps)"))
            self.assertIn("total ", self._line(console, "free | head -1"))
            self.assertIn("kernel up", self._line(console, "dmesg | tail -1"))
            self.assertIn("deepest kernel stack", self._line(console, "k threads"))
            self.assertRegex(self._line(console, "mount"), r"\n/svc +\d+ +\d+ +served\n")
            self.assertIn("ps top jobtree", self._line(console, "help"))
            pid = re.search(r"\n(\d+)\n", self._line(console, "echo $$"))
            assert pid is not None
            self.assertRegex(self._line(console, f"handles {pid[1]} | tail -1"), r"\n\d+ handles\n")
            self.assertIn(" mapping r-x ", self._line(console, f"vmaps {pid[1]}"))
            self.assertIn("initial-thread, ", self._line(console, f"threads {pid[1]}"))
            # It would go on for ever if it were not ended by the pipe.
            self.assertIn("CPU%", self._line(console, "top -d 50 | head -1"))
            # A service is started anew, and one is killed.
            self.assertIn("\nold\n", self._line(console, "echo old >/tmp/f; cat /tmp/f"))
            self.assertIn("\nrestarted 0\n", self._line(console, "svc restart memfs; echo restarted $?"))
            self.assertIn("cat: /tmp/f: No such file", self._line(console, "cat /tmp/f"))
            row = re.search(r"\nmemfs +running +1 +0 +(\d+) ", self._line(console, "svc"))
            assert row is not None
            console.type(f"kill {row[1]}\r")  # the shell's own word, for who is no child
            console.wait_text("init: service memfs: killed; started again ")
            console.type("echo back\r")
            console.wait_text("\nback\n")
            console.wait_text(_PROMPT)
            # With /svc and without it.
            self.assertIn("bin/init", self._line(console, "launch -n /svc /boot/bin/ps"))
            said = self._line(console, "launch /boot/bin/poweroff")
            self.assertIn("ZX_ERR_PEER_CLOSED (not given to it)", said)
            console.type("poweroff\r")
            self.assertEqual(console.wait_end().how, "power-off")

    def test_it_is_killed_from_elsewhere(self) -> None:
        with self.boot(shell=True) as console:
            console.wait_text(_PROMPT)
            pid = re.search(r"\n(\d+)\n", self._line(console, "echo $$"))
            assert pid is not None
            console.type(f"sleep 1000 & /bin/kill {pid[1]}\r")
            console.wait_text("init: service shell: killed; started again ")
            console.wait_text(_PROMPT)
            self.assertNotIn("sleep", self._line(console, "ps"))  # what it had started went with it
            # It is among the programs, so what crashes below it is kept.
            self.assertIn("Segmentation fault", self._line(console, "/boot/measure/crashing"))
            self.assertIn("crash_here", self._line(console, "cat /tmp/crashes/*"))
            console.type("svc restart shell\r")
            console.wait_text(_PROMPT)
            console.type("top\r")
            console.wait_text("CPU%")
            console.type("\x03")
            console.wait_text(_PROMPT)
            self.assertIn("\n130\n", self._line(console, "echo $?"))


class NoShellTest(SystemTest):
    """An image whose shell cannot be started."""

    def test_inits_prompt_is_in_its_place(self) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "sh"
            path.write_text("no program")
            with self.boot(shell=True, adds=((path, "bin/sh"),)) as console:
                console.wait_text("init: service shell: ")
                console.wait_text("jacinth> ")
                console.type("hello there\r")
                console.wait_text("hello there\nhello there\n")
                console.wait_text("jacinth> ")
                console.type("\x04")
                self.assertEqual(console.wait_end().how, "power-off")
