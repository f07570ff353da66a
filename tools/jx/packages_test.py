"""Tests of packages.py with fake programs in place of apt-get."""

import contextlib
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jx import packages
from jx.packages import Need, PackageError


class PackagesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.log = self.folder / "log"
        needs = (
            Need("pack-a", program="tool-a"),
            Need("pack-b", path=str(self.folder / "file-b")),
            Need("pack-sh", program="sh"),
        )
        self._patch(mock.patch.dict(packages.NEEDS, {"purpose": needs}))
        path = f"{self.folder}:{os.environ['PATH']}"
        self._patch(mock.patch.dict(os.environ, {"PATH": path}))
        self._patch(mock.patch("os.geteuid", return_value=0))

    def _patch(self, patcher: contextlib.AbstractContextManager[object]) -> None:
        patcher.__enter__()
        self.addCleanup(patcher.__exit__, None, None, None)

    def _fake_apt(self, action: str) -> None:
        program = self.folder / "apt-get"
        program.write_text(f'#!/bin/sh\necho "$@" >>{self.log}\n{action}\n')
        program.chmod(0o755)

    def _ensure(self) -> str:
        # A real file: apt-get inherits it.
        with tempfile.TemporaryFile("w+") as errors:
            with contextlib.redirect_stderr(errors):
                packages.ensure("purpose")
            errors.seek(0)
            return errors.read()

    def test_missing_by_program_and_by_file(self) -> None:
        self.assertEqual(packages.missing("purpose"), ["pack-a", "pack-b"])
        (self.folder / "file-b").touch()
        self.assertEqual(packages.missing("purpose"), ["pack-a"])

    def test_says_so_updates_and_installs(self) -> None:
        make = f"touch {self.folder}/file-b {self.folder}/tool-a; chmod +x {self.folder}/tool-a"
        self._fake_apt(f"case \"$*\" in *install*) {make};; esac")
        self.assertIn("installing missing Debian packages: pack-a pack-b", self._ensure())
        lines = self.log.read_text().splitlines()
        self.assertTrue(lines[0].endswith("update"), lines)
        self.assertTrue(lines[1].endswith("install --no-install-recommends pack-a pack-b"), lines)
        self.assertEqual(self._ensure(), "")

    def test_failure_is_an_error(self) -> None:
        self._fake_apt("exit 100")
        with self.assertRaisesRegex(PackageError, "update"):
            self._ensure()

    def test_installed_and_still_missing_is_an_error(self) -> None:
        self._fake_apt("exit 0")
        with self.assertRaisesRegex(PackageError, "still not found: pack-a pack-b"):
            self._ensure()

    def test_without_apt(self) -> None:
        with mock.patch.dict(os.environ, {"PATH": str(self.folder)}):
            with self.assertRaisesRegex(PackageError, "no apt-get"):
                self._ensure()

    def test_every_purpose_names_real_needs(self) -> None:
        for purpose, needs in packages.NEEDS.items():
            for need in needs:
                self.assertTrue(need.package and bool(need.program) != bool(need.path), purpose)


if __name__ == "__main__":
    unittest.main()
