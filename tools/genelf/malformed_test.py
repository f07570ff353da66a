"""The corpus names only errors that exist, every name once, and covers what a file can get wrong."""

import re
import sys
import tempfile
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / "tools"))

from genelf import malformed

# Needs a reader that fails.
NOT_IN_FILES = {"READ_FAILED"}


class MalformedTest(unittest.TestCase):
    def test_covers_every_error(self) -> None:
        header = (TREE / "sdk/lib/elf/include/elf/error.h").read_text()
        defined = set(re.findall(r"\bX\((\w+), \"", header))
        used = {error for _, error, _ in malformed.cases()}
        self.assertEqual(used, defined - NOT_IN_FILES)

    def test_names_are_unique(self) -> None:
        names = [name for name, _, _ in malformed.cases()]
        self.assertEqual(len(names), len(set(names)))

    def test_files(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            malformed.write_all(folder)
            lines = (folder / "index.txt").read_text().splitlines()
            self.assertEqual(len(lines), len(malformed.cases()))
            self.assertEqual(len(list(folder.iterdir())), len(lines) + 1)
            self.assertEqual((folder / "sound").stat().st_size, 3 * 4096)
            self.assertEqual((folder / "header_cut").stat().st_size, 63)


if __name__ == "__main__":
    unittest.main()
