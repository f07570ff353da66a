"""Tests of what counts as a link and as an anchor, and of where links lead."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs import links, markdown  # noqa: E402

PAGE = """# The page

See [one](a.md), [two
lines](b.md#x), `[code](no.md)`, ``a ` [more](no.md)`` and ![picture](p.png "its title").

    [indented code](no.md)

```c
f[0](no.md);
# no heading
```

- a list

  [in a list](c.md)
| [cell](d.md) | [web](https://example.org/x) |

[name]: e.md

## `zx_call` and [a link](f.md)
## Same
## Same
"""


class MarkdownTest(unittest.TestCase):
    def test_links_with_their_lines(self) -> None:
        found = [(link.line, link.target) for link in markdown.links(PAGE)]
        self.assertEqual(found, [
            (3, "a.md"), (4, "b.md#x"), (4, "p.png"), (15, "c.md"), (16, "d.md"),
            (16, "https://example.org/x"), (18, "e.md"), (20, "f.md"),
        ])  # fmt: skip

    def test_headings_and_anchors(self) -> None:
        self.assertEqual(markdown.title(PAGE, "?"), "The page")
        self.assertEqual(markdown.title("text", "?"), "?")
        self.assertEqual(markdown.anchors(PAGE),
                         {"the-page", "zx_call-and-a-link", "same", "same-1"})

    def test_anchors_drop_punctuation(self) -> None:
        self.assertEqual(markdown.Slugs().of("Time, once (more): 1-2"), "time-once-more-1-2")

    def test_a_fence_is_closed_by_its_like_only(self) -> None:
        text = "````\n```\n[no](no.md)\n````\n[yes](yes.md)\n"
        self.assertEqual([link.target for link in markdown.links(text)], ["yes.md"])


class CheckTest(unittest.TestCase):
    def check(self, text: str) -> list[str]:
        pages = {"docs/page.md": text, "docs/other.md": "# Other\n## Part\n", "a/README.md": "# A\n"}
        files = {*pages, "LICENSE"}
        return links.check(pages, files.__contains__)

    def test_what_is_there(self) -> None:
        good = ("[a](other.md) [b](other.md#part) [c](../LICENSE) [d](../a) [e](../a/)"
                " [f](#here) [g](https://nowhere.invalid/#x) [h](mailto:x@y.invalid)\n\n# Here\n")
        self.assertEqual(self.check(good), [])

    def test_what_is_not(self) -> None:
        for target, why in (
            ("gone.md", "no such file"), ("../b", "no such file"), ("other.md#gone", "no such heading"),
            ("#gone", "no such heading"), ("../../x", "leads out of the tree"), ("/docs", "not relative"),
            ("../LICENSE#x", "no such heading"),
        ):  # fmt: skip
            message = f"docs/page.md:3: {target}: {why}"
            self.assertEqual(self.check(f"# Here\n\n[x]({target})\n"), [message])

    def test_pages_that_nothing_leads_to(self) -> None:
        pages = {"README.md": "[a](docs/a.md) [gone](gone.md)", "docs/a.md": "[b](b.md)",
                 "docs/b.md": "[home](../README.md)", "docs/c.md": "[d](d.md)", "docs/d.md": "[c](c.md)"}
        self.assertEqual(links.unreached(pages, pages.__contains__), ["docs/c.md", "docs/d.md"])


if __name__ == "__main__":
    unittest.main()
