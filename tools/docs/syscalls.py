"""Pages of the system calls, as Markdown: one for each call and group, two indexes, and the errors."""

from __future__ import annotations

import re
from pathlib import Path

from syscallgen.emit_docs import call_body, errors
from syscallgen.model import Call, Group, Interface
from syscallgen.parser import parse

FOLDER = "docs/syscalls"
_ERROR = re.compile(r"#define (ZX_ERR_\w+)\s+\((-\d+)\)(?:\s*// (.*))?")


def interface(definitions: Path) -> Interface:
    groups = [path for path in definitions.glob("*.def") if path.name != "types.def"]
    return parse(definitions / "types.def", groups)


def call_path(call: Call) -> str:
    return f"{FOLDER}/zx_{call.name}.md"


def group_path(group: str) -> str:
    return f"{FOLDER}/{group}.md"


def _calls(group: Group) -> list[Call]:
    return [call for call in group.calls if call.is_public]


def _summary(call: Call) -> str:
    """The first sentence of its prose, without what follows it."""
    text = " ".join(call.prose).partition("  ")[0]
    end = text.find(". ")
    text = text if end < 0 else text[: end + 1]
    return text.replace("|", "\\|")


def _link(call: Call) -> str:
    return f"[zx_{call.name}](zx_{call.name}.md)"


def _call_page(call: Call) -> str:
    headers = ["zircon/syscalls.h", *call.includes]
    lines = [f"# zx_{call.name}", "", *map(_with_error_links, call_body(call))]
    lines += ["Headers: " + ", ".join(f"`<{name}>`" for name in headers) + ".", ""]
    lines += [f"Group: [{call.group}]({call.group}.md). All calls: [by group](index.md),"
              " [by name](alphabetical.md)."]
    return "\n".join(lines) + "\n"


def _with_error_links(line: str) -> str:
    return re.sub(r"`(ZX_ERR_\w+)`", lambda m: f"[`{m[1]}`](errors.md#{m[1].lower()})", line)


def _errors_page(interface_: Interface, header: str) -> str:
    """From the header of the status codes: number and comment, and which calls give it."""
    users: dict[str, list[Call]] = {}
    for call in interface_.calls:
        if call.is_public and call.returns == "zx_status_t":
            for error in errors(call):
                users.setdefault(f"ZX_ERR_{error}", []).append(call)
    lines = ["# Errors", "", "Status codes, `<zircon/errors.h>`. `ZX_OK` is 0.", ""]
    subject = ""
    for line in header.splitlines():
        match = _ERROR.match(line)
        if line.startswith("// "):
            subject = line[3:]
        if match is None:
            continue
        name, number, comment = match.groups()
        text = comment or subject
        lines += [f"## {name}", "", f"{number}: {text[:1].lower()}{text[1:].rstrip('.')}.", ""]
        calls = users.get(name, [])
        if len(calls) > len(interface_.calls) / 2:
            lines += ["Given by most calls.", ""]
        elif calls:
            lines += ["Given by " + ", ".join(_link(call) for call in calls) + ".", ""]
    return "\n".join(lines)


def _group_page(group: Group) -> str:
    lines = [f"# {group.name}", "", *group.prose, "", "| call | |", "|---|---|"]
    lines += [f"| {_link(call)} | {_summary(call)} |" for call in _calls(group)]
    return "\n".join(lines) + "\n"


def _index(interface_: Interface) -> str:
    lines = ["# System calls", "", "By group; the same [by name](alphabetical.md), and the [errors](errors.md)."]
    for group in interface_.groups:
        calls = " · ".join(_link(call) for call in _calls(group))
        lines += ["", f"## {group.name}", "", f"[About this group]({group.name}.md). {calls}"]
    return "\n".join(lines) + "\n"


def _alphabetical(interface_: Interface) -> str:
    calls = sorted((c for c in interface_.calls if c.is_public), key=lambda call: call.name)
    lines = ["# System calls by name", "", f"{len(calls)} calls; the same [by group](index.md).", "",
             "| call | group | |", "|---|---|---|"]
    for call in calls:
        lines.append(f"| {_link(call)} | [{call.group}]({call.group}.md) | {_summary(call)} |")
    return "\n".join(lines) + "\n"


def pages(interface_: Interface, errors_header: str) -> dict[str, str]:
    """Path -> Markdown. They take the places of the tree's own pages of the groups."""
    out = {f"{FOLDER}/index.md": _index(interface_),
           f"{FOLDER}/alphabetical.md": _alphabetical(interface_),
           f"{FOLDER}/errors.md": _errors_page(interface_, errors_header)}
    for group in interface_.groups:
        out[group_path(group.name)] = _group_page(group)
        out |= {call_path(call): _call_page(call) for call in _calls(group)}
    return out


def moved(interface_: Interface) -> dict[tuple[str, str], str]:
    """(page of a group, anchor of a call) in the tree -> the call's own page."""
    return {
        (group_path(group.name), f"zx_{call.name}"): call_path(call)
        for group in interface_.groups
        for call in _calls(group)
    }


def parents(interface_: Interface) -> dict[str, str]:
    """Page of a call -> page of its group."""
    return {call_path(call): group_path(group.name)
            for group in interface_.groups for call in _calls(group)}
