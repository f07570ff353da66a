"""The shell and the utilities: programs of others, linked with the C library."""

from jx.testing.lab import SystemTest, depends_on


@depends_on("smp", "variant")
class UtilityTest(SystemTest):
    """One program, many names."""

    def test_names_choose_the_utility(self) -> None:
        lines = {
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


@depends_on("smp", "variant")
class ShellTest(SystemTest):
    """hush."""

    def test_words_and_arithmetic(self) -> None:
        result = self.run_commands("sh -c 'for i in 1 2 3; do echo $((i * i)); done; exit 5'")
        self.assertIn("1\n4\n9\n", result.commands[0].output.decode())
        self.assertEqual(result.commands[0].code, 5)
