"""`./jx doctor`: versions of the tools, what is missing, and a hint for each thing."""

import argparse
import os
import platform
import shutil
import subprocess

from jx import firmware, packages
from jx.tree import ROOT

_VERSIONS = (
    ("python3", ["python3", "--version"]),
    ("git", ["git", "--version"]),
    ("clang-19", ["clang-19", "--version"]),
    ("ld.lld-19", ["ld.lld-19", "--version"]),
    ("clang-format-19", ["clang-format-19", "--version"]),
    ("gn", ["gn", "--version"]),
    ("ninja", ["ninja", "--version"]),
    ("qemu", ["qemu-system-x86_64", "--version"]),
    ("gdb", ["gdb", "--version"]),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # It has none.


def run(args: argparse.Namespace) -> int:
    del args
    print(f"machine   {platform.platform()}, {os.cpu_count()} CPUs")
    print(f"tree      {ROOT}")
    for name, command in _VERSIONS:
        print(f"{name:<16}{_version(command)}")
    missing = sorted({name for purpose in packages.NEEDS for name in packages.missing(purpose)})
    hints = _hints(missing)
    for hint in hints:
        print(f"! {hint}")
    print("all there" if not hints else f"{len(hints)} hints")
    return 0 if not missing else 1


def _version(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return "missing"
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}"
    lines = (answer.stdout or answer.stderr).splitlines()
    return lines[0].strip() if lines else "says nothing"


def _hints(missing: list[str]) -> list[str]:
    hints = []
    for package in missing:
        purposes = [p for p in packages.NEEDS if package in packages.missing(p)]
        needed = ", ".join(f"./jx {p}" for p in purposes)
        hints.append(f"{package}: apt-get install {package} ({needed} will do it)")
    if missing and os.geteuid() != 0 and shutil.which("sudo") is None:
        hints.append("not root and no sudo: packages must be installed by an administrator")
    if shutil.which("apt-get") is None:
        hints.append("no apt-get: this is not Debian; the packages must come from elsewhere")
    hints += [f"{text}: tests may behave differently" for text in firmware.differences()]
    if shutil.disk_usage(ROOT).free < 2 * 2**30:
        hints.append("less than 2 GiB free for the build folder")
    return hints
