"""/data: what the host put on a disk is read, and what programs write there the host finds."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import volume
from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on

_MIB = 1 << 20


@depends_on("variant", "machine")
class DataTest(SystemTest):
    """ext2 on virtio-blk, from the shell."""

    def setUp(self) -> None:
        super().setUp()
        if self.settings.machine == "microvm":
            self.skipTest("the machine has no PCI bus")
        folder = TemporaryDirectory(prefix="jx-data-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.image = self.folder / "image"

    def _make(self) -> None:
        files = self.folder / "files"
        (files / "deep" / "er").mkdir(parents=True)
        (files / "hello").write_text("hello from the host\n")
        (files / "deep" / "er" / "large").write_bytes(bytes(range(256)) * 4096)
        (files / "link").symlink_to("deep/er")
        volume.create(files, self.image, 16 * _MIB)

    def _run(self, *lines: str) -> ScriptResult:
        result = self.run_commands(*(f'sh -c "{line}"' for line in lines), disks=(self.image,))
        for command in result.commands:
            self.assertEqual(command.code, 0, command.output.decode())
        return result

    def _host(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_both_sides_see_the_same(self) -> None:
        self._make()
        result = self._run(
            "cat /data/hello; ls /data/link/; cksum < /data/deep/er/large",
            "mkdir /data/new; cp /data/deep/er/large /data/new/copy; echo one > /data/new/text;"
            " echo two >> /data/new/text; mv /data/hello /data/new/hello; ln -s new/text /data/s;"
            " chmod 600 /data/new/text; rm -r /data/deep; sync",
            "cat /data/s; cksum < /data/new/copy; ls /data",
        )
        first, _, last = (command.output.decode() for command in result.commands)
        self.assertIn("hello from the host\nlarge\n", first)
        checksum = first.split()[-2]
        self.assertEqual(last.split(), ["one", "two", checksum, str(_MIB), "link", "lost+found", "new", "s"])
        # Power went off without an unmount, but everything was written before.
        check = subprocess.run(["e2fsck", "-fp", str(self.image)], capture_output=True, text=True, check=False)
        self.assertIn(check.returncode, (0, 1), check.stdout)
        self.assertEqual(self._host("debugfs", "-R", "cat /new/text", str(self.image)), "one\ntwo\n")
        self.assertIn("Mode:  0600", self._host("debugfs", "-R", "stat /new/text", str(self.image)))
        self._host("debugfs", "-R", f"dump /new/copy {self.folder}/copy", str(self.image))
        self.assertEqual((self.folder / "copy").read_bytes(), bytes(range(256)) * 4096)

    def test_what_is_written_last_is_there(self) -> None:
        self._make()
        self._run("mkdir /data/a; cp /data/deep/er/large /data/a/b; echo end > /data/end")
        self.assertEqual(self._host("debugfs", "-R", "cat /end", str(self.image)), "end\n")
        self._host("debugfs", "-R", f"dump /a/b {self.folder}/copy", str(self.image))
        self.assertEqual((self.folder / "copy").read_bytes(), bytes(range(256)) * 4096)

    def test_servers_may_be_started_again(self) -> None:
        self._make()
        result = self._run(
            "echo kept > /data/kept; sync; svc restart data; cat /data/kept",
            "echo more >> /data/kept; sync; svc restart virtio_blk; cat /data/kept; echo end >> /data/kept; sync",
            "cat /data/kept",
        )
        outputs = [command.output.decode() for command in result.commands]
        self.assertEqual(outputs[0].split()[-1:], ["kept"])
        self.assertEqual(outputs[2].split()[-3:], ["kept", "more", "end"])

    def test_a_disk_of_something_else(self) -> None:
        self.image.write_bytes(b"no file system" * 100000)
        result = self.run_commands('sh -c "ls /data"', 'sh -c "echo still here"', disks=(self.image,))
        self.assertNotEqual(result.commands[0].code, 0)
        self.assertEqual(result.commands[1].code, 0)
