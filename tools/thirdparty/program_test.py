"""Tests of configurations, of the choice of sources, and of when an archive is made anew."""

import tempfile
import unittest
from pathlib import Path

from thirdparty import busybox, program, toybox
from thirdparty.recipe import RecipeError

_DEFAULTS = "# CONFIG_A is not set\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_N=3\n"
_OURS = "# why\nCONFIG_A=y\nCONFIG_N=5\nCONFIG_D=y\n"


class ConfigTest(unittest.TestCase):
    def test_merge(self) -> None:
        want = "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_N=5\nCONFIG_D=y\n"
        self.assertEqual(program.merge_config(_DEFAULTS, _OURS), want)

    def test_a_setting_that_was_dropped(self) -> None:
        program.check_config("CONFIG_A=y\nCONFIG_N=5\nCONFIG_D=y\nCONFIG_E=y\n", _OURS)
        with self.assertRaisesRegex(RecipeError, "do not hold: CONFIG_D=y CONFIG_N=5"):
            program.check_config("CONFIG_A=y\nCONFIG_N=3\n", _OURS)


class FolderTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


class BusyboxTest(FolderTest):
    def test_sources(self) -> None:
        self.write(".config", "CONFIG_HUSH=y\nCONFIG_N=3\n# CONFIG_ASH is not set\n")
        self.write(
            "shell/Kbuild",
            "lib-y:=\nlib-$(CONFIG_ASH) += ash.o common.o\n"
            "lib-$(CONFIG_HUSH) += hush.o \\\n common.o # x.o\nlibs-y += sub/\n",
        )
        self.write("applets/Kbuild", "obj-y :=\nobj-y += applets.o\n")
        want = [Path("applets/applets.c"), Path("shell/common.c"), Path("shell/hush.c")]
        self.assertEqual(busybox.sources(self.folder), want)

    def test_names(self) -> None:
        self.write("include/applet_tables.h", 'char x[] = ""\n"tr" "\\0"\n"sh" "\\0"\n;\n')
        self.assertEqual(busybox.names(self.folder), ["sh", "tr"])
        self.write("include/applet_tables.h", "")
        with self.assertRaisesRegex(RecipeError, "not understood"):
            busybox.names(self.folder)


class ToyboxTest(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        self.write(".config", "CONFIG_TOYBOX=y\nCONFIG_CP=y\nCONFIG_TEST_GLUE=y\nCONFIG_TEST=y\n")

    def test_sources(self) -> None:
        self.write("main.c", "")
        self.write("lib/lib.c", "")
        self.write("toys/posix/cp.c", "USE_CP(NEWTOY(cp, 0, 0))\nUSE_MV(NEWTOY(mv, 0, 0))\n")
        self.write("toys/posix/ls.c", "USE_LS(NEWTOY(ls, 0, 0))\n")
        self.assertEqual(
            toybox.sources(self.folder), [Path("lib/lib.c"), Path("main.c"), Path("toys/posix/cp.c")]
        )

    def test_names(self) -> None:
        self.write(
            "generated/newtoys.h",
            "USE_TOYBOX(NEWTOY(toybox, 0, 0))\nUSE_TEST(OLDTOY(:, test, 0))\n"
            "USE_TEST_GLUE(OLDTOY([, test, 0))\nUSE_CP(NEWTOY(cp, 0, 0))\nUSE_LS(NEWTOY(ls, 0, 0))\n",
        )
        self.assertEqual(toybox.names(self.folder), ["[", "cp", "toybox"])


class MakeTest(FolderTest):
    """With a compiler and without the C library."""

    def setUp(self) -> None:
        super().setUp()
        self.source, self.out = self.folder / "s", self.folder / "out"
        self.out.mkdir()
        self.write("s/.recipe", "1")
        self.write("s/a.c", '#include "a.h"\nint one(void) { return ONE; }\n')
        self.write("headers/a.h", "#define ONE 1\n")
        self.config = self.write("x.config", "CONFIG_A=y\n")
        self.configured = 0

    def make(self) -> bool:
        def configure(source: Path, config: Path) -> None:
            self.configured += 1

        package = program.Package(
            "x", configure, lambda source: [Path("a.c")], lambda source: [], lambda source: ["a"]
        )
        return program.make(
            package, self.source, self.config, [self.folder / "headers"], self.out, 2
        )

    def test_only_if_something_changed(self) -> None:
        self.assertTrue(self.make())
        self.assertTrue((self.out / "libx.a").read_bytes().startswith(b"!<arch>\n"))
        self.assertEqual((self.out / "names").read_text(), "a\n")
        self.assertFalse(self.make())
        changes = [("x.config", "CONFIG_B=y\n"), ("headers/a.h", "#define ONE 2\n"), ("s/.recipe", "2")]
        for name, text in changes:
            self.write(name, text)
            self.assertTrue(self.make(), name)
            self.assertFalse(self.make(), name)
        self.assertEqual(self.configured, 4)

    def test_a_failure_leaves_nothing_that_counts(self) -> None:
        self.assertTrue(self.make())
        self.write("headers/a.h", "#error no\n")
        for _ in range(2):
            with self.assertRaisesRegex(RecipeError, "1 of 1 files do not compile; a.c:"):
                self.make()

    def test_a_script_that_fails(self) -> None:
        with self.assertRaisesRegex(RecipeError, "failed:\nsaid"):
            program.run_script(["sh", "-c", "echo said; exit 1"], self.folder)


if __name__ == "__main__":
    unittest.main()
