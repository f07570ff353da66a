"""Names: of FIDL's libraries in C, of `zx`, and between the ways to write words."""

from __future__ import annotations

import re

# The library `zx` is part of the language here: what of it a protocol can name.
ZX_ALIASES = {
    "Status": "int32", "Time": "int64", "InstantMono": "int64", "InstantBoot": "int64",
    "Duration": "int64", "Ticks": "int64", "Koid": "uint64", "Off": "uint64", "Rights": "uint32",
    "Signals": "uint32", "ObjType": "uint32", "Vaddr": "uint64", "Paddr": "uint64",
}  # fmt: skip

ZX_OBJECTS = frozenset(
    "NONE PROCESS THREAD VMO CHANNEL EVENT PORT INTERRUPT DEBUGLOG SOCKET RESOURCE EVENTPAIR JOB VMAR"
    " FIFO GUEST VCPU TIMER IOMMU BTI PROFILE PMT SUSPEND_TOKEN PAGER EXCEPTION CLOCK STREAM MSI IOB"
    " COUNTER".split())

_RIGHTS = (
    "DUPLICATE TRANSFER READ WRITE EXECUTE MAP GET_PROPERTY SET_PROPERTY ENUMERATE DESTROY SET_POLICY"
    " GET_POLICY SIGNAL SIGNAL_PEER WAIT INSPECT MANAGE_JOB MANAGE_PROCESS MANAGE_THREAD APPLY_PROFILE"
    " MANAGE_SOCKET OP_CHILDREN RESIZE ATTACH_VMO MANAGE_VMO").split()
ZX_RIGHTS = {name: 1 << bit for bit, name in enumerate(_RIGHTS)}
ZX_RIGHTS["NONE"] = 0
ZX_RIGHTS["BASIC"] = sum(ZX_RIGHTS[n] for n in ("TRANSFER", "DUPLICATE", "WAIT", "INSPECT"))
ZX_RIGHTS["IO"] = ZX_RIGHTS["READ"] | ZX_RIGHTS["WRITE"]
SAME_RIGHTS = 1 << 31

ZX_CONSTS = {"MAX_NAME_LEN": 32, "CHANNEL_MAX_MSG_BYTES": 65536, "CHANNEL_MAX_MSG_HANDLES": 64}

# Not names of members in C.
C_WORDS = frozenset(
    "alignas alignof auto bool break case char const constexpr continue default do double else enum"
    " extern false float for goto if inline int long nullptr register restrict return short signed"
    " sizeof static static_assert struct switch thread_local true typedef typeof typeof_unqual union"
    " unsigned void volatile while".split())


def snake(name: str) -> str:
    """LaunchInfo -> launch_info, HTTPServer -> http_server."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def member(name: str) -> str:
    name = snake(name)
    return name + "_" if name in C_WORDS else name
