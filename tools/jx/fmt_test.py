"""Tests of fmt.py on files in a folder of the tree."""

import shutil
import tempfile
import unittest
from pathlib import Path

from jx import fmt
from jx.tree import ROOT


@unittest.skipUnless(shutil.which("clang-format-19"), "clang-format-19 is not installed")
class FormatTest(unittest.TestCase):
    def test_every_bad_file_is_named(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=ROOT / "out"))
        self.addCleanup(shutil.rmtree, folder)
        names = []
        for index, text in enumerate(("int a;\n", "int   a;\nint   b;\n", "int  c;\n")):
            path = folder / f"f{index}.c"
            path.write_text(text)
            names.append(str(path.relative_to(ROOT)))
        self.assertEqual(fmt._unformatted_c(names), set(names[1:]))
        fmt._format([folder / "f1.c", folder / "f2.c"])
        self.assertEqual(fmt._unformatted_c(names), set())


if __name__ == "__main__":
    unittest.main()
