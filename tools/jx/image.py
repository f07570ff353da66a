"""`./jx image`: a disk image that boots through UEFI firmware, with the system on it.

It has two volumes: the firmware's, with the kernel and the boot image, and an ext2 file system that is the
root of the shell's namespace: programs and libraries, a home, and room for what one writes.

The image is written beside its final name and boots first: on each machine that it is meant for it
must come to its prompt, run a program and switch the power off. Only then it gets its name; an image
that does not boot is never left behind.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from esp import gpt

from jx import build, disk, machine, packages
from jx.guest import Ended, Event, Guest, GuestError
from jx.boot_image import BootImage, ImageError
from jx.machine import OVMF_VARS, BootFiles, Settings
from jx.markers import Marker
from jx.tree import ROOT, out_dir, writable_path

_MACHINES = ("q35", "pc")
_LIMIT_S = 120.0
_COMMANDS = b"hello image\ncat /README\npoweroff\n"
_EXPECTED = (b"hello image\n", b"The root of Jacinth's disk.")

_ROOT_BYTES = 64 << 20
# Places in the namespace that others serve, and what is the disk's own.
_ROOT_FOLDERS = ("bin", "boot", "data", "dev", "etc", "home", "lib", "svc", "tmp")
_README = """The root of Jacinth's disk. /home is yours; /boot, /dev, /svc and /tmp are not on it.
"""
# What the services file says otherwise where the root is on a disk.
_SERVICES = (
    ("    mounts    /data\n", "    mounts    /data /\n"),
    ("    sees      /boot /bin /tmp /data /dev /svc\n", "    sees      / /boot /tmp /data /dev /svc\n"),
    (" HOME=/tmp ", " HOME=/home "),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=writable_path, metavar="FILE", help="(out/release/jacinth.img)"
    )
    machine.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    settings = machine.from_arguments(args).with_changes(uefi=True)
    output = args.output or out_dir(settings.variant) / "jacinth.img"
    packages.ensure("run")
    try:
        build.build(settings.variant)
        make(settings, output)
    except (build.BuildError, ImageError, GuestError, OSError) as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    print(f"{output}: {output.stat().st_size >> 20} MiB, boots on {' and '.join(_MACHINES)}")
    return 0


def make(settings: Settings, output: Path) -> None:
    """Writes the image and boots it; ImageError if it does not come up, and then there is none."""
    unproven = output.with_name(output.name + ".unproven")
    try:
        with TemporaryDirectory(prefix="jx-root-") as folder:
            root, changed = Path(folder) / "root.img", Path(folder) / "services"
            changed.write_text(services((ROOT / "system/etc/services").read_text()))
            disk.create(_root(settings, Path(folder) / "root"), root, _ROOT_BYTES)
            added = settings.with_changes(adds=((changed, "etc/services"), *settings.adds))
            # The console belongs to whoever boots it: no options of the test runner.
            with BootImage(added, for_runner=False) as files:
                assert files.esp is not None
                gpt.write_disk(unproven, [gpt.Volume(files.esp, gpt.EFI_SYSTEM, "JACINTH"),
                                          gpt.Volume(root, gpt.FILE_SYSTEM, "root")])  # fmt: skip
        for name in _MACHINES:
            _smoke(settings.with_changes(machine=name), unproven)
        unproven.replace(output)
    finally:
        unproven.unlink(missing_ok=True)


def services(text: str) -> str:
    """The services file of a system whose root is on a disk."""
    for before, after in _SERVICES:
        if before not in text:
            raise ImageError(f"system/etc/services has no line{before.rstrip()}")
        text = text.replace(before, after)
    return text


def _root(settings: Settings, folder: Path) -> Path:
    """What the file system begins with: the boot image's programs and libraries, once each."""
    for name in _ROOT_FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "README").write_text(_README)
    out, first = out_dir(settings.variant), {}
    for line in (out / f"{settings.image}.manifest").read_text().splitlines():
        path, _, source = line.partition("=")
        if not path.startswith(("bin/", "lib/")):
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source in first:
            target.hardlink_to(first[source])
        else:
            first[source] = Path(shutil.copy(out / source, target))
            target.chmod(0o755)
    return folder


def _smoke(settings: Settings, disk: Path) -> None:
    """Raises ImageError unless the disk boots on this machine, runs a program and ends."""
    with TemporaryDirectory(prefix="jx-disk-") as folder:
        # A copy: the firmware may write to the disk, and what was tested is what is handed out.
        copy, variables = Path(folder) / "disk.img", Path(folder) / "vars.fd"
        shutil.copyfile(disk, copy)
        shutil.copyfile(OVMF_VARS, variables)
        files = BootFiles(settings.kernel_elf(), disk, "", esp=copy, vars=variables)
        with Guest(settings, files) as guest:
            text, end = _talk(guest)
    if any(words not in text for words in _EXPECTED) or end is None or end.how != "power-off":
        how = "it hangs" if end is None else f"{end.how}: {end.detail}" if end.detail else end.how
        tail = text[-2000:].decode("utf-8", "replace")
        raise ImageError(f"the image does not boot on {settings.machine}: {how}\n{tail}")


def _talk(guest: Guest) -> tuple[bytes, Ended | None]:
    """Types the commands at the prompt; what the machine wrote after that, and how it ended."""
    text, deadline = b"", time.monotonic() + _LIMIT_S
    while True:
        event: Event | None = guest.next(deadline)
        if event is None:
            return text, None
        if isinstance(event, Ended):
            return text, event
        if isinstance(event, bytes):
            text += event
        elif isinstance(event, Marker) and event.word == "ready":
            guest.send(_COMMANDS)
