"""Tests of the log of writes and of the images that follow from it."""

import tempfile
import unittest
from pathlib import Path

from powercut import cuts
from powercut.cuts import Cut
from powercut.write_log import Entry, LogError, read_log, write_log


def _write(offset: int, data: bytes) -> Entry:
    return Entry(offset, len(data), data, is_flush=False, is_discard=False)


_FLUSH = Entry(0, 0, b"", is_flush=True, is_discard=False)
_LOG = [
    _write(0, b"a" * 512), _write(512, b"b" * 1024), _FLUSH,
    _write(0, b"c" * 512), _write(1024, b"d" * 512), _FLUSH,
    Entry(512, 512, b"", is_flush=False, is_discard=True),
]  # fmt: skip


class LogTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "log"

    def test_what_is_written_is_read(self) -> None:
        for sector in (512, 1024):
            log = _LOG if sector == 512 else [_write(4096, b"x" * 2048), _FLUSH]
            write_log(self.path, log, sector)
            self.assertEqual(read_log(self.path), log)

    def test_what_is_none(self) -> None:
        write_log(self.path, _LOG)
        good = self.path.read_bytes()
        for bad in (b"", b"x" * 4096, good[:700], good[:1200], good[:24] + b"\7" + good[25:]):
            self.path.write_bytes(bad)
            with self.assertRaises(LogError):
                read_log(self.path)


class CutsTest(unittest.TestCase):
    def test_images(self) -> None:
        base = b"-" * 2048
        wanted = {
            Cut(0, ()): base,
            Cut(0, (1,)): b"-" * 512 + b"b" * 1024 + b"-" * 512,
            Cut(3, (4,)): b"a" * 512 + b"b" * 512 + b"d" * 512 + b"-" * 512,
            Cut(6, (6,)): b"c" * 512 + bytes(512) + b"d" * 512 + b"-" * 512,
        }
        found = {cut: bytes(image) for cut, image in cuts.images(base, _LOG, list(wanted))}
        self.assertEqual(found, wanted)

    def test_choice(self) -> None:
        chosen = cuts.choose(_LOG, 200, seed=1)
        self.assertEqual(chosen, cuts.choose(_LOG, 200, seed=1))
        self.assertEqual({cut.flushed for cut in chosen}, {0, 3, 6})
        self.assertEqual({cut.kept for cut in chosen if cut.flushed == 3}, {(), (3,), (4,), (3, 4)})
        self.assertEqual(cuts.choose([], 5, seed=1), [])
        self.assertEqual({cut.flushed for cut in cuts.choose(_LOG, 2, seed=1)}, {3, 6})

    def test_what_must_be_there(self) -> None:
        pages = [_write(8192 * step, cuts.page_of(step, 0)) for step in (1, 2, 3)]
        log = [pages[0], _FLUSH, _write(0, b"z" * 512), pages[1], _FLUSH, pages[2]]
        wanted = {
            Cut(0, ()): 0, Cut(0, (0,)): 0, Cut(2, ()): 0, Cut(2, (3,)): 1, Cut(5, ()): 1,
            Cut(5, (5,)): 2,
        }  # fmt: skip
        self.assertEqual({cut: cuts.last_synced(log, cut) for cut in wanted}, wanted)

    def test_pages_differ(self) -> None:
        pages = {cuts.page_of(step, page) for step in (1, 2) for page in (0, 1)}
        self.assertEqual(len(pages), 4)
        self.assertEqual({len(page) for page in pages}, {cuts.PAGE})


if __name__ == "__main__":
    unittest.main()
