"""The firmware and the emulator that boot us, against the list of those that are known to work.

`third_party/firmware/firmware.json` pins them by SHA-256 and version. Others may work as well: a
difference is told by `./jx doctor`, and when a machine with firmware says nothing at all, because
then it is the first thing to look at.
"""

import hashlib
import json
import re
import subprocess
from pathlib import Path

from jx.tree import ROOT

_LIST = ROOT / "third_party" / "firmware" / "firmware.json"
# A firmware volume (UEFI PI specification, volume 3) has this signature at this offset.
_VOLUME_SIGNATURE, _VOLUME_OFFSET = b"_FVH", 40
_VERSION = re.compile(r"version (\d+\.\d+)")


def differences(known: Path = _LIST) -> list[str]:
    """One line for each thing that is there and is not as it is in the list."""
    wanted = json.loads(known.read_text())
    found = []
    for one in wanted["sets"]:
        for name, digest in one["files"].items():
            text = _difference(Path(name), digest)
            if text:
                found.append(f"{name} {text} (tested: package {one['package']} {one['version']})")
    version = qemu_version()
    if version is not None and version not in wanted["qemu"]:
        found.append(f"QEMU is {version} (tested: {', '.join(wanted['qemu'])})")
    return found


def _difference(path: Path, digest: str) -> str:
    if not path.exists():
        return ""  # What is missing is told by the packages.
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() == digest:
        return ""
    end = _VOLUME_OFFSET + len(_VOLUME_SIGNATURE)
    if path.suffix == ".fd" and data[_VOLUME_OFFSET:end] != _VOLUME_SIGNATURE:
        return "is no firmware volume"
    return "is another than the tested one"


def qemu_version() -> str | None:
    """Such as "7.2"; None if there is no QEMU that says one."""
    try:
        command = ["qemu-system-x86_64", "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    return match.group(1) if match is not None else None
