"""Tests of recipes, the private apt configuration, unpacking and patches; nothing is fetched."""

import contextlib
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import unittest
from pathlib import Path

from jx.tree import ROOT

from thirdparty import apt_source, unpack
from thirdparty.recipe import Recipe, RecipeError, read_recipe

_MIRROR = "http://mirror.example/debian"
_LISTING = f"""\
'{_MIRROR}/dists/bookworm/InRelease' mirror.example_dists_bookworm_InRelease 0
'{_MIRROR}/dists/bookworm-updates/InRelease' mirror.example_dists_bookworm-updates_InRelease 0
'http://sec.example/s/dists/bookworm-security/InRelease' sec.example_InRelease 0
'http://other.example/apt/dists/tool-bookworm/InRelease' other.example_InRelease 0
'http://more.example/dists/nodistro/InRelease' more.example_InRelease 0
'{_MIRROR}/dists/bookworm/main/binary-amd64/Packages.xz' mirror.example_Packages 0
"""
_PATCH = b"""\
--- a/src/one.c
+++ b/src/one.c
@@ -1,3 +1,3 @@
 first
-second
+changed
 third
"""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_archive(path: Path, members: dict[str, bytes], link: str = "") -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)


class AptTest(unittest.TestCase):
    def test_the_machines_mirrors_and_no_other_repository(self) -> None:
        main, security = apt_source.places(_LISTING)
        self.assertEqual(main, [_MIRROR])
        self.assertEqual(security, ["http://sec.example/s"])

    def test_list_of_sources(self) -> None:
        lines = apt_source.source_list(_LISTING, "trixie").splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].endswith(f"{_MIRROR} trixie main"), lines)
        self.assertTrue(lines[1].endswith("http://sec.example/s trixie-security main"), lines)
        for line in lines:
            self.assertTrue(line.startswith(f"deb-src [signed-by={apt_source.KEYRING}] "), line)

    def test_without_a_mirror(self) -> None:
        with self.assertRaisesRegex(RecipeError, "no mirror"):
            apt_source.source_list("'http://more.example/dists/x/InRelease' x 0\n", "trixie")

    def test_no_state_of_the_machine_is_used_and_checks_stay_on(self) -> None:
        text = apt_source.configuration(Path("/here"))
        for name in ("Dir::Etc::sourcelist", "Dir::State::lists", "Dir::Cache"):
            self.assertRegex(text, rf'{name} "/here/')
        self.assertIn('AllowUnauthenticated "0"', text)
        self.assertIn('AllowInsecureRepositories "0"', text)

    def test_newest_revision_of_the_wanted_version(self) -> None:
        listed = "Version: 1.2.5-3\n\nVersion: 1.2.5-3.1~deb13u1\nVersion: 1.2.6-1\n"
        self.assertEqual(apt_source.newest(listed, "1.2.5"), "1.2.5-3.1~deb13u1")
        again = "Version: 1:0.8.9+dfsg-1\nVersion: 0.8.10-1\n"
        self.assertEqual(apt_source.newest(again, "0.8.9"), "1:0.8.9+dfsg-1")
        with self.assertRaisesRegex(RecipeError, "no source of version 1.2"):
            apt_source.newest(listed, "1.2")


class RecipeTest(unittest.TestCase):
    def _read(self, **changes: object) -> Recipe:
        good = json.loads((ROOT / "third_party/musl/musl.json").read_text())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.json"
            path.write_text(json.dumps(good | changes))
            return read_recipe(path)

    def test_ours(self) -> None:
        recipe = self._read()
        self.assertEqual(recipe.version, "1.2.5")
        self.assertEqual(list(recipe.archives), ["musl_1.2.5.orig.tar.gz"])
        self.assertGreaterEqual(len(recipe.patches), 4)
        self.assertEqual(recipe.patches.keys() & recipe.left_out.keys(), set())

    def test_all_of_ours(self) -> None:
        for path in sorted((ROOT / "third_party").glob("*/*.json")):
            if "archives" in json.loads(path.read_text()):
                self.assertTrue(read_recipe(path).archives, path)

    def test_patches_beside_it_are_its_own(self) -> None:
        recipe = read_recipe(ROOT / "third_party/busybox/busybox.json")
        self.assertIn("vi-regexec.patch", recipe.own_patches)

    def test_the_key_follows_the_pins(self) -> None:
        self.assertEqual(self._read().key(), self._read().key())
        self.assertNotEqual(self._read().key(), self._read(archives={"a": "0" * 64}).key())

    def test_what_is_no_recipe(self) -> None:
        cases: tuple[dict[str, object], ...] = (
            {"archives": {}}, {"archives": {"a": "0"}}, {"archives": {"../a": "0" * 64}},
            {"patches": {"a/b": "0" * 64}}, {"patches": None}, {"packaging": ""},
        )  # fmt: skip
        for changes in cases:
            with self.assertRaises(RecipeError, msg=str(changes)):
                self._read(**changes)


class UnpackTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.downloads = self.folder / "download"
        self.downloads.mkdir()
        self.archive = self.downloads / "p_1.orig.tar.gz"
        _write_archive(self.archive, {"p-1/src/one.c": b"first\nsecond\nthird\n"})
        series = b"fix # why\nother\n"
        self._package({"debian/patches/series": series, "debian/patches/fix": _PATCH})

    def _package(self, members: dict[str, bytes]) -> None:
        _write_archive(self.downloads / "p_1-1.debian.tar.gz", members)

    def _recipe(
        self, *, archive: str = "", patches: dict[str, str] | None = None,
        packaging: str = "p_1-*.debian.tar.gz", skip: tuple[str, ...] = (), own: bytes = b"",
    ) -> Recipe:  # fmt: skip
        digest = archive or _digest(self.archive.read_bytes())
        pins = {"fix": _digest(_PATCH)} if patches is None else patches
        return Recipe(
            "p", "trixie", "1", {self.archive.name: digest}, packaging, pins,
            {"other": "not ours"}, skip, {"own.patch": own.decode()} if own else {},
        )  # fmt: skip

    def _unpack(self, recipe: Recipe) -> Path:
        return unpack.unpack(recipe, self.downloads, self.folder)

    def test_the_patched_source(self) -> None:
        source = self._unpack(self._recipe())
        self.assertEqual((source / "src/one.c").read_text(), "first\nchanged\nthird\n")
        self.assertEqual([path.name for path in (source / "src").iterdir()], ["one.c"])

    def test_again_only_if_the_recipe_changed(self) -> None:
        source = self._unpack(self._recipe())
        (source / "src/one.c").write_text("mine")
        self._unpack(self._recipe())
        self.assertEqual((source / "src/one.c").read_text(), "mine")
        with contextlib.redirect_stderr(io.StringIO()):  # it warns
            self._unpack(self._recipe(patches={}))
        self.assertEqual((source / "src/one.c").read_text(), "first\nsecond\nthird\n")

    def test_another_archive_is_refused(self) -> None:
        with self.assertRaisesRegex(RecipeError, "p_1.orig.tar.gz is not the pinned one"):
            self._unpack(self._recipe(archive="0" * 64))
        self.assertFalse((self.folder / "p-1").exists())
        self.assertFalse(unpack.have_archives(self._recipe(archive="0" * 64), self.downloads))
        self.assertTrue(unpack.have_archives(self._recipe(), self.downloads))

    def test_another_patch_is_refused(self) -> None:
        with self.assertRaisesRegex(RecipeError, "fix is not the pinned one"):
            self._unpack(self._recipe(patches={"fix": "0" * 64}))
        with contextlib.redirect_stderr(io.StringIO()):  # it warns
            with self.assertRaisesRegex(RecipeError, "no patch more"):
                self._unpack(self._recipe(patches={"more": "0" * 64}))

    def test_a_patch_that_does_not_fit(self) -> None:
        bad = _PATCH.replace(b" first", b" fifth")
        self._package({"debian/patches/fix": bad})
        with self.assertRaisesRegex(RecipeError, "fix does not apply"):
            self._unpack(self._recipe(patches={"fix": _digest(bad)}))
        self.assertFalse((self.folder / "p-1").exists())

    def test_patches_of_ours_come_last(self) -> None:
        own = _PATCH.replace(b"-second", b"-changed").replace(b"+changed", b"+ours")
        source = self._unpack(self._recipe(own=own))
        self.assertEqual((source / "src/one.c").read_text(), "first\nours\nthird\n")
        source = self._unpack(self._recipe())
        self.assertEqual((source / "src/one.c").read_text(), "first\nchanged\nthird\n")

    def test_without_the_distributions_patches(self) -> None:
        for path in self.downloads.glob("*.debian.*"):
            path.unlink()
        recipe = self._recipe(patches={}, packaging="")
        self.assertTrue(unpack.have_archives(recipe, self.downloads))
        source = self._unpack(recipe)
        self.assertEqual((source / "src/one.c").read_text(), "first\nsecond\nthird\n")

    def test_skipped_folders(self) -> None:
        _write_archive(self.archive, {"p-1/src/one.c": b"first\nsecond\nthird\n"}, "p-1/tests/link")
        with self.assertRaises(RecipeError):
            self._unpack(self._recipe())
        source = self._unpack(self._recipe(skip=("tests",)))
        self.assertEqual(sorted(path.name for path in source.iterdir()), [".recipe", "src"])

    def test_an_unknown_patch_is_told(self) -> None:
        self._package({"debian/patches/series": b"fix\nCVE-new\n", "debian/patches/fix": _PATCH})
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            self._unpack(self._recipe())
        self.assertIn("patches the recipe does not know: CVE-new\n", errors.getvalue())

    def test_archives_stay_in_their_folder(self) -> None:
        cases: tuple[tuple[dict[str, bytes], str], ...] = (
            ({"p-1/../../out": b""}, ""), ({"/p-1/x": b""}, ""), ({"q/x": b""}, ""),
            ({}, "p-1/link"),
        )  # fmt: skip
        for members, link in cases:
            _write_archive(self.archive, members, link)
            with self.assertRaises(RecipeError, msg=f"{members} {link}"):
                self._unpack(self._recipe())
            self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
