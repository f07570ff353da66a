"""The shell and the utilities: programs of others, linked with the C library."""

import subprocess

from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on


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
        self.assertEqual(_text(result, 0).split(), ["bin", "boot", "dev", "svc", "tmp"])
        self.assertRegex(_text(result, 1), r"(?m)^-r.* 1076 .* LICENSE$")
        host = subprocess.run(["sha256sum", "LICENSE"], capture_output=True, check=True, text=True)
        self.assertEqual(_text(result, 2).split()[0], host.stdout.split()[0])
        self.assertIn("cat: /boot/nowhere: No such file or directory", _text(result, 3))
        self.assertEqual(result.commands[3].code, 1)


@depends_on("smp", "variant")
class ShellTest(SystemTest):
    """hush."""

    def test_words_and_arithmetic(self) -> None:
        result = self.run_commands("sh -c 'echo $((6 * 7)); exit 5'")
        self.assertIn("42\n", _text(result, 0))
        self.assertEqual(result.commands[0].code, 5)
