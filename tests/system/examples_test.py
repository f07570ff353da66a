"""The programs of sdk/examples, built and run as README.md says."""

import unittest

from jx.testing.lab import SystemTest, depends_on
from jx.tree import ROOT, out_dir


@depends_on("variant")
class ExamplesTest(SystemTest):
    """A newcomer's first steps."""

    def test_first_program_of_the_readme(self) -> None:
        source = (ROOT / "sdk" / "examples" / "first.c").read_text()
        readme = (ROOT / "README.md").read_text()
        self.assertIn(f"```c\n{source}```\n", readme, "README.md shows another first.c")
        program = out_dir(self.settings.variant) / "user" / "first"
        result = self.run_commands("first jacinth", adds=((program, "bin/first"),))
        self.assertEqual(result.commands[0].code, 0)
        self.assertIn(f"-c 'first jacinth'\n{result.commands[0].output.decode()}```", readme)

    def test_a_program_as_written_for_zircon(self) -> None:
        program = out_dir(self.settings.variant) / "user" / "workers"
        result = self.run_commands(
            "workers", "workers 16", "workers 17", adds=((program, "bin/workers"),))
        self.assertEqual([command.code for command in result.commands], [0, 0, 2])
        self.assertEqual(result.commands[1].output, b"16 workers agree on the sum\n")

    def test_parent_and_child_of_the_manual(self) -> None:
        program = out_dir(self.settings.variant) / "user" / "parent"
        result = self.run_commands("parent", adds=((program, "bin/parent"),))
        page = (ROOT / "docs" / "capabilities.md").read_text()
        self.assertEqual(result.commands[0].code, 0)
        self.assertIn(f"-c parent\n{result.commands[0].output.decode()}```", page)

    def test_the_service_of_the_manual(self) -> None:
        built = out_dir(self.settings.variant) / "user"
        result = self.run_commands(
            "tally-client 20 22 9223372036854775807",
            adds=((built / "tally", "bin/tally"), (built / "tally-client", "bin/tally-client")))
        page = (ROOT / "docs" / "writing-a-service.md").read_text()
        self.assertEqual(result.commands[0].code, 0)
        self.assertIn("-c 'tally-client 20 22 9223372036854775807'\n"
                      f"{result.commands[0].output.decode()}```", page)


if __name__ == "__main__":
    unittest.main()
