"""Tests of the comparison with the pinned firmware."""

import hashlib
import json
import tempfile
import unittest
from pathlib import Path

from jx import firmware
from jx.tree import ROOT

_VOLUME = bytes(40) + b"_FVH" + b"rest"


class FirmwareTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.code = Path(folder.name) / "code.fd"
        self.code.write_bytes(_VOLUME)
        self.known = Path(folder.name) / "known.json"
        self._pin(_VOLUME)

    def _pin(self, data: bytes, *, qemu: str | None = None) -> None:
        version = qemu or firmware.qemu_version() or "none"
        files = {str(self.code): hashlib.sha256(data).hexdigest()}
        one = {"package": "ovmf", "version": "1-2", "files": files}
        self.known.write_text(json.dumps({"qemu": [version], "sets": [one]}))

    def test_the_tested_one(self) -> None:
        self.assertEqual(firmware.differences(self.known), [])

    def test_another_one(self) -> None:
        self.code.write_bytes(_VOLUME + b"!")
        (text,) = firmware.differences(self.known)
        self.assertIn("another than the tested one (tested: package ovmf 1-2)", text)

    def test_what_is_no_firmware(self) -> None:
        self.code.write_bytes(b"\0" * 100)
        (text,) = firmware.differences(self.known)
        self.assertIn("is no firmware volume", text)

    def test_what_is_missing_is_not_different(self) -> None:
        self.code.unlink()
        self.assertEqual(firmware.differences(self.known), [])

    @unittest.skipIf(firmware.qemu_version() is None, "QEMU is not installed")
    def test_another_emulator(self) -> None:
        self._pin(_VOLUME, qemu="0.9")
        (text,) = firmware.differences(self.known)
        self.assertRegex(text, r"QEMU is \d+\.\d+ \(tested: 0.9\)")

    def test_the_list_itself(self) -> None:
        known = json.loads((ROOT / "third_party/firmware/firmware.json").read_text())
        digests = [digest for one in known["sets"] for digest in one["files"].values()]
        self.assertGreaterEqual(len(digests), 2)
        for digest in digests:
            self.assertRegex(digest, r"^[0-9a-f]{64}$")


if __name__ == "__main__":
    unittest.main()
