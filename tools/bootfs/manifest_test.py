"""Manifests: good and bad lines, duplicates, missing files."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bootfs import manifest


class ManifestTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("one", "two"):
            (self.root / name).write_text(name)

    def parse(self, text: str) -> list[manifest.Entry]:
        return manifest.check_entries(manifest.parse_manifest(text, self.root, "m"))

    def assert_fails(self, text: str, message: str) -> None:
        with self.assertRaises(manifest.ManifestError) as caught:
            self.parse(text)
        self.assertIn(message, str(caught.exception))

    def test_good(self) -> None:
        entries = self.parse("# comment\n\n bin/two=two \nbin/one=one\n")
        self.assertEqual([entry.boot_path for entry in entries], ["bin/one", "bin/two"])
        self.assertEqual(entries[0].host_path, self.root / "one")

    def test_empty_is_allowed(self) -> None:
        self.assertEqual(self.parse(""), [])

    def test_duplicate(self) -> None:
        self.assert_fails("a=one\na=two", "m:2: 'a' is already there (m:1)")

    def test_missing_file(self) -> None:
        self.assert_fails("a=three", "m:1: no such file")

    def test_file_as_folder(self) -> None:
        self.assert_fails("a=one\na/b=two", "'a' is a file (m:1), not a folder")

    def test_bad_lines(self) -> None:
        self.assert_fails("justaword", "expected BOOT_PATH=HOST_PATH")
        self.assert_fails("a=", "expected BOOT_PATH=HOST_PATH")

    def test_bad_boot_paths(self) -> None:
        for path in ("", "/a", "a/", "a//b", "./a", "a/../b", "."):
            self.assert_fails(f"{path}=one", "must be relative")
        self.assert_fails("n" * 256 + "=one", "longer than 255")
        self.assertEqual(len(self.parse("n" * 255 + "=one")), 1)

    def test_addition(self) -> None:
        entry = manifest.parse_addition("/tmp/x=y=bin/z")
        self.assertEqual((entry.host_path, entry.boot_path), (Path("/tmp/x=y"), "bin/z"))
        self.assertEqual(manifest.parse_addition("x=/boot/bin/x").boot_path, "bin/x")
        for bad in ("x", "x=", "=x", "x=/abs"):
            with self.assertRaises(manifest.ManifestError):
                manifest.parse_addition(bad)


if __name__ == "__main__":
    unittest.main()
