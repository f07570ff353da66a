"""Debian packages that a subcommand needs: found missing, named, installed.

What counts as present is the file that is used, not the package database: a tool from elsewhere on
PATH is as good.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class PackageError(Exception):
    """A package is missing and could not be installed."""


class Need(NamedTuple):
    """A file or program, and the Debian package that brings it."""

    package: str
    program: str = ""
    path: str = ""

    def is_present(self) -> bool:
        if self.program:
            return shutil.which(self.program) is not None
        return Path(self.path).exists()


_BUILD = (
    Need("clang-19", program="clang-19"),
    Need("lld-19", program="ld.lld-19"),
    Need("llvm-19", program="llvm-ar-19"),
    Need("libclang-rt-19-dev", path="/usr/lib/llvm-19/lib/clang/19/lib/linux"),
    Need("generate-ninja", program="gn"),
    Need("ninja-build", program="ninja"),
    Need("libc6-dev", path="/usr/include/stdio.h"),
    Need("libcmocka-dev", path="/usr/include/cmocka.h"),
    Need("gnu-efi", path="/usr/include/efi/efi.h"),
    Need("psf-unifont", path="/usr/share/consolefonts/Unifont-APL8x16.psf.gz"),
)
_DISK = (Need("e2fsprogs", program="mke2fs"),)
_RUN = (
    Need("qemu-system-x86", program="qemu-system-x86_64"),
    Need("ovmf", path="/usr/share/OVMF/OVMF_CODE_4M.fd"),
    Need("mtools", program="mcopy"),
) + _DISK
_FORMAT = (Need("clang-format-19", program="clang-format-19"),)

# What a user of the SDK may build with.
_SDK_TEST = (Need("cmake", program="cmake"), Need("pkgconf", program="pkg-config"))

_THIRD_PARTY = (
    Need("clang-19", program="clang-19"),
    Need("llvm-19", program="llvm-objdump-19"),
    Need("debian-archive-keyring", path="/usr/share/keyrings/debian-archive-keyring.gpg"),
    Need("patch", program="patch"),
    Need("sed", program="sed"),
    # What the programs' own scripts run.
    Need("bash", program="bash"),
    Need("bzip2", program="bzip2"),
    Need("libc6-dev", path="/usr/include/stdio.h"),
    Need("make", program="make"),
)

# What each purpose needs.
NEEDS: dict[str, tuple[Need, ...]] = {
    "build": _BUILD,
    "run": _BUILD + _RUN,
    "disk": _DISK,
    "sdk": _BUILD,
    "sdk-test": _BUILD + _SDK_TEST,
    "fmt": _FORMAT + (Need("generate-ninja", program="gn"),),
    "check": _BUILD + _FORMAT,
    "docs": (Need("cmark-gfm", program="cmark-gfm"),),
    "third-party": _THIRD_PARTY,
    "debug": _BUILD + _RUN + (Need("gdb", program="gdb"),),
}


def missing(purpose: str) -> list[str]:
    """The packages that `purpose` needs and this machine lacks, in a fixed order."""
    return [need.package for need in NEEDS[purpose] if not need.is_present()]


def ensure(purpose: str) -> None:
    """Installs what `purpose` lacks, after saying so."""
    packages = missing(purpose)
    if not packages:
        return
    print(f"jx: installing missing Debian packages: {' '.join(packages)}", file=sys.stderr)
    if shutil.which("apt-get") is None:
        raise PackageError("this machine has no apt-get; install them by other means")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=600", "-q", "-y"]
    if os.geteuid() != 0:
        apt = ["sudo", "--preserve-env=DEBIAN_FRONTEND"] + apt
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for step in (["update"], ["install", "--no-install-recommends"] + packages):
        if subprocess.run(apt + step, env=environment, stdout=sys.stderr).returncode != 0:
            raise PackageError(f"`{' '.join(apt + step)}` failed")
    still_missing = missing(purpose)
    if still_missing:
        raise PackageError(f"installed, but still not found: {' '.join(still_missing)}")
