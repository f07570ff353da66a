"""What a process costs, and where its parts are."""

import unittest

from jx.testing.lab import SystemTest, depends_on

_KIB = 1024
_PLACES = ("code", "stack", "heap", "vdso")


@depends_on("smp", "variant")
class CostTest(SystemTest):
    """A budget: whoever makes processes dearer has to say so here."""

    def test_a_waiting_process_is_within_its_budget(self) -> None:
        # The figures are per process, over 32 of them; the kernel's caches blur them by a few KiB.
        result = self.run_commands("measure/cost 32 small/sleep 1000")
        self.assertEqual(result.commands[0].code, 0)
        cost = {name: result.values[f"cost_{name}"] for name in ("all", "heap", "tables", "private")}
        # The debug build's heap has red zones.
        heap = 16 if self.settings.variant == "release" else 32
        budget = {"all": 72 + heap, "heap": heap, "tables": 32, "private": 24}
        for name, spent in cost.items():
            self.assertLessEqual(spent, budget[name] * _KIB, cost)
        # And it does cost something: a measurement that sees nothing says nothing.
        self.assertGreaterEqual(cost["all"], cost["private"])
        self.assertGreaterEqual(cost["private"], 8 * _KIB)
        self.assertGreaterEqual(cost["tables"], 4 * 4 * _KIB)


@depends_on("variant")
class PlacesTest(SystemTest):
    """Address-space layout randomisation, and the option that switches it off."""

    def places(self, append: str) -> list[tuple[int, ...]]:
        """Of two runs in one boot."""
        result = self.run_commands("measure/places 1", "measure/places 2", append=append)
        return [tuple(result.values[f"{name}{run}"] for name in _PLACES) for run in (1, 2)]

    def test_fixed_without_aslr(self) -> None:
        runs = self.places("aslr=off") + self.places("aslr=off kaslr=off")
        self.assertEqual(len(set(runs)), 1, runs)

    def test_random_otherwise(self) -> None:
        runs = self.places("aslr=on") + self.places("")
        for part in zip(*runs, strict=True):
            self.assertEqual(len(set(part)), len(runs), runs)


@depends_on("variant")
class InterpreterTest(SystemTest):
    """PT_INTERP: the launcher maps the interpreter alone, and that gets the program."""

    def test_the_interpreter_starts_the_program(self) -> None:
        result = self.run_commands("measure/interpreted one", "hello")
        said = result.commands[0].output.decode()
        self.assertRegex(
            said, r"^interpreter: a program of \d+ pages, mapped 0 times\ninterpreted: one, 7, handles\n$"
        )
        self.assertEqual([command.code for command in result.commands], [12, 0])

    def test_a_missing_interpreter_has_a_name(self) -> None:
        result = self.run_commands("measure/orphan", "hello")
        self.assertIn("the program's interpreter is not there", result.commands[0].output.decode())
        self.assertEqual([command.code for command in result.commands], [126, 0])


if __name__ == "__main__":
    unittest.main()
