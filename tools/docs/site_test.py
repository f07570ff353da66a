"""Tests of the site: which pages there are, where their links lead, and that its check finds faults."""

import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs import fidl, render, site, syscalls  # noqa: E402

HERE = Path(__file__).resolve().parent
DEFS = HERE.parent.parent / "syscall" / "defs"
ERRORS = (HERE.parent.parent / "sdk/abi/include/zircon/errors.h").read_text()
FIDL = HERE.parent / "fidlgen" / "testdata"


def rendered(text: str) -> str:
    """Links and headings only: enough to see where they lead, without the package."""
    text = re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r'<a href="\2">\1</a>', text)
    return re.sub(r"^(#+) (.*)$", lambda m: f"<h{len(m[1])}>{m[2]}</h{len(m[1])}>", text, flags=re.M)


class SiteTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def make(self, tree: dict[str, str], **more: dict[str, str]) -> site.Site:
        files = {*tree, "LICENSE"}
        sources = site.Sources(tree, files.__contains__, lambda path: f"text of {path}", **more)
        made = site.Site(sources, rendered)
        made.write(self.folder)
        return made

    def test_pages_that_are_linked_to_are_there_and_others_are_not(self) -> None:
        tree = {
            "README.md": "# Jacinth\n[m](docs/README.md) [l](LICENSE)",
            "docs/README.md": "# Manual\n[b](../build#two) [home](../README.md)",
            "build/README.md": "# Build\n## Two\n",
            "tools/README.md": "# Not linked to\n",
        }
        made = self.make(tree)
        self.assertEqual(set(made.pages), {"README.md", "docs/README.md", "build/README.md", "LICENSE"})
        text = (self.folder / "docs/index.html").read_text()
        self.assertIn('<a href="../build/index.html#two">b</a>', text)
        self.assertIn('<a href="../index.html">home</a>', text)
        self.assertIn("text of LICENSE", (self.folder / "LICENSE.html").read_text())
        self.assertEqual(site.check(self.folder), [])

    def test_a_link_to_a_call_leads_to_its_own_page(self) -> None:
        tree = {"README.md": "# J\n[w](docs/g.md#zx_w) [g](docs/g.md)", "docs/g.md": "# g\n"}
        self.make(tree, generated={"docs/g.md": "# g\n", "docs/zx_w.md": "# zx_w\n"},
                  moved={("docs/g.md", "zx_w"): "docs/zx_w.md"}, parents={"docs/zx_w.md": "docs/g.md"})
        text = (self.folder / "index.html").read_text()
        self.assertIn('<a href="docs/zx_w.html">w</a> <a href="docs/g.html">g</a>', text)
        self.assertEqual(text.count("docs/zx_w.html"), 1)  # not in the navigation of other pages
        self.assertIn('href="zx_w.html"', (self.folder / "docs/g.html").read_text())
        self.assertEqual(site.check(self.folder), [])

    def test_faults_are_named(self) -> None:
        self.make({"README.md": "# J\n[x](gone.md) [y](docs/a.md#gone)", "docs/a.md": "# A\n"})
        self.assertEqual(site.check(self.folder), [
            "index.html: gone.md: no such page", "index.html: docs/a.html#gone: no such anchor"])

    def test_what_was_there_before_is_gone(self) -> None:
        self.make({"README.md": "# J\n[a](docs/a.md)", "docs/a.md": "# A\n"})
        self.make({"README.md": "# J\n"})
        self.assertFalse((self.folder / "docs").exists())

    def test_generated_pages_lead_to_each_other(self) -> None:
        interface = syscalls.interface(DEFS)
        protocols = fidl.universe(FIDL.glob("*.fidl"))
        tree = {"README.md": "# J\n", "tools/fidlgen/README.md": "# F\n"}
        self.make(tree, generated=syscalls.pages(interface, ERRORS) | fidl.pages(protocols),
                  moved=syscalls.moved(interface),
                  parents=syscalls.parents(interface) | fidl.parents(protocols))
        self.assertEqual(site.check(self.folder), [])


