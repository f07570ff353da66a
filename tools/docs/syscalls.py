"""Pages of the system calls, as Markdown: one for each call, one for each group, two indexes."""

from __future__ import annotations

from pathlib import Path

from syscallgen.emit_docs import call_body
from syscallgen.model import Call, Group, Interface
from syscallgen.parser import parse

FOLDER = "docs/syscalls"


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
    lines = [f"# zx_{call.name}", "", *call_body(call)]
    lines += ["Headers: " + ", ".join(f"`<{name}>`" for name in headers) + ".", ""]
    lines += [f"Group: [{call.group}]({call.group}.md). All calls: [by group](index.md),"
              " [by name](alphabetical.md)."]
    return "\n".join(lines) + "\n"


def _group_page(group: Group) -> str:
    lines = [f"# {group.name}", "", *group.prose, "", "| call | |", "|---|---|"]
    lines += [f"| {_link(call)} | {_summary(call)} |" for call in _calls(group)]
    return "\n".join(lines) + "\n"


def _index(interface_: Interface) -> str:
    lines = ["# System calls", "", "By group; the same [by name](alphabetical.md)."]
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


def pages(interface_: Interface) -> dict[str, str]:
    """Path -> Markdown. They take the places of the tree's own pages of the groups."""
    out = {f"{FOLDER}/index.md": _index(interface_),
           f"{FOLDER}/alphabetical.md": _alphabetical(interface_)}
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
