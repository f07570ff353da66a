"""Tables for other programs: the model of the arguments (k strace, the argument fuzzer) and the
rows of types and rights (conformance tests).
"""

from __future__ import annotations

from syscallgen.ctext import banner
from syscallgen.model import (Argument, Buffer, Call, Direction, Futex, Handle, Interface, Kind,
                              OutHandle, Requirement, Resource, Scalar, Struct)
from syscallgen.parser import SCALARS

_DIRECTIONS = {Direction.IN: "SYSCALL_ARG_IN", Direction.OUT: "SYSCALL_ARG_OUT",
               Direction.INOUT: "SYSCALL_ARG_INOUT"}


def _rights(rights: tuple[str, ...]) -> str:
    return " | ".join(f"ZX_RIGHT_{right}" for right in rights) or "0"


def _mask(interface: Interface, types: tuple[str, ...]) -> str:
    if not types:
        return "UINT64_MAX"
    return " | ".join(f"(uint64_t)1 << ZX_OBJ_TYPE_{interface.types[t].constant}" for t in types)


def _size_of(element: str) -> str:
    return "1" if element in ("bytes", "char") else f"sizeof({element})"


def _argument(interface: Interface, call: Call, a: Argument) -> str:
    fields = [f'.name = "{a.name}"']
    positions = {other.name: index for index, other in enumerate(call.args)}
    kind: Kind = a.kind
    match kind:
        case Scalar(ctype):
            size = SCALARS[ctype]
            fields += [".kind = SYSCALL_ARG_SCALAR", f".size = {abs(size)}"]
            if size < 0:
                fields.append(".is_signed = true")
            if ctype == "zx_time_t" or ctype.startswith("zx_instant"):
                fields.append(".is_time = true")
        case Handle():
            fields += [".kind = SYSCALL_ARG_HANDLE", ".size = 4",
                       f".types = {_mask(interface, kind.need.types)}",
                       f".rights = {_rights(kind.need.rights)}"]
        case Resource():
            fields += [".kind = SYSCALL_ARG_HANDLE", ".size = 4",
                       f".types = {_mask(interface, ('resource',))}"]
        case OutHandle(type_name):
            types = () if type_name == "any" else (type_name,)
            fields += [".kind = SYSCALL_ARG_OUT_HANDLE", ".size = sizeof(zx_handle_t)",
                       f".types = {_mask(interface, types)}"]
        case Futex():
            fields += [".kind = SYSCALL_ARG_FUTEX", ".size = sizeof(int)"]
        case Struct():
            fields += [f".kind = {_DIRECTIONS[kind.direction]}", f".size = sizeof({kind.ctype})"]
        case Buffer():
            fields += [f".kind = {_DIRECTIONS[kind.direction]}",
                       f".size = {_size_of(kind.element)}", ".is_array = true"]
            for slot, name in enumerate(kind.count):
                fields.append(f".count[{slot}] = {positions[name] + 1}")
    if getattr(kind, "optional", False):
        fields.append(".is_optional = true")
    if getattr(kind, "consumed", False) or getattr(kind, "take", False):
        fields.append(".is_consumed = true")
    return "{" + ", ".join(fields) + "}"


def _includes(interface: Interface) -> list[str]:
    return sorted({f"#include {name}" for c in interface.calls for name in c.includes})


def _flags(call: Call) -> str:
    names = [f"SYSCALL_FLAG_{flag.upper()}" for flag in ("vdso", "internal", "blocking", "noreturn")
             if flag in call.flags]
    return " | ".join(names) or "0"


def model(interface: Interface) -> str:
    """Every call, numbered ones first and at their number's place."""
    out = [banner("What each system call's arguments are."), "#include <syscall/model.h>\n"]
    out += [*_includes(interface), "#include <zircon/syscall_numbers.h>\n",
            "const struct syscall_model syscall_models[] = {"]
    virtual = [c for c in interface.calls if not c.has_number]
    for call in interface.numbered + virtual:
        key = f"[ZX_SYS_{call.name}] = " if call.has_number else ""
        out.append(f'    {key}{{.name = "{call.name}",')
        number = str(call.number) if call.has_number else "-1"
        out.append(f"        .number = {number}, .flags = {_flags(call)}, "
                   f".result_size = {abs(SCALARS[call.returns])}, .arg_count = {len(call.args)},")
        if call.args:
            out.append("        .args = {")
            out += [f"            {_argument(interface, call, a)}," for a in call.args]
            out.append("        },")
        out.append("    },")
    out += ["};", f"const size_t syscall_model_count = {len(interface.numbered) + len(virtual)};"]
    return "\n".join(out) + "\n"


def entry_points(interface: Interface) -> str:
    """For programs: the function of each public call, by the model's index."""
    calls = interface.numbered + [c for c in interface.calls if not c.has_number]
    out = [banner("The functions of the system calls, in the order of syscall_models."),
           "#include <syscall/model.h>", "#include <zircon/syscalls.h>\n",
           "void (*const syscall_entry_points[])(void) = {"]
    for call in calls:
        out.append(f"    (void (*)(void))zx_{call.name}," if call.is_public
                   else f"    nullptr, // {call.name}")
    out.append("};")
    return "\n".join(out) + "\n"


def _rows(call: Call) -> list[tuple[int, Requirement, str, str]]:
    """(argument, requirement, selecting argument, its value) for each handle that is checked."""
    rows: list[tuple[int, Requirement, str, str]] = []
    for index, a in enumerate(call.args):
        match a.kind:
            case Resource():
                rows.append((index, Requirement(("resource",)), "", ""))
            case Handle(need=need):
                cases = [c for c in call.cases if c.handle == a.name]
                for case in cases:
                    both = Requirement(case.need.types or need.types,
                                       tuple(dict.fromkeys(need.rights + case.need.rights)))
                    rows += [(index, both, case.selector, value) for value in case.values]
                if not cases:
                    rows.append((index, need, "", ""))
                for rule in call.flag_rules:
                    if rule.handle == a.name:
                        rights = tuple(dict.fromkeys(need.rights + rule.rights))
                        both = Requirement(need.types, rights)
                        rows.append((index, both, rule.selector, rule.flag))
    return rows


def matrix(interface: Interface) -> str:
    """Rows of ROW(call, argument, types, rights, selector argument or -1, selector value)."""
    out = [banner("Which handle arguments must be of which types with which rights.")]
    for call in interface.calls:
        if not call.is_public:
            continue
        positions = {a.name: index for index, a in enumerate(call.args)}
        for index, need, selector, value in _rows(call):
            at = positions.get(selector, -1)
            out.append(f"ROW({call.name}, {index}, {_mask(interface, need.types)}, "
                       f"{_rights(need.rights)}, {at}, {value or 0})")
    return "\n".join(out) + "\n"
