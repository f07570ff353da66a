"""Tests of markers.py."""

import random
import unittest

from jx.markers import Marker, MarkerParser, in_words


def _parse_all(pieces: list[bytes]) -> list[bytes | Marker]:
    """Feeds the pieces and joins neighbouring text, so that the cutting does not show."""
    parser = MarkerParser()
    joined: list[bytes | Marker] = []
    items = [item for piece in pieces for item in parser.feed(piece)] + parser.finish()
    for item in items:
        if isinstance(item, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += item
        else:
            joined.append(item)
    return joined


class MarkerTest(unittest.TestCase):
    def test_text_and_markers(self) -> None:
        data = b"hello\r\nabc\x1e[exit] 3\r\nnext"
        self.assertEqual(
            _parse_all([data]), [b"hello\r\nabc", Marker("exit", "3"), b"next"]
        )

    def test_what_is_for_people(self) -> None:
        markers = (Marker("test", "vmo.map ok"), Marker("value", "a 1"), Marker("exit", "0"), Marker("cmd", "0 ls"))
        self.assertEqual([in_words(marker) for marker in markers], ["vmo.map ok", "a 1", "", ""])

    def test_text_is_not_held_back(self) -> None:
        self.assertEqual(MarkerParser().feed(b"jx> "), [b"jx> "])

    def test_any_cut_gives_the_same(self) -> None:
        data = b"a\x1e[test] kernel g.c start\nb\x1e\x1e[done]\n\x1enot\n\x1e[x y]\n\x1e[end"
        whole = _parse_all([data])
        self.assertIn(Marker("done", ""), whole)
        generator = random.Random(7)
        for _ in range(200):
            pieces, at = [], 0
            while at < len(data):
                step = generator.randint(1, 9)
                pieces.append(data[at : at + step])
                at += step
            self.assertEqual(_parse_all(pieces), whole)

    def test_what_is_no_marker_is_text(self) -> None:
        for data in (b"\x1e", b"\x1e[]\n", b"\x1e[no end\n", b"\x1eplain\n", b"\x1e" + b"[" * 3000):
            self.assertEqual(_parse_all([data]), [data])

    def test_bytes_that_are_no_utf8(self) -> None:
        self.assertEqual(_parse_all([b"\x1e[test] \xff\n"]), [Marker("test", "\ufffd")])

    def test_fields(self) -> None:
        marker = Marker("test", "kernel a.b fail it broke twice")
        self.assertEqual(marker.fields(4), ["kernel", "a.b", "fail", "it broke twice"])
        self.assertEqual(Marker("done", "").fields(2), ["", ""])


if __name__ == "__main__":
    unittest.main()
