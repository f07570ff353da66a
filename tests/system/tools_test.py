"""The tools that look at the system: what they say must agree, with each other and with what is so."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import build, disk
from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on, limit
from jx.tree import out_dir

_WITH_HELP = (
    "df", "dmesg", "free", "handles", "iostat", "jobtree", "kill", "launch", "lspci", "mount", "pagerstat", "ps", "threads", "top",
    "uptime", "vmaps",
    "/boot/bin/k", "/boot/bin/poweroff", "/boot/bin/reboot",
)  # fmt: skip


def _text(result: ScriptResult, index: int) -> str:
    return result.commands[index].output.decode()


@depends_on("smp", "variant")
class ToolsTest(SystemTest):
    """Programs of system/bin that ask the kernel."""

    def _koid(self, name: str) -> int:
        """Of a process, on a machine that is started in the same way again."""
        match = re.search(rf"^ *(\d+) +\d+K +\d+K +{name}$", _text(self.run_commands("ps"), 0), re.M)
        assert match is not None
        return int(match[1])

    def test_help_and_wrong_usage(self) -> None:
        result = self.run_commands(*(f"{name} --help" for name in _WITH_HELP))
        for index, name in enumerate(_WITH_HELP):
            self.assertIn(f"usage: {name.rpartition('/')[2]}", _text(result, index))
            self.assertEqual(result.commands[index].code, 0, name)
        wrong = ("free x", "handles", "vmaps a b", "threads", "top -n", "top -d x", "kill", "dmesg x", "launch",
                 "launch -x /boot/bin/ps", "launch -n", "df -x", "ps x", "iostat x", "lspci x")
        result = self.run_commands(*wrong)
        for index, line in enumerate(wrong):
            self.assertIn("usage: ", _text(result, index), line)
            self.assertEqual(result.commands[index].code, 2, line)

    def test_one_process_from_all_sides(self) -> None:
        koid = self._koid("bin/init")
        result = self.run_commands(f"handles {koid}", f"vmaps {koid}", f"threads {koid}", "jobtree")
        self.assertEqual([command.code for command in result.commands], [0, 0, 0, 0])
        handles, maps, threads, jobs = (_text(result, index) for index in range(4))
        # It holds itself, with all rights of a process, and its thread.
        self.assertRegex(handles, rf"(?m)^\w{{8}}  process    dtrw..gsek..S.WI.MT...... +{koid} ")
        thread = re.search(rf"(?m)^\w{{8}}  thread .* (\d+) +{koid}$", handles)
        assert thread is not None
        self.assertEqual(len(re.findall(r"(?m)^[0-9a-f]{8}  ", handles)), self._count(handles))
        # Its code is mapped once, and nothing is writable and executable.
        self.assertEqual(len(re.findall(r"(?m)mapping r-x .*  init$", maps)), 1)
        self.assertNotIn("mapping rwx", maps)
        # The thread is there and waits for requests, or is still busy with the one that led here; the other one
        # waits for the program that asks.
        self.assertRegex(threads, rf"(?m)^{thread[1]} initial-thread, (at a port|running), ")
        self.assertIn(" commands, waiting for a handle", threads)
        frames = re.findall(r"(?m)^#(\d+) +(\w+)\+0x[0-9a-f]+ \((\w+)\+0x[0-9a-f]+\)$", threads)
        self.assertEqual(frames[0][0], "0")
        self.assertGreaterEqual(len(frames), 4, threads)
        self.assertEqual({module for _, _, module in frames}, {"init", "vdso"})
        self.assertIn(("main", "init"), [(function, module) for _, function, module in frames])
        self.assertNotIn("{{{bt", threads)  # every function has a name, those of the vDSO too
        self.assertRegex(jobs, r"(?m)^ *\d+ +1 +\d+K +\d+ms      jobtree$")

    def _count(self, text: str) -> int:
        match = re.search(r"^(\d+) handles$", text, re.M)
        assert match is not None
        return int(match[1])

    def test_no_such_process(self) -> None:
        result = self.run_commands("handles 1", "vmaps x", "threads 1029", "kill 1 x")
        for index, error in enumerate(("NOT_FOUND", "INVALID_ARGS", "WRONG_TYPE", "NOT_FOUND")):
            self.assertIn(f"ZX_ERR_{error}", _text(result, index))
            self.assertEqual(result.commands[index].code, 1)

    def test_the_machine(self) -> None:
        result = self.run_commands("free", "dmesg", "mount", "top -n 2 -d 50", "/boot/bin/k mem")
        self.assertEqual([command.code for command in result.commands], [0] * 5)
        total = re.search(r"^total +(\d+)K$", _text(result, 0), re.M)
        free = re.search(r"^free +(\d+)K$", _text(result, 0), re.M)
        assert total is not None and free is not None
        self.assertIn(f"total          {total[1]} KiB\n", _text(result, 4))
        self.assertLess(int(free[1]), int(total[1]))
        self.assertRegex(_text(result, 0), r"(?m)^files: \d+ pages were read, \d+ given up for others, ")
        self.assertRegex(_text(result, 1), r"(?m)^\[ +\d+\.\d{6}\] 0\.\d+ info: ")
        self.assertRegex(_text(result, 2), r"(?m)^/boot +\d+ +\d+  served$")
        tables = _text(result, 3).split("    KOID")[1:]
        self.assertEqual(len(tables), 2)
        for table in tables:
            shares = [float(share) for share in re.findall(r"(?m)^ *\d+ +(\d+\.\d) ", table)]
            self.assertEqual(shares, sorted(shares, reverse=True))
            self.assertLessEqual(sum(shares), 100 * self.settings.smp + 1, table)

    def test_namespace(self) -> None:
        result = self.run_commands("mount", "df")
        for index in range(2):
            prefixes = [line.split()[0] for line in _text(result, index).splitlines()]
            found = [prefix for prefix in prefixes if prefix != "PREFIX"]
            self.assertEqual(found, ["/boot", "/bin", "/tmp", "/data", "/dev", "/svc"])
        self.assertRegex(_text(result, 1), r"(?m)^/boot +(\d+)K +\1K +100%  read-only$")
        self.assertRegex(_text(result, 1), r"(?m)^/data +- +- +-  nobody there$")
        self.assertRegex(_text(result, 1), r"(?m)^/tmp +\d+K +\d+K +0%$")
        paths = self.run_commands("df -k /boot/bin/ls /tmp", "df -h /tmp", "df /boot/none", "df /nowhere", "df /tmp/../boot")
        self.assertEqual([command.code for command in paths.commands], [0, 0, 1, 1, 1])
        self.assertRegex(_text(paths, 0), r"^PREFIX .*\n/boot +\d+K .*\n/tmp +\d+K .*\n$")
        self.assertRegex(_text(paths, 1), r"^PREFIX .*\n/tmp +\d+(\.\d)?[MG] .*\n$")
        self.assertIn("df: /boot/none: ZX_ERR_NOT_FOUND", _text(paths, 2))

    def test_launch_gives_what_is_named(self) -> None:
        ours = {
            "launch /boot/bin/mount": (r"PREFIX .*\n", 0),
            "launch -n /boot -n /x=/boot/bin /boot/bin/mount": (r"PREFIX .*\n/boot .*served\n/x .*served\n", 0),
            "launch -e A=1 -e B=2 /boot/bin/env": (r"A=1\nB=2\n", 0),
            "launch /boot/bin/exit 7": (r"", 7),
            "launch -n /data=/boot/doc /boot/bin/ls /data": (r"LICENSE\n", 0),
            # Nothing that was not named is there.
            "launch /boot/bin/ls /boot": (r"ls: /boot: No such file or directory\n", 1),
            "launch /boot/bin/jobtree": (r"(?s).*the root job: ZX_ERR_BAD_HANDLE \(not given to it\)\n", 1),
            "launch -j /boot/bin/jobtree": (r"[^\n]*\n *\d+ +1 [^\n]*/jobtree\n", 0),
            # Nor can it be given what the giver does not have.
            "launch -n /svc /boot/bin/poweroff": (r"poweroff: the machine: ZX_ERR_PEER_CLOSED \(not given to it\)\n", 1),
            "launch -n /nowhere /boot/bin/ps": (r"launch: /nowhere: ZX_ERR_NOT_FOUND\n", 2),
            "launch /boot/bin/nothing": (r"launch: /boot/bin/nothing: ZX_ERR_NOT_FOUND\n", 126),
            # Init's own commands have no working directory.
            "launch bin/exit": (r"launch: bin/exit: a full path is needed\n", 126),
        }
        result = self.run_commands(*ours)
        for command, (line, (text, code)) in zip(result.commands, ours.items()):
            self.assertIsNotNone(re.fullmatch(text, command.output.decode()), (line, command.output))
            self.assertEqual(command.code, code, line)

    @limit(150)
    def test_launch_of_linked_programs(self) -> None:
        """From a disk and from /bin, with no directory given: interpreter and libraries are found all the same."""
        if self.settings.machine == "microvm":
            self.skipTest("the machine has no PCI bus")
        variant = self.settings.variant
        build.build(variant, ["big/dynamic", "big/dynamic.expected"])
        built = out_dir(variant) / "big" / "dynamic"
        summed = re.escape((out_dir(variant) / "big" / "dynamic.expected").read_text())
        hello = r"hello, world: 1 arguments, .*\n"
        stats = (
            r"load +\d+ us, .*\nlinked: by ld\.so\.1, at the beginning of the run\nrun +\d+ us, .*\n"
            r"memory: \d+ KiB its own when loaded, at most \d+ KiB, with shared \d+ KiB\n"
        )
        not_found = r"Error loading shared library libutest_early\.so: [^\n]*\(needed by /boot/measure/libc_linked\)\n(?s:.*)"
        linked = "/boot/measure/libc_linked"
        ours = {
            "launch --stats /data/dynamic": (summed + stats, 0),
            "launch --stats /bin/hello_dynamic": (hello + stats, 0),
            f"launch --stats {linked}": (stats, 40),
            # Without the service its libraries are in what it is given, or nowhere.
            f"launch --no-loader {linked}": (not_found, 127),
            f"launch --no-loader -n /boot {linked}": (r"", 40),
            "cd /boot/lib; launch ../measure/libc_linked": (r"", 40),
            "cd /; launch ./../data/dynamic": (summed, 0),
            "launch /data/odd": (r"launch: no\.so\.1, the interpreter of /data/odd: ZX_ERR_NOT_FOUND\n", 126),
            "launch /boot/doc/LICENSE": (r"launch: /boot/doc/LICENSE: the program's file is not usable \([^\n]+\)\n", 126),
        }
        with TemporaryDirectory(prefix="jx-launch-") as folder:
            files, image = Path(folder) / "files", Path(folder) / "image"
            files.mkdir()
            program = built.read_bytes()
            (files / "dynamic").write_bytes(program)
            (files / "odd").write_bytes(program.replace(b"ld.so.1\0", b"no.so.1\0", 1))
            disk.create(files, image, 16 << 20)
            adds = ((out_dir(variant) / "libc" / "hello_dynamic", "bin/hello_dynamic"),)
            result = self.run_commands(*(f'sh -c "{line}"' for line in ours), disks=(image,), adds=adds, seconds=120)
        for command, (line, (text, code)) in zip(result.commands, ours.items()):
            self.assertIsNotNone(re.fullmatch(text, command.output.decode()), (line, command.output))
            self.assertEqual(command.code, code, line)

    def test_kernel_command_and_power(self) -> None:
        result = self.run_commands("/boot/bin/k no_such_thing", "/boot/bin/k")
        self.assertEqual([command.code for command in result.commands], [127, 2])
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("/boot/bin/poweroff\r")
            self.assertEqual(console.wait_end().how, "power-off")
