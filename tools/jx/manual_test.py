"""Tests of `./jx docs` itself; what it makes is tested in tools/docs."""

import argparse
import tempfile
import unittest
from pathlib import Path

from jx import manual


class OutTest(unittest.TestCase):
    """The folder is replaced, so nothing else may be lost with it."""

    def run_into(self, folder: Path) -> None:
        manual.run(argparse.Namespace(out=folder, check=False))

    def test_a_folder_with_something_else_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "thesis.tex").touch()
            with self.assertRaisesRegex(argparse.ArgumentTypeError, "neither empty nor a site"):
                self.run_into(Path(name))
            self.assertTrue((Path(name) / "thesis.tex").exists())

    def test_a_file_is_refused(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            with self.assertRaisesRegex(argparse.ArgumentTypeError, "not a folder"):
                self.run_into(Path(file.name))


if __name__ == "__main__":
    unittest.main()