class RenderTest(unittest.TestCase):
    def test_anchors_are_those_of_the_markdown(self) -> None:
        body = render.with_anchors("<h1>A &amp; <code>b</code></h1>\n<h2>Same</h2>\n<h2>Same</h2>")
        self.assertEqual(re.findall(r'id="([^"]*)"', body), ["a--b", "same", "same-1"])

    @unittest.skipUnless(shutil.which("cmark-gfm"), "cmark-gfm is not installed")
    def test_the_real_renderer(self) -> None:
        body = render.render("# T\n\n| a |\n|---|\n| [l](x.md) |\n\n```c\nint x = a < b;\n```\n<b>\n")
        self.assertIn("<h1>T</h1>", body)
        self.assertIn('<td><a href="x.md">l</a></td>', body)
        self.assertIn("int x = a &lt; b;", body)
        self.assertNotIn("<b>", body)


class SyscallPagesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.interface = syscalls.interface(DEFS)
        self.pages = syscalls.pages(self.interface, ERRORS)

    def test_every_public_call_has_a_page_and_is_in_both_indexes(self) -> None:
        public = [call for call in self.interface.calls if call.is_public]
        self.assertGreater(len(public), 100)
        for call in public:
            text = self.pages[f"docs/syscalls/zx_{call.name}.md"]
            self.assertIn(f"zx_{call.name}(", text)
            for index in ("index", "alphabetical", call.group):
                self.assertIn(f"(zx_{call.name}.md)", self.pages[f"docs/syscalls/{index}.md"])

    def test_a_page_says_what_the_definition_says(self) -> None:
        text = self.pages["docs/syscalls/zx_handle_duplicate.md"]
        for part in ("zx_status_t zx_handle_duplicate(", "ZX_RIGHT_DUPLICATE",
                     "[`ZX_ERR_NO_MEMORY`](errors.md#zx_err_no_memory)",
                     "Group: [handle](handle.md)"):
            self.assertIn(part, text)

    def test_errors_have_their_meaning_and_their_calls(self) -> None:
        text = self.pages["docs/syscalls/errors.md"]
        part = text.partition("## ZX_ERR_ALREADY_BOUND")[2].partition("\n## ")[0]
        self.assertIn("-27: the state of the object forbids it", part)
        self.assertRegex(part, r"Given by .*\[zx_job_set_critical\]\(zx_job_set_critical.md\)")
        self.assertNotIn("zx_event_create", part)
        self.assertIn("-11: the value names no handle of this process.\n\nGiven by most calls.", text)

    def test_internal_calls_have_none(self) -> None:
        internal = next(call for call in self.interface.calls if not call.is_public)
        self.assertNotIn(f"docs/syscalls/zx_{internal.name}.md", self.pages)


class FidlPagesTest(unittest.TestCase):
    def pages(self, text: str) -> dict[str, str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "t.fidl"
            path.write_text(text)
            return fidl.pages(fidl.universe([path]))

    def test_a_protocol(self) -> None:
        pages = self.pages("""/// Of all kinds.
            library t; using zx;
            /// What it is for.
            type Inner = struct { a uint8; b uint32; };
            type Other = struct {};
            /// Says hello.
            closed protocol P {
                /// Does it.
                strict Do(struct { in vector<Inner>:4; }) -> (resource struct {
                    h zx.Handle:<VMO, zx.Rights.READ, optional>; });
                strict -> Done();
            };""")
        self.assertIn("# Library t\n\nOf all kinds.\n\n- protocol [P](t.P.md): Do, Done\n",
                      pages["docs/fidl/t.md"])
        text = pages["docs/fidl/t.P.md"]
        for part in (
            "# t/P\n\nSays hello.", "### Do\n\nDoes it.", "| kind | with an answer, strict |",
            "| ordinal | `0x", "| request | [PDoRequest](#pdorequest) |", "| kind | event, strict |",
            "| 0 | `in` | vector of [Inner](#inner): 4 |  |", "### Inner\n\nstruct, 8 bytes",
            "What it is for.", "| 4 | `b` | uint32 |  |",
            "handle of `VMO` (READ), optional",
        ):  # fmt: skip
            self.assertIn(part, text)
        self.assertNotIn("Other", text)

    def test_libraries_in_any_order_of_files(self) -> None:
        for order in (False, True):
            paths = sorted(FIDL.glob("*.fidl"), reverse=order)
            self.assertIn("test.sample", fidl.universe(paths).libraries)


if __name__ == "__main__":
    unittest.main()
