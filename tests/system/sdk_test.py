"""The SDK: made, moved to another place, and used there by the compiler's driver and by CMake."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import packages, sdk
from jx.build import clean_environment
from jx.testing.lab import SystemTest, depends_on, limit

_CHILD = (
    "child| argument 1: one\nchild| argument 2: two words\nchild| COLOR is green\n"
    "child| the event: signalled\nit returned 3, the event is signalled\n"
)
# What each example prints; all end with 0.
_SAYS = {
    "hello": "hello from sdk/hello\n",
    "first jacinth": "7 bytes came through the channel: jacinth\n",
    "threads": "together: 40000\n" + "".join(f"thread {i}: 10000\n" for i in range(4)),
    "event_loop": "".join(f"channel: tick {i}\n" for i in (1, 2, 3)) + "done after 3 ticks\n",
    "echo": "client: one -> ONE\nclient: two words -> TWO WORDS\nserver: the client is gone\n",
    "pager 3 100000000": "3 squared is 9\n100000000 squared is 10000000000000000\n"
    "32 of 262144 pages were made\n",
    "shared_memory": "2000, last by the child\n",
    "spawn": _CHILD,
    "spawn_service": _CHILD,
    "supervisor": "".join(
        f"child {i} runs\nsupervisor: exception 0x108\nsupervisor: start {i} ended with -1024\n"
        for i in (1, 2)
    ) + "child 3 runs\nsupervisor: start 3 ended with 0\n",
    "cplusplus": "area 4.0\nthe counter is made\narea 3.0\narea 9.0\nthe counter ends at 3\n",
}


def _run(words: list[str], folder: Path) -> None:
    answer = subprocess.run(
        words, cwd=folder, env=clean_environment(), capture_output=True, text=True
    )
    if answer.returncode != 0 or "warning" in answer.stderr:
        raise AssertionError(f"`{' '.join(words)}`:\n{answer.stdout[-2000:]}{answer.stderr[-4000:]}")


@depends_on("variant")
class SdkTest(SystemTest):
    """Nothing but the SDK's folder is used, where no path of the tree leads."""

    def setUp(self) -> None:
        super().setUp()
        packages.ensure("sdk-test")
        self._folder = TemporaryDirectory(prefix="jx-sdk-")
        self.addCleanup(self._folder.cleanup)
        made, moved = Path(self._folder.name) / "made", Path(self._folder.name) / "moved" / "kit"
        sdk.make(made)
        moved.parent.mkdir()
        shutil.move(made, moved)
        self.kit = moved
        self.work = Path(self._folder.name) / "work"
        self.work.mkdir()

    def _expect(self, programs: Path) -> None:
        names = [path.name for path in programs.iterdir() if path.is_file() and os.access(path, os.X_OK)]
        adds = tuple((programs / name, f"sdk/{name}") for name in names if "." not in name)
        result = self.run_commands(*(f"sdk/{words}" for words in _SAYS), adds=adds)
        for (words, text), command in zip(_SAYS.items(), result.commands, strict=True):
            self.assertEqual((command.output.decode(), command.code), (text, 0), words)

    @limit(300)
    def test_the_driver(self) -> None:
        config = f"--config={self.kit / 'jacinth.cfg'}"
        c = ["clang-19", config, "-std=c23", "-O2", "-Wall", "-Wextra"]
        cxx = ["clang++-19", config, "-O2", "-Wall", "-fno-exceptions", "-fno-rtti"]
        programs = {
            **{f"{name}.c": () for name in ("hello", "first", "threads", "event_loop", "pager", "child")},
            "echo_server.c": (), "cplusplus.cc": (),
            "echo.c": ("start.c", "-llauncher"),
            "shared_memory.c": ("start.c", "-llauncher"),
            "supervisor.c": ("start.c", "-llauncher"),
            "spawn.c": ("start.c", "collect.c", "-llauncher"),
            "spawn_service.c": ("start.c", "collect.c", "-llaunchsvc", "-llauncher", "-lfidl"),
        }  # fmt: skip
        for main, others in programs.items():
            sources = [str(self.kit / "examples" / w) if w.endswith((".c", ".cc")) else w
                       for w in (main, *others)]  # fmt: skip
            _run([*(cxx if main.endswith("cc") else c), *sources, "-o", Path(main).stem], self.work)
        self._expect(self.work)

    def test_names_of_status_codes(self) -> None:
        (self.work / "names.c").write_text(
            "#include <stdio.h>\n#include <zircon/status.h>\n"
            "int main(void) { puts(zx_status_get_string(ZX_ERR_NOT_FOUND)); }\n")
        for name in ("jacinth", "jacinth-static"):
            _run(["clang-19", f"--config={self.kit / name}.cfg", "names.c", "-o", "names"], self.work)
            result = self.run_commands("names", adds=((self.work / "names", "bin/names"),))
            self.assertEqual(result.commands[0].output, b"ZX_ERR_NOT_FOUND\n")

    def test_what_was_relocated_is_read_only(self) -> None:
        (self.work / "relro.c").write_text(
            "#include <stdio.h>\n"
            "static int f(void) { return 1; }\n"
            "int (*const table[])(void) = {f};\n"
            "int main(int argc, char** argv) {\n"
            "    (void)argv;\n"
            "    puts(table[argc - 1] == f ? \"relocated\" : \"not\");\n"
            "    fflush(stdout);\n"
            "    *(int (*volatile*)(void))&table[0] = 0;\n"
            "    puts(\"written\");\n"
            "}\n")
        for name in ("jacinth", "jacinth-static"):
            _run(["clang-19", f"--config={self.kit / name}.cfg", "relro.c", "-o", "relro"], self.work)
            result = self.run_commands(
                "relro", "cat /tmp/crashes/0.txt", adds=((self.work / "relro", "bin/relro"),)
            )
            # The names of an added program go with it.
            self.assertRegex(result.commands[1].output, rb"#0  main\+0x[0-9a-f]+ \(relro\+")
            self.assertEqual(result.commands[0].code, -1028, name)  # crashed
            self.assertIn(b"relocated\n", result.commands[0].output)
            self.assertNotIn(b"written", result.commands[0].output)

    @limit(300)
    def test_cmake(self) -> None:
        toolchain = f"-DCMAKE_TOOLCHAIN_FILE={self.kit / 'jacinth.cmake'}"
        command = ["cmake", "-G", "Ninja", toolchain, "-DJACINTH_STATIC=ON"]
        _run([*command, "-S", str(self.kit / "examples"), "-B", "out"], self.work)
        _run(["cmake", "--build", "out"], self.work)
        self._expect(self.work / "out")

    def test_pkg_config_knows_where_it_is(self) -> None:
        environment = dict(os.environ, PKG_CONFIG_LIBDIR=str(self.kit / "sysroot/lib/pkgconfig"))
        answer = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "launchsvc"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        for word in ("-llaunchsvc", "-llauncher", "-lfidl"):
            self.assertIn(word, answer.stdout)
        include = next(w[2:] for w in answer.stdout.split() if w.startswith("-I"))
        self.assertTrue((Path(include) / "launchsvc" / "client.h").is_file())

    def test_no_path_of_the_tree_is_in_it(self) -> None:
        for path in self.kit.rglob("*"):
            if path.is_file() and path.suffix in (".cfg", ".cmake", ".pc", ".txt", ".md"):
                self.assertNotIn(str(Path.cwd()), path.read_text(errors="replace"), path)


if __name__ == "__main__":
    unittest.main()
