"""Tests of the checks that need no build."""

import json
import tempfile
import unittest
from pathlib import Path

from jx.checks import opt_outs, status, third_party, types


class OptOutsTest(unittest.TestCase):
    def test_reasons(self) -> None:
        text = (
            "#define TA_OFF __attribute__((no_thread_safety_analysis))\n"
            "void a(void) TA_OFF { }\n"
            "// The caller is alone.\n"
            "void b(void) TA_OFF { }\n"
            "\n"
            "void c(int x,\n"
            "       int y) TA_OFF;  // why\n"
            "// Not about d.\n"
            "int z;\n"
            "void d(void) __attribute__((no_thread_safety_analysis));\n"
            "// A long\n"
            "void e(int x,\n"
            "       int y) TA_OFF;\n"
            "// TA_OFF in prose\n"
        )
        want = [(2, False), (4, True), (7, True), (10, False), (13, True)]
        self.assertEqual(opt_outs.uses(text), want)


class StatusTest(unittest.TestCase):
    def test_named(self) -> None:
        text = "| `kernel vmo.wired`, `host vm/pmm:pmm_test` | `./jx test` `kernel half` (`user x.y_z`) |"
        want = ["kernel vmo.wired", "host vm/pmm:pmm_test", "user x.y_z"]
        self.assertEqual(status.named(text), want)


class ThirdPartyTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "box"
        self.folder.mkdir()

    def test_folder_without_recipe(self) -> None:
        self.assertEqual(third_party.problems(self.folder, ""), ["third_party/box: no box.json"])

    def test_page_and_version(self) -> None:
        (self.folder / "box.json").write_text(json.dumps({"version": "1.2"}))
        row = "| [box](../third_party/box/README.md) | {} | from there |"
        self.assertEqual(third_party.problems(self.folder, row.format("1.2")), [])
        self.assertIn("is 1.2", third_party.problems(self.folder, row.format("1.1"))[0])
        self.assertIn("no word", third_party.problems(self.folder, "box 1.2")[0])

    def test_ours(self) -> None:
        self.assertEqual(third_party.check(), [])


    def test_denied(self) -> None:
        text = "| `pager_*`, `msi_create` | `ZX_VM_X`, pager |"
        calls = ["pager_create", "msi_create", "msi_allocate", "vmo_read"]
        self.assertEqual(status.denied(text, calls), ["pager_create", "msi_create"])


class TypesTest(unittest.TestCase):
    def test_untyped(self) -> None:
        source = (
            "class A:\n"
            "    def a(self, x: int) -> None: ...\n"
            "    def b(self, x) -> None: ...\n"
            "def c(*args: int, **kw) -> None: ...\n"
            "def d(): ...\n"
            "async def e(x: int) -> int: return x\n"
        )
        self.assertEqual(sorted(types.untyped(source)), [(3, "b"), (4, "c"), (5, "d")])


if __name__ == "__main__":
    unittest.main()
