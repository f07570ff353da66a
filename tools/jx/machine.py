"""What machine to start: the settings that `./jx run`, `test`, `bench` and `debug` share, and the
QEMU command line that they amount to."""

import argparse
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from jx.tree import out_dir

VARIANTS = ("release", "debug")
MACHINES = ("q35", "pc", "microvm")
# Options without which a machine lacks what the kernel needs: microvm has neither PCI nor HPET, and
# its 8254 is the only timer that tells how fast the others run.
_MACHINE_OPTIONS = {"microvm": ",acpi=on,pit=on,rtc=on"}

# Ports of the devices through which the guest speaks before, and after, it has a driver.
DEBUGCON_PORT = 0xE9
DEBUG_EXIT_PORT = 0xF4

# Firmware with less hangs, and writes nothing.
_UEFI_MEM_MIN = 48 << 20
_OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


@dataclass(frozen=True)
class Settings:
    """One machine, and what it boots."""

    variant: str = "release"
    uefi: bool = False
    graphics: bool = False
    machine: str = "q35"
    smp: int = 4
    mem: str = "512M"
    cpu: str = "max"
    icount: bool = False
    append: str = ""
    adds: tuple[tuple[Path, str], ...] = ()
    disks: tuple[Path, ...] = ()
    qemu_args: tuple[str, ...] = ()
    verbose: bool = False
    kernel: Path | None = None
    # The boot image: "system", or "tests", which has the tests' programs, too.
    image: str = "system"

    def name(self) -> str:
        """Short name of the combination, for reports."""
        boot = "uefi" if self.uefi else "direct"
        return f"smp{self.smp}-{boot}-{self.machine}-{self.variant}"

    def kernel_elf(self) -> Path:
        """The kernel that boots, with its symbols."""
        return self.kernel or out_dir(self.variant) / "kernel" / "jacinth.elf"

    def with_changes(self, **changes: object) -> "Settings":
        return replace(self, **changes)


@dataclass(frozen=True)
class BootFiles:
    """What lies ready for one start. A direct boot uses kernel and zbi, UEFI the ESP and VARS."""

    kernel: Path
    zbi: Path
    cmdline: str
    esp: Path | None = None
    vars: Path | None = None


@dataclass(frozen=True)
class Channels:
    """Where QEMU connects to us, and where it writes."""

    serial: Path
    qmp: Path
    debugcon: Path


@dataclass
class _Arguments:
    words: list[str] = field(default_factory=list)

    def add(self, *words: str) -> None:
        self.words.extend(words)


def qemu_command(settings: Settings, files: BootFiles, channels: Channels) -> list[str]:
    """The whole command line."""
    out = _Arguments(["qemu-system-x86_64"])
    out.add("-nodefaults", "-no-user-config", "-no-reboot")
    if not settings.graphics:
        out.add("-display", "none")
    options = _MACHINE_OPTIONS.get(settings.machine, "")
    out.add("-machine", settings.machine + options, "-accel", "tcg", "-cpu", settings.cpu)
    out.add("-smp", str(settings.smp), "-m", settings.mem)
    if settings.icount:
        out.add("-icount", "shift=0,sleep=off")
    out.add("-chardev", f"socket,id=serial,path={channels.serial}", "-serial", "chardev:serial")
    out.add("-chardev", f"socket,id=qmp,path={channels.qmp}", "-mon", "chardev=qmp,mode=control")
    out.add("-chardev", f"file,id=debugcon,path={channels.debugcon}")
    out.add("-device", f"isa-debugcon,iobase={DEBUGCON_PORT:#x},chardev=debugcon")
    out.add("-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=0x04")
    if settings.uefi:
        if files.esp is None or files.vars is None:
            raise ValueError("a UEFI boot needs an ESP and a VARS file")
        if settings.machine == "microvm":
            raise ValueError("the microvm machine has no UEFI firmware")
        out.add("-device", "VGA")
        out.add("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_OVMF_CODE}")
        out.add("-drive", f"if=pflash,unit=1,format=raw,file={_escaped(files.vars)}")
    else:
        out.add("-kernel", str(files.kernel), "-initrd", str(files.zbi), "-append", files.cmdline)
    for index, disk in enumerate(settings.disks):
        _add_disk(out, settings, f"disk{index}", disk, "")
    if settings.uefi and files.esp is not None:
        # Behind the others: `--disk` begins with disk0 whatever is booted from.
        _add_disk(out, settings, "esp", files.esp, ",bootindex=0")
    for words in settings.qemu_args:
        out.add(*words.split())
    return out.words


