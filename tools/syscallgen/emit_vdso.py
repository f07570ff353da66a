"""The vDSO's stubs: one `syscall` instruction for each number, with a symbol on the instruction
after it.

The kernel lets a call in only if its return address is that symbol (tools/syscallgen/vdso_image.py
reads them out of the linked image). Arguments 1-6 are in rdi rsi rdx r10 r8 r9, 7 and 8 in r12 and
r13, the number is in eax. The kernel preserves the callee-saved registers only, so the stubs of
blocking calls, which an interruption (INTR_RETRY) makes enter again, keep their arguments in the
red zone: 128 bytes below the stack pointer that nobody but the function itself touches.
"""

from __future__ import annotations

from syscallgen.ctext import banner
from syscallgen.model import Call, DefinitionError, Interface


def _names(call: Call) -> list[str]:
    """The symbols at the entry: hidden for internal calls, else _zx_ and, weak, zx_."""
    if not call.is_public:
        name = f"syscall_{call.name}"
        return [f".globl {name}", f".hidden {name}", f".type {name}, @function", f"{name}:"]
    strong, weak = f"_zx_{call.name}", f"zx_{call.name}"
    return [f".globl {strong}", f".weak {weak}", f".type {strong}, @function",
            f".type {weak}, @function", f"{strong}:", f"{weak}:"]


# Arguments 1 to 6 when the kernel is entered.
_REGISTERS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_WIDTH_32 = {"rdi": "edi", "rsi": "esi", "rdx": "edx"}


def _enter(call: Call) -> list[str]:
    return [f"    mov ${call.number}, %eax", "    syscall", f"syscall_return_{call.name}:"]


def _keep(call: Call) -> list[str]:
    return [f"    mov %{register}, -{8 * (i + 1)}(%rsp)"
            for i, register in enumerate(_REGISTERS[:len(call.args)])]


def _fetch(call: Call) -> list[str]:
    return [f"    mov -{8 * (i + 1)}(%rsp), %{register}"
            for i, register in enumerate(_REGISTERS[:len(call.args)])]


def _go_on(call: Call, calls: dict[str, Call]) -> list[str]:
    """After an interruption."""
    out = _fetch(call)
    if call.resume is None:
        return [*out, "    jmp 1b"]
    target = calls[call.resume.call]
    names = [a.name for a in call.args]
    if target is call:
        register = _REGISTERS[names.index(call.resume.arg)]
        return [*out, f"    or ${call.resume.bits}, %{_WIDTH_32[register]}", "    jmp 1b"]
    for position, argument in enumerate(target.args):
        source = names.index(argument.name)
        if source < position:
            raise DefinitionError(f"{call.name}: {target.name} has another order of arguments")
        if source != position:
            out.append(f"    mov %{_REGISTERS[source]}, %{_REGISTERS[position]}")
    return [*out, "3:", *_keep(target), *_enter(target), "    cmp $-6, %eax", "    je 4f", "    ret",
            "4:", *_fetch(target), "    jmp 3b"]


def _body(call: Call, calls: dict[str, Call]) -> list[str]:
    count = len(call.args)
    out: list[str] = []
    saved = {7: ["r12"], 8: ["r12", "r13"]}.get(count, [])
    for register in saved:
        out += [f"    push %{register}", "    .cfi_adjust_cfa_offset 8",
                f"    .cfi_rel_offset {register}, 0"]
    for index, register in enumerate(saved):
        out.append(f"    mov {8 * (len(saved) + 1 + index)}(%rsp), %{register}")
    if count >= 4:
        out.append("    mov %rcx, %r10")
    blocking = "blocking" in call.flags
    if blocking:
        out += ["1:", *_keep(call)]
    out += _enter(call)
    if blocking:
        out += ["    cmp $-6, %eax", "    je 2f"]
    for register in reversed(saved):
        out += [f"    pop %{register}", "    .cfi_adjust_cfa_offset -8",
                f"    .cfi_restore {register}"]
    out.append("    ud2" if "noreturn" in call.flags else "    ret")
    if blocking:
        out += ["2:", *_go_on(call, calls)]
    return out


def stubs(interface: Interface) -> str:
    calls = {c.name: c for c in interface.calls}
    # These have no entry of their own: another call's stub goes on with them.
    inner = {c.resume.call for c in interface.calls if c.resume and c.resume.call != c.name}
    out = [banner("The vDSO's stubs."), "    .text"]
    for call in interface.numbered:
        if call.name in inner:
            continue
        out.append("\n    .p2align 4")
        out += ["    " + line if line.startswith(".") else line for line in _names(call)]
        out.append("    .cfi_startproc")
        out += _body(call, calls)
        out.append("    .cfi_endproc")
        prefixes = ("_zx_", "zx_") if call.is_public else ("syscall_",)
        for name in (prefix + call.name for prefix in prefixes):
            out.append(f"    .size {name}, . - {name}")
    out.append('\n    .section .note.GNU-stack, "", @progbits')
    return "\n".join(out) + "\n"
