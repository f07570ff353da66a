"""The console on the frame buffer shows what the serial line does."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from font.psf import read as read_font
from jx.testing.lab import Console, SystemTest, limit

_FONT = Path("/usr/share/consolefonts/Unifont-APL8x16.psf.gz")
_WIDTH = 8


def _pixels(picture: bytes) -> tuple[int, int, bytes]:
    """Of a PPM file: width, height, and a byte for each pixel that says whether it is lit."""
    magic, size, depth, data = picture.split(b"\n", 3)
    assert magic == b"P6" and depth == b"255"
    width, height = (int(word) for word in size.split())
    return width, height, bytes(1 if value > 0x40 else 0 for value in data[1::3])


def read_screen(picture: bytes) -> list[str]:
    """The lines of text that the picture shows; what is no glyph of the font is a question mark."""
    height, characters = read_font(_FONT.read_bytes())
    glyphs = {glyph: chr(code) for code, glyph in sorted(characters.items(), reverse=True)}
    width, rows, lit = _pixels(picture)
    lines = []
    for top in range(0, rows - height + 1, height):
        line = ""
        for left in range(0, width - _WIDTH + 1, _WIDTH):
            cell = bytes(
                int("".join(map(str, lit[(top + y) * width + left :][:_WIDTH])), 2)
                for y in range(height)
            )
            inverted = bytes(row ^ 0xFF for row in cell)  # under the cursor
            line += glyphs.get(cell) or glyphs.get(inverted) or "?"
        lines.append(line.rstrip())
    return lines


class ScreenTest(SystemTest):
    """Firmware sets up the screen, the kernel hands it on, the console draws on it."""

    @limit(240)
    def test_the_screen_shows_what_the_serial_line_does(self) -> None:
        with self.boot(uefi=True, machine="q35", smp=1) as console:
            console.wait_text("jacinth> ")
            said = self._converse(console)
            # What came by way of the terminal, without the echo's line ends.
            expected = ("jacinth> " + said).replace("\r", "").split("\n")
            self.assertIn("[on both: \u00e9]", expected)
            shown = self._wait_for(console, expected)
            self.assertEqual(shown[: len(expected)], [line.rstrip() for line in expected])
            self.assertEqual(set(shown[len(expected) :]), {""})

    @limit(240)
    def test_the_keyboard_types(self) -> None:
        """At the shell, and what a small program says is on the screen, too."""
        with self.boot(shell=True, uefi=True, machine="q35", smp=1) as console:
            console.wait_text("jacinth:/ # ")
            for key in ("h", "e", "l", "x", "backspace", "l", "o", "spc", "shift-k", "ret"):
                keys = [{"type": "qcode", "data": code} for code in key.split("-")]
                console.guest.query("send-key", keys=keys)
                time.sleep(0.15)
            self.assertIn("\nhello K\n", console.wait_text("\njacinth:/ # "))
            expected = ["Type help for help.", "jacinth:/ # hello K", "hello K", "jacinth:/ # "]
            shown = self._wait_for(console, expected)
            self.assertEqual(shown[: len(expected)], [line.rstrip() for line in expected])

    def _converse(self, console: Console) -> str:
        said = ""
        console.type("/boot/measure/terminal line\r")
        said += console.wait_text("line?")
        console.type("on botx\x7fh: \u00e9\r")
        said += console.wait_text("jacinth> ")
        # Erasing is backspace, blank, backspace on the serial line.
        return said.replace("x\b \b", "")

    def _wait_for(self, console: Console, expected: list[str]) -> list[str]:
        """The screen follows the serial line, at once as people see it."""
        shown: list[str] = []
        deadline = time.monotonic() + 20
        with TemporaryDirectory() as folder:
            while shown[: len(expected)] != [line.rstrip() for line in expected]:
                if time.monotonic() > deadline:
                    break
                path = Path(folder) / "screen.ppm"
                console.guest.query("screendump", filename=str(path))
                shown = read_screen(path.read_bytes())
        return shown