def _add_disk(
    out: _Arguments, settings: Settings, name: str, image: Path, device_options: str
) -> None:
    out.add("-drive", f"if=none,id={name},format=raw,file={_escaped(image)}")
    device = "virtio-blk-device" if settings.machine == "microvm" else "virtio-blk-pci"
    out.add("-device", f"{device},drive={name}{device_options}")


def _escaped(path: Path) -> str:
    """QEMU splits option values at commas; a doubled one stands for itself."""
    return str(path).replace(",", ",,")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say which machine; `from_arguments` reads them back."""
    variant = parser.add_mutually_exclusive_group()
    variant.add_argument(
        "--release", dest="variant", action="store_const", const="release", default="release",
        help="the optimised build (default)",
    )
    variant.add_argument(
        "--debug", dest="variant", action="store_const", const="debug",
        help="the build with costly checks",
    )
    parser.add_argument("--smp", type=_cpu_count, default=4, metavar="N", help="CPUs (4)")
    parser.add_argument("--mem", type=mem_size, default="512M", metavar="SIZE", help="RAM (512M)")
    parser.add_argument("--uefi", action="store_true", help="boot through UEFI firmware")
    parser.add_argument(
        "--graphics", action="store_true",
        help="with a window for the screen (implies --uefi; needs qemu-system-gui)",
    )
    parser.add_argument("--machine", choices=MACHINES, default="q35", help="QEMU machine (q35)")
    parser.add_argument("--cpu", default="max", metavar="MODEL", help="QEMU CPU model (max)")
    parser.add_argument(
        "--icount", action="store_true", help="count instructions: one per virtual nanosecond"
    )
    parser.add_argument(
        "--add", dest="adds", type=_added_file, action="append", default=[],
        metavar="HOSTFILE=BOOTPATH", help="put a file into the boot image",
    )
    parser.add_argument(
        "--disk", dest="disks", type=_disk_image, action="append", default=[], metavar="IMAGE",
        help="attach a raw disk image (virtio-blk)",
    )
    parser.add_argument(
        "--append", action="append", default=[], metavar="CMDLINE", help="add to the kernel's line"
    )
    parser.add_argument(
        "--qemu-arg", dest="qemu_args", action="append", default=[], metavar="ARG",
        help="add to QEMU's command line (split at spaces)",
    )
    parser.add_argument(
        "--kernel", type=_existing_file, metavar="ELF", help="boot this kernel, not the build's"
    )
    parser.add_argument(
        "--tests", action="store_true", help="with the programs of the tests in the boot image"
    )
    parser.add_argument("--verbose", action="store_true", help="show the QEMU command")


def from_arguments(args: argparse.Namespace) -> Settings:
    args.uefi = args.uefi or args.graphics
    if args.uefi and args.machine == "microvm":
        raise argparse.ArgumentTypeError("--uefi: the microvm machine has no UEFI firmware")
    if args.uefi and mem_bytes(args.mem) < _UEFI_MEM_MIN:
        raise argparse.ArgumentTypeError(
            f"--uefi: the firmware does not start with less than {_UEFI_MEM_MIN >> 20}M"
        )
    return Settings(
        variant=args.variant, uefi=args.uefi, graphics=args.graphics, machine=args.machine, smp=args.smp, mem=args.mem,
        cpu=args.cpu, icount=args.icount, append=" ".join(args.append), adds=tuple(args.adds),
        disks=tuple(args.disks), qemu_args=tuple(args.qemu_args), verbose=args.verbose,
        kernel=args.kernel, image="tests" if args.tests else "system",
    )  # fmt: skip


def _cpu_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 255:
        raise argparse.ArgumentTypeError(f"not a number of CPUs from 1 to 255: {text!r}")
    return int(text)


def mem_size(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]*[kKmMgG]?", text):
        raise argparse.ArgumentTypeError(f"not a size such as 512M or 8G: {text!r}")
    return text if text[-1].isalpha() else text + "M"


def mem_bytes(size: str) -> int:
    """What QEMU makes of a size that `mem_size` has let through."""
    return int(size[:-1]) << {"k": 10, "m": 20, "g": 30}[size[-1].lower()]


def _existing_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise argparse.ArgumentTypeError(f"{what}: {text}")
    return path.resolve()


def _disk_image(text: str) -> Path:
    path = _existing_file(text)
    if not os.access(path, os.R_OK | os.W_OK):
        raise argparse.ArgumentTypeError(f"may not be written: {text}")
    return path


def _added_file(text: str) -> tuple[Path, str]:
    host, equals, boot = text.rpartition("=")
    boot = boot.removeprefix("/boot/").strip("/")
    if not equals or not host or not boot:
        raise argparse.ArgumentTypeError(f"not of the form HOSTFILE=BOOTPATH: {text!r}")
    return _existing_file(host), boot
