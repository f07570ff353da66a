"""Tests of what is fetched from npm's registry, with an npm that serves from a folder."""

import base64
import hashlib
import io
import json
import os
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jx.tree import ROOT

from thirdparty import npm
from thirdparty.recipe import RecipeError

_CONTENTS = b"a large program\n" * 1000


def _archive(contents: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo("package/bin/large")
        member.size = len(contents)
        tar.addfile(member, io.BytesIO(contents))
    return data.getvalue()


class NpmTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.work = Path(temporary.name)
        archive = _archive(_CONTENTS)
        self.recipe = npm.NpmRecipe(
            "large", "@some/large", "1.2",
            "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode(),
            "package/bin/large", hashlib.sha256(_CONTENTS).hexdigest(),
        )  # fmt: skip
        self.serve(archive)

    def serve(self, archive: bytes | None) -> None:
        """An npm that packs this archive and counts; None: one that fails."""
        programs = self.work / "programs"
        programs.mkdir(exist_ok=True)
        (self.work / "archive").write_bytes(archive or b"")
        # npm pack --silent --ignore-scripts --pack-destination FOLDER WHAT
        act = f'cp {self.work}/archive "$5/some-large-1.2.tgz"'
        if archive is None:
            act = "echo no way to the registry >&2; exit 1"
        script = programs / "npm"
        script.write_text(f"#!/bin/sh\necho $6 >> {self.work}/asked\n{act}\n")
        script.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        patch = mock.patch.dict(os.environ, {"PATH": path})
        patch.start()
        self.addCleanup(patch.stop)

    def asked(self) -> list[str]:
        return (self.work / "asked").read_text().split()

    def test_once(self) -> None:
        for _ in range(2):
            path = npm.fetch(self.recipe, self.work / "cache")
            self.assertEqual(path.read_bytes(), _CONTENTS)
        self.assertEqual(self.asked(), ["@some/large@1.2"])

    def test_what_was_damaged_is_fetched_again(self) -> None:
        path = npm.fetch(self.recipe, self.work / "cache")
        path.write_bytes(_CONTENTS[1:])
        self.assertEqual(npm.fetch(self.recipe, self.work / "cache").read_bytes(), _CONTENTS)
        self.assertEqual(len(self.asked()), 2)

    def test_another_archive(self) -> None:
        self.serve(_archive(_CONTENTS[1:]))
        with self.assertRaisesRegex(RecipeError, "not the pinned one"):
            npm.fetch(self.recipe, self.work / "cache")
        self.assertEqual(list((self.work / "cache").iterdir()), [])

    def test_no_registry(self) -> None:
        self.serve(None)
        with self.assertRaisesRegex(RecipeError, "cannot be fetched: no way to the registry"):
            npm.fetch(self.recipe, self.work / "cache")

    def test_no_npm(self) -> None:
        with mock.patch.dict(os.environ, {"PATH": str(self.work)}):
            with self.assertRaisesRegex(RecipeError, "no npm"):
                npm.fetch(self.recipe, self.work / "cache")

    def test_recipes(self) -> None:
        recipe = npm.read_recipe(ROOT / "third_party" / "bun" / "bun.json")
        self.assertEqual(recipe.version, "1.4.5")
        broken = self.work / "broken.json"
        for text in ("", "{}", json.dumps({"package": "a", "version": "1", "integrity": "sha1-x",
                                           "file": "f", "sha256": "0" * 64})):  # fmt: skip
            broken.write_text(text)
            with self.assertRaises(RecipeError):
                npm.read_recipe(broken)


if __name__ == "__main__":
    unittest.main()
