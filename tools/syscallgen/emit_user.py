"""What programs see: <zircon/syscalls.h>, <zircon/syscall_numbers.h>, and the vDSO's private
prototypes.
"""

from __future__ import annotations

from syscallgen.ctext import banner, comment, user_parameters, wrapped
from syscallgen.model import Call, Interface


def numbers(interface: Interface) -> str:
    out = [banner("Numbers of the system calls: private to the vDSO and the kernel of one build.")]
    out.append("#pragma once\n")
    for call in interface.numbered:
        out.append(f"#define ZX_SYS_{call.name} {call.number}")
    out.append(f"\n#define ZX_SYS_COUNT {len(interface.numbered)}")
    return "\n".join(out) + "\n"


def _attributes(call: Call) -> str:
    if "noreturn" in call.flags:
        return "__NO_RETURN "
    return "__CONST " if "const" in call.flags else ""


def _prototype(call: Call, prefix: str, attributes: str) -> str:
    head = f"extern {attributes}__LEAF_FN {call.returns} {prefix}{call.name}"
    return wrapped(head, user_parameters(call), ";")


def header(interface: Interface) -> str:
    out = [banner("The system calls."),
           "#pragma once\n",
           "#include <zircon/compiler.h>",
           "#include <zircon/string_view.h>",
           "#include <zircon/syscalls/types.h>",
           "#include <zircon/types.h>\n",
           "__BEGIN_CDECLS"]
    for group in interface.groups:
        rule = f"// ---- {group.name} "
        out.append("\n" + rule + "-" * (100 - len(rule)))
        out.append(comment(group.prose).rstrip())
        for call in group.calls:
            if call.is_public:
                out.append("\n" + comment(call.prose).rstrip())
                out.append(_prototype(call, "zx_", _attributes(call)))
                out.append(_prototype(call, "_zx_", _attributes(call)))
    out.append("\n__END_CDECLS")
    return "\n".join(out) + "\n"


def vdso_internal(interface: Interface) -> str:
    """Stubs that only the vDSO's own C code may call."""
    out = [banner("Calls that only the vDSO's own code makes."),
           "#pragma once\n",
           "#include <zircon/syscalls.h>\n"]
    inner = {c.resume.call for c in interface.calls if c.resume}
    for call in interface.calls:
        if not call.is_public and call.name not in inner:
            head = f'__attribute__((visibility("hidden"))) {call.returns} syscall_{call.name}'
            out.append(wrapped(head, user_parameters(call), ";"))
    return "\n".join(out) + "\n"
