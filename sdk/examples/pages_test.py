"""What the manual's pages for programmers show is code that is built, and lists that are complete."""

import re
import unittest

from jx.tree import ROOT, tree_files

_PAGES = ("first-program", "capabilities", "launcher", "porting-from-zircon", "writing-a-service")
_BLOCK = re.compile(r"^```c\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _flat(text: str) -> str:
    """Without what depends on where a piece of code stands."""
    return "\n".join(line.strip() for line in text.splitlines())


class PagesTest(unittest.TestCase):
    def test_code_of_the_pages_is_code_of_the_tree(self) -> None:
        sources = [path for path in tree_files(".c")
                   if path.is_relative_to(ROOT / "sdk/examples")
                   or path.is_relative_to(ROOT / "system/bin")]
        built = [_flat(path.read_text()) for path in sources]
        count = 0
        for page in _PAGES:
            for block in _BLOCK.findall((ROOT / f"docs/{page}.md").read_text()):
                count += 1
                where = f"docs/{page}.md shows what no example contains:\n{block}"
                self.assertTrue(any(_flat(block) in text for text in built), where)
        self.assertGreater(count, 5)

    def test_the_launchers_manual_has_every_error(self) -> None:
        header = (ROOT / "sdk/lib/launcher/include/launcher/launcher.h").read_text()
        names = re.findall(r"^    X\((\w+),", header, re.MULTILINE)
        self.assertIn("BAD_PROGRAM", names)
        manual = (ROOT / "docs/launcher.md").read_text()
        self.assertEqual([name for name in names if f"`{name}`" not in manual], [])


if __name__ == "__main__":
    unittest.main()
