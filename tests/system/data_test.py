"""/data: what the host put on a disk is read, and what programs write there the host finds."""

import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import disk
from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on, limit

from powercut import cuts
from powercut.write_log import Entry, read_log

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

    def _make(self, size: int = 16 * _MIB) -> None:
        files = self.folder / "files"
        (files / "deep" / "er").mkdir(parents=True)
        (files / "hello").write_text("hello from the host\n")
        (files / "deep" / "er" / "large").write_bytes(bytes(range(256)) * 4096)
        (files / "link").symlink_to("deep/er")
        disk.create(files, self.image, size)

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

    def test_a_program_that_was_written(self) -> None:
        self._make()
        result = self._run(
            "cp /bin/hello /data/h; cp /bin/wc /data; /data/h from the disk; echo one too | /data/wc -w",
            "launch /data/h again; /data/missing; echo $?; /data/hello; echo $?",
            "cp /bin/sleep /data/sl; /data/sl 60 & echo x >> /data/sl; kill %1; wait; cp /bin/hello /data/sl; /data/sl new",
        )
        outputs = [command.output.decode() for command in result.commands]
        self.assertIn("from the disk\n2\n", outputs[0])
        self.assertIn("again\n", outputs[1])
        self.assertIn("127\n", outputs[1])  # there is none
        self.assertIn("Exec format error", outputs[1])  # a text
        self.assertIn("Text file busy", outputs[2])  # it runs
        self.assertIn("new\n", outputs[2])

    def test_a_disk_without_a_file_system_is_told_once(self) -> None:
        self.image.write_bytes(bytes(_MIB))
        result = self.run_commands(*3 * ('sh -c "ls /data"',), disks=(self.image,))
        self.assertNotIn(0, [command.code for command in result.commands])
        text = "".join(command.output.decode() for command in result.commands)
        self.assertEqual(text.count("no ext2 superblock"), 1, text)

    def test_what_is_written_last_is_there(self) -> None:
        self._make(3 * _MIB)  # too small for a journal: mv copies a directory
        self._run(
            "mkdir -p /data/from/sub /data/to; echo moved > /data/from/sub/f; mv /data/from /data/to",
            "mkdir /data/a; cp /data/deep/er/large /data/a/b; echo end > /data/end",
        )
        self.assertEqual(self._host("debugfs", "-R", "cat /to/from/sub/f", str(self.image)), "moved\n")
        self.assertNotIn("from", self._host("debugfs", "-R", "ls /", str(self.image)))
        about = self._host("dumpe2fs", "-h", str(self.image))
        self.assertNotIn("has_journal", about)
        self.assertRegex(about, "Filesystem state: +clean\n")  # the power went, and nobody unmounted
        self.assertEqual(self._host("debugfs", "-R", "cat /end", str(self.image)), "end\n")
        self._host("debugfs", "-R", f"dump /a/b {self.folder}/copy", str(self.image))
        self.assertEqual((self.folder / "copy").read_bytes(), bytes(range(256)) * 4096)

    def test_a_full_disk_loses_nothing(self) -> None:
        """Who copies or moves what does not fit is told, by the file's name, and still has it."""
        self._make(3 * _MIB)
        tries = {
            "cp /tmp/f /data": "cp: /data/f: No space left",
            "cp -r /tmp/d /data": "cp: /data/d/sub/f: No space left",
            "mv /tmp/f /data": "mv: /data/f: No space left",
            "mv -f /tmp/f /data": "mv: /data/f: No space left",
            "mv /tmp/d /data": "mv: /data/d/sub/f: No space left",
            "sed -i s/none/more/ /data/deep/er/large": "sed: write: No space left",
        }
        sums = "cksum < /tmp/f; cksum < /tmp/d/sub/f; cksum < /data/deep/er/large; ls -a /data/deep/er"
        make = "mkdir -p /tmp/d/sub; dd if=/dev/urandom of=/tmp/f bs=64k count=40; cp /tmp/f /tmp/d/sub; echo =;"
        lines = (f"{make} {sums}", *(f"{line}; echo =$?" for line in tries), sums)
        outputs = [command.output.decode() for command in self._run(*lines).commands]
        for (line, wanted), output in zip(tries.items(), outputs[1:-1]):
            self.assertIn(wanted, output, line)
            self.assertEqual(output.count(": "), 2, output)  # said once
            self.assertEqual(output.split("=")[-1].strip(), "1", line)
        before = outputs[0].split("=\n")[-1]
        self.assertEqual(before.count(f" {40 << 16}\n"), 2, before)
        self.assertEqual(outputs[-1], before)

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

    @limit(280)
    def test_a_stop_saves_what_is_unsaved(self) -> None:
        self._make()
        result = self._run("echo unsaved > /data/f; svc restart data; svc restart data; cat /data/f", "svc")
        self.assertIn("unsaved\n", result.commands[0].output.decode())
        # It ended by itself, once.
        self.assertRegex(result.commands[1].output.decode(), r"(?m)^data +running +1 +0 ")

    def test_power_fails_while_files_are_written(self) -> None:
        """Of what QEMU has logged, prefixes up to a flush with parts of what followed: 220 disks."""
        log, files = self.folder / "log", 24
        log.touch()
        (self.folder / "empty").mkdir()
        disk.create(self.folder / "empty", self.image, 16 * _MIB)
        before = self.image.read_bytes()
        result = self.run_commands(
            'sh -c "mkdir /data/w; sync"', f"sh -c '/boot/measure/powercut /data/w {files}'",
            qemu_args=(
                f"-blockdev driver=file,filename={self.image},node-name=file "
                f"-blockdev driver=file,filename={log},node-name=log "
                "-blockdev driver=blklogwrites,file=file,log=log,log-super-update-interval=1,node-name=disk "
                "-device virtio-blk-pci,drive=disk",
            ),
        )  # fmt: skip
        for command in result.commands:
            self.assertEqual(command.code, 0, command.output.decode())
        entries = read_log(log)
        self.assertGreater(sum(entry.is_flush for entry in entries), files)
        chosen = cuts.choose(entries, 220, seed=1)
        synced = [self._check_cut(entries, cut, image) for cut, image in cuts.images(before, entries, chosen)]
        self.assertEqual(len(synced), 220)
        self.assertEqual(max(synced), files - 1)  # the last may have been whole, too: nothing came after it

    def _check_cut(self, entries: list[Entry], cut: cuts.Cut, image: bytearray) -> int:
        """Repaired without a question, and every file that was synced is whole. How many those are."""
        disk, tree = self.folder / "cut", self.folder / "tree"
        disk.write_bytes(image)
        check = subprocess.run(["e2fsck", "-fp", str(disk)], capture_output=True, text=True, check=False)
        says_clean = image[1024 + 58] & 1 != 0  # then nobody would have looked at it
        self.assertIn(check.returncode, (0,) if says_clean else (0, 1), f"{cut}: {check.stdout}")
        last = cuts.last_synced(entries, cut)
        if last > 0:
            tree.mkdir()
            self._host("debugfs", "-R", f"rdump /w {tree}", str(disk))
            for step in range(1, last + 1):
                found = (tree / "w" / f"f{step}").read_bytes()
                self.assertEqual(found, cuts.file_of(step), f"f{step} of {last}, {cut}")
            boxes = [*(tree / "w" / "left").iterdir(), *(tree / "w" / "right").iterdir()]
            self.assertEqual([(box / "inside").read_text() for box in boxes], ["inside\n"], f"{cut}")
            shutil.rmtree(tree)
        return last

    @limit(60)
    def test_without_a_disk_the_power_goes_at_once(self) -> None:
        """Saving what was written asks /data, which asks for its disk: nobody may wait for the other."""
        begin = time.monotonic()
        self.run_commands("hello")
        plain = time.monotonic() - begin
        result = self.run_commands('sh -c "ls /data"', "hello")
        self.assertNotEqual(result.commands[0].code, 0)
        # (A server that does not answer is waited for 10 s.)
        self.assertLess(time.monotonic() - begin - plain, 3 * plain + 8)

    def test_a_disk_of_something_else(self) -> None:
        self.image.write_bytes(b"no file system" * 100000)
        result = self.run_commands('sh -c "ls /data"', 'sh -c "echo still here"', disks=(self.image,))
        self.assertNotEqual(result.commands[0].code, 0)
        self.assertEqual(result.commands[1].code, 0)
