"""The reference pages: one Markdown page for each group."""

from __future__ import annotations

from syscallgen.ctext import user_parameters, wrapped
from syscallgen.model import (Argument, Buffer, Call, Direction, Futex, Group, Handle, Interface,
                              OutHandle, Requirement, Resource, Scalar, Struct)

_IMPLIED = ("BAD_HANDLE", "WRONG_TYPE", "ACCESS_DENIED", "INVALID_ARGS")


def _requirement(need: Requirement) -> str:
    types = " or ".join(f"`{t}`" for t in need.types) or "any type"
    if need.rights:
        types += " with " + ", ".join(f"`ZX_RIGHT_{right}`" for right in need.rights)
    return types


def _describe(a: Argument) -> str:
    match a.kind:
        case Scalar():
            return ""
        case Futex():
            return "address of a futex"
        case OutHandle(type_name):
            what = "any type" if type_name == "any" else f"type `{type_name}`"
            return f"receives a handle of {what}"
        case Resource(kind, base, optional):
            text = f"resource of kind `ZX_RSRC_KIND_{kind}`"
            text += f", base `ZX_RSRC_SYSTEM_{base}_BASE`" if base else ""
            return text + ("; may be `ZX_HANDLE_INVALID`" if optional else "")
        case Handle(need=need, optional=optional, take=take):
            text = _requirement(need)
            text += "; may be `ZX_HANDLE_INVALID`" if optional else ""
            return text + ("; consumed" if take else "")
        case Struct() | Buffer():
            text = {Direction.IN: "read", Direction.OUT: "written",
                    Direction.INOUT: "read and written"}[a.kind.direction]
            if isinstance(a.kind, Buffer) and a.kind.count:
                text += ", " + " × ".join(f"`{name}`" for name in a.kind.count)
                text += " bytes" if a.kind.element in ("bytes", "char") else " elements"
            if getattr(a.kind, "optional", False):
                text += "; may be null"
            also = getattr(a.kind, "also", ())
            if also:
                text += "; also with " + ", ".join(f"`ZX_ERR_{status}`" for status in also)
            return text + ("; its handles are consumed" if a.kind.consumed else "")
    raise AssertionError(a)


def errors(call: Call) -> list[str]:
    """The statuses other than OK that a call may give, without ZX_ERR_."""
    kinds = [a.kind for a in call.args]
    handles = [k for k in kinds if isinstance(k, (Handle, Resource))]
    out: list[str] = []
    if handles:
        out.append("BAD_HANDLE")
    if any(isinstance(k, Resource) or k.need.types for k in handles) or call.cases:
        out.append("WRONG_TYPE")
    needs_rights = any(isinstance(k, Handle) and k.need.rights for k in handles)
    if needs_rights or call.cases or call.flag_rules or call.policy:
        out.append("ACCESS_DENIED")
    if any(not isinstance(k, (Handle, Resource)) for k in kinds):
        out.append("INVALID_ARGS")
    return out + [e for e in call.errors if e not in out]


def _notes(call: Call) -> list[str]:
    notes = []
    if "vdso" in call.flags:
        notes.append("Code in the vDSO.")
    if "blocking" in call.flags:
        notes.append("Blocks.")
    if "extension" in call.flags:
        notes.append("An extension of Jacinth.")
    if call.policy:
        notes.append(f"Subject to the job policy `ZX_POL_{call.policy}`.")
    return notes


def call_body(call: Call) -> list[str]:
    """The lines below a call's heading."""
    out = ["```c", wrapped(f"{call.returns} zx_{call.name}", user_parameters(call), ";"), "```", ""]
    out += [*call.prose, ""]
    rows = [(a.name, _describe(a)) for a in call.args]
    if any(text for _, text in rows):
        out += ["| argument | |", "|---|---|"]
        out += [f"| `{name}` | {text} |" for name, text in rows if text]
        out.append("")
    for case in call.cases:
        values = ", ".join(f"`{value}`" for value in case.values)
        out.append(f"- {case.selector} {values}: `{case.handle}` is {_requirement(case.need)}")
    for rule in call.flag_rules:
        rights = ", ".join(f"`ZX_RIGHT_{right}`" for right in rule.rights)
        out.append(f"- {rule.selector} with `{rule.flag}`: `{rule.handle}` also needs {rights}")
    if call.cases or call.flag_rules:
        out.append("")
    if call.returns == "zx_status_t":
        names = ", ".join(f"`ZX_ERR_{error}`" for error in errors(call)) or "none"
        out += [f"Errors: {names}.", ""]
    notes = _notes(call)
    if notes:
        out += [" ".join(notes), ""]
    return out


def page(group: Group) -> str:
    out = [f"# {group.name}", "", *group.prose, ""]
    for call in group.calls:
        if call.is_public:
            out += [f"## zx_{call.name}", "", *call_body(call)]
    return "\n".join(out).rstrip() + "\n"


def index(interface: Interface) -> str:
    out = ["# System calls", "", "| group | calls |", "|---|---|"]
    for group in interface.groups:
        calls = ", ".join(
            f"[{c.name}]({group.name}.md#zx_{c.name})" for c in group.calls if c.is_public)
        out.append(f"| [{group.name}]({group.name}.md) | {calls} |")
    return "\n".join(out) + "\n"
