"""The kernel's side: prototypes of the implementations, and a wrapper for each call.

A wrapper takes eight registers and returns what goes into rax. It does, in this order: copies
structures that name handles to be consumed, looks handles up (type, then rights), takes out those
that the call consumes, asks the job policy, copies the other structures, calls the implementation,
copies results out, publishes new handles. Whatever it holds is held by variables with a cleanup,
so every early return is a plain return.
"""

from __future__ import annotations

from syscallgen.ctext import banner, user_pointer_type, wrapped
from syscallgen.model import (
    Argument, Buffer, Call, Direction, Futex, Handle, Interface, OutHandle, Requirement, Resource,
    Scalar, Struct)

_MAX = 8


class _Names:
    """C names of object types."""

    def __init__(self, interface: Interface) -> None:
        self._types = interface.types

    def struct(self, need: Requirement) -> str:
        if len(need.types) != 1:
            return "struct object*"
        return f"struct {self._types[need.types[0]].struct}*"

    def convert(self, need: Requirement, name: str) -> str:
        """The object `name` as what the implementation receives."""
        kind = self._types[need.types[0]] if len(need.types) == 1 else None
        if kind is not None and kind.embedded:
            return f"(struct {kind.struct}*)(void*){name}"
        function = kind.convert if kind is not None else ""
        return f"{function}({name})" if function else name

    def declarations(self) -> list[str]:
        return [f"struct {t.struct}* {t.convert}(struct object* o);"
                for t in self._types.values() if t.convert]

    def constant(self, need: Requirement) -> str:
        if not need.types:
            return "ZX_OBJ_TYPE_NONE"
        return f"ZX_OBJ_TYPE_{self._types[need.types[0]].constant}"

    def mask(self, need: Requirement) -> str:
        if not need.types:
            return "SYSCALL_ANY_TYPE"
        return " | ".join(f"SYSCALL_TYPE({self._types[t].constant})" for t in need.types)


def _rights(rights: tuple[str, ...]) -> str:
    return " | ".join(f"ZX_RIGHT_{right}" for right in rights) or "ZX_RIGHT_NONE"


def parameters(call: Call, names: _Names) -> list[str]:
    """Of the implementation."""
    out: list[str] = []
    for a in call.args:
        match a.kind:
            case Scalar(ctype):
                out.append(f"{ctype} {a.name}")
            case Handle(raw=True):
                out.append(f"zx_handle_t {a.name}")
            case Handle(take=True):
                out.append(f"struct handle* {a.name}")
            case Handle(need=need):
                out.append(f"{names.struct(need)} {a.name}")
                if a.kind.rights:
                    out.append(f"zx_rights_t {a.name}_rights")
                if a.kind.identity:
                    out += [f"const void* {a.name}_identity", f"zx_handle_t {a.name}_value"]
            case Resource():
                out.append(f"struct resource* {a.name}")
            case OutHandle():
                out.append(f"struct user_out_handle* {a.name}")
            case Struct(self_copied=False):
                const = "const " if a.kind.direction is Direction.IN else ""
                out.append(f"{const}{a.kind.ctype}* {a.name}")
            case Futex() | Struct() | Buffer():
                out.append(f"{user_pointer_type(a.kind)} {a.name}")
    return out


def _result(call: Call) -> str:
    # A call that does not return to user mode may return from here: a thread ends on its way out.
    return "status_t" if call.returns == "zx_status_t" else call.returns


def implementations(interface: Interface) -> str:
    names = _Names(interface)
    out = [banner("What the kernel implements: one function for each call that enters it."),
           "#pragma once\n",
           "#include <zircon/string_view.h>",
           "#include <zircon/syscalls/types.h>",
           "#include <zircon/types.h>\n",
           "#include <lib/compiler.h>",
           "#include <lib/status.h>",
           "#include <syscall/out_handle.h>\n"]
    structs = sorted({t.struct for t in interface.types.values()} | {"handle", "object"})
    out += [f"struct {name};" for name in structs]
    for group in interface.groups:
        calls = [c for c in group.calls if c.has_number]
        if calls:
            out.append(f"\n// {group.name}")
        for call in calls:
            out.append(wrapped(f"INLINE_ACROSS_FILES {_result(call)} sys_{call.name}", parameters(call, names), ";"))
            if "undo" in call.flags:
                out.append(wrapped(f"void sys_{call.name}_undo", parameters(call, names), ";"))
    return "\n".join(out) + "\n"


class _Wrapper:
    """Writes one wrapper."""

    def __init__(self, call: Call, names: _Names) -> None:
        self.call = call
        self.names = names
        self.lines: list[str] = []
        self.register = {a.name: f"r{i}" for i, a in enumerate(call.args)}

    def emit(self, text: str, depth: int = 1) -> None:
        self.lines.append("    " * depth + text)

    def fail_if(self, condition: str, result: str, depth: int = 1) -> None:
        self.emit(f"if (unlikely({condition})) {{", depth)
        self.emit(f"return {result};", depth + 1)
        self.emit("}", depth)

    def attempt(self, expression: str, depth: int = 1) -> None:
        self.emit(f"status = {expression};", depth)
        self.fail_if("status != STATUS_OK", "status", depth)

    def of_kind(self, *kinds: type) -> list[Argument]:
        return [a for a in self.call.args if isinstance(a.kind, kinds)]

    def text(self) -> str:
        used = len(self.call.args)
        registers = [f"uint64_t r{i}" if i < used else "uint64_t" for i in range(_MAX)]
        size = "" if "hot" in self.call.flags else "MINSIZE "
        head = wrapped(f"{size}static int64_t syscall_wrap_{self.call.name}", registers, " {")
        self.scalars()
        self.consumed()
        self.takes_guarded()
        self.lookups()
        self.takes()
        if self.call.policy:
            self.attempt(f"policy_check(ZX_POL_{self.call.policy})")
        self.structs_in(consumed=False)
        self.outs_declared()
        self.run()
        if any("status = " in line for line in self.lines):
            self.lines.insert(0, "    status_t status;")
        return head + "\n" + "\n".join(self.lines) + "\n}\n"

    def needs_status(self) -> bool:
        return self.call.returns == "zx_status_t"

    def scalars(self) -> None:
        for a in self.of_kind(Scalar):
            self.emit(f"const {a.kind.ctype} {a.name} = ({a.kind.ctype}){self.register[a.name]};")
        for a in self.of_kind(Handle):
            if a.kind.raw:
                self.emit(f"const zx_handle_t {a.name} = (zx_handle_t){self.register[a.name]};")

    def pointer(self, a: Argument) -> str:
        return f"({user_pointer_type(a.kind)}){self.register[a.name]}"

    # Structures and arrays whose handles are closed if the call fails early.
    def consumed(self) -> None:
        self.structs_in(consumed=True)
        for a in self.of_kind(Buffer):
            if a.kind.consumed:
                kind = "dispositions" if "disposition" in a.kind.element else "handles"
                self.emit(f"SYSCALL_CONSUMED consumed = {{.{kind} = {self.pointer(a)}, "
                          f".count = {a.kind.count[0]}}};")
        for a in self.of_kind(Struct):
            if a.kind.consumed:
                etc = "etc" in a.kind.ctype
                kind = "dispositions" if etc else "handles"
                element = "zx_handle_disposition_t" if etc else "const zx_handle_t"
                self.emit(f"SYSCALL_CONSUMED consumed = {{.{kind} = ({element} __user*)(uintptr_t)"
                          f"{a.name}.wr_handles, .count = {a.name}.wr_num_handles}};")

    @property
    def has_consumed(self) -> bool:
        return any(getattr(a.kind, "consumed", False) for a in self.call.args)

    def structs_in(self, *, consumed: bool) -> None:
        for a in self.of_kind(Struct):
            k = a.kind
            if k.self_copied or k.direction is Direction.OUT or k.consumed is not consumed:
                continue
            self.emit(f"UNINITIALIZED {k.ctype} {a.name};")
            pointer = f"(const {k.ctype} __user*){self.register[a.name]}"
            copy = f"arch_copy_from_user(&{a.name}, {pointer}, sizeof({a.name})) != 0"
            if "hot" in self.call.flags:
                copy = f"!syscall_struct_get(&{a.name}, {pointer})"
            if k.optional:
                copy = f"{self.register[a.name]} != 0 && {copy}"
            self.fail_if(copy, "STATUS_INVALID_ARGS")

    # A handle that moves may also be named by another argument, so it leaves the table after all
    # look-ups; until then a guard closes it if the call fails.
    def takes_guarded(self) -> None:
        for a in self.of_kind(Handle):
            if a.kind.take:
                self.emit(f"HANDLE {a.name} = {{}};")
                self.emit(f"SYSCALL_GIVEN {a.name}_given = (zx_handle_t){self.register[a.name]};")

    def takes(self) -> None:
        for a in self.of_kind(Handle):
            if a.kind.take:
                optional = "true" if a.kind.optional else "false"
                self.emit(f"{a.name}_given = ZX_HANDLE_INVALID;")
                self.attempt(f"syscall_take((zx_handle_t){self.register[a.name]}, {optional}, "
                             f"&{a.name})")
                need = a.kind.need
                if need.types or need.rights:
                    self.attempt(f"syscall_taken_check(&{a.name}, {self.names.mask(need)}, "
                                 f"{_rights(need.rights)})")

    def requirement_varies(self, name: str) -> bool:
        rules = [*self.call.cases, *self.call.flag_rules]
        return any(r.handle == name for r in rules)

    def lookups(self) -> None:
        for a in self.call.args:
            match a.kind:
                case Handle(raw=True) | Handle(take=True):
                    pass
                case Handle():
                    self.lookup(a)
                case Resource():
                    self.resource(a)

    def lookup(self, a: Argument) -> None:
        need = a.kind.need
        value = f"(zx_handle_t){self.register[a.name]}"
        if a.kind.rights:
            self.emit(f"zx_rights_t {a.name}_rights = 0;")
        if a.kind.identity:
            self.emit(f"const void* {a.name}_identity = nullptr;")
        varies = self.requirement_varies(a.name) or len(need.types) > 1
        what = f"{value}, {self.names.constant(need)}, {_rights(need.rights)}"
        # Inline where it counts, a call where text counts.
        far = "syscall_handle_get" if "hot" in self.call.flags else "syscall_handle_find"
        quiet = "false"
        if varies:
            self.varying(a)
            if any(c.quiet and c.handle == a.name for c in self.call.cases):
                quiet = f"{a.name}_quiet"
            if not a.kind.rights:
                self.emit(f"zx_rights_t {a.name}_rights = 0;")
            what = f"{value}, OBJECT_ANY, ZX_RIGHT_NONE"
            get = f"{far}_rights({what}, &{a.name}_rights)"
        elif a.kind.identity:
            get = f"{far}_identity({what}, &{a.name}_identity)"
        elif a.kind.rights:
            get = f"{far}_rights({what}, &{a.name}_rights)"
        else:
            get = f"{far}({what})"
        failed = f"syscall_handle_failed({what})"
        if quiet != "false":
            failed = f"{quiet} ? STATUS_BAD_HANDLE : {failed}"
        depth = 1
        if a.kind.optional:
            self.emit(f"OBJECT_REF {a.name} = nullptr;")
            self.emit(f"if ({value} != ZX_HANDLE_INVALID) {{")
            depth = 2
            self.emit(f"{a.name} = {get};", depth)
        else:
            self.emit(f"OBJECT_REF {a.name} = {get};")
        self.fail_if(f"{a.name} == nullptr", failed, depth)
        if varies:
            for condition, status in (
                    (f"!syscall_type_fits({a.name}, {a.name}_types)", "STATUS_WRONG_TYPE"),
                    (f"({a.name}_rights & {a.name}_need) != {a.name}_need",
                     "STATUS_ACCESS_DENIED")):
                result = f"syscall_lookup_failed({status})"
                if quiet != "false":
                    result = f"{quiet} ? {status} : {result}"
                self.fail_if(condition, result, depth)
        if a.kind.optional:
            self.emit("}")

    def varying(self, a: Argument) -> None:
        """What the handle must be and allow depends on other arguments."""
        need = a.kind.need
        self.emit(f"uint64_t {a.name}_types = {self.names.mask(need)};")
        self.emit(f"zx_rights_t {a.name}_need = {_rights(need.rights)};")
        cases = [c for c in self.call.cases if c.handle == a.name]
        if any(c.quiet for c in cases):
            self.emit(f"bool {a.name}_quiet = false;")
        for selector in dict.fromkeys(c.selector for c in cases):
            self.emit(f"switch ({selector}) {{")
            for case in cases:
                if case.selector != selector:
                    continue
                for value in case.values:
                    self.emit(f"case {value}:")
                if case.need.types and case.need.types != need.types:
                    self.emit(f"{a.name}_types = {self.names.mask(case.need)};", 2)
                if case.need.rights:
                    self.emit(f"{a.name}_need |= {_rights(case.need.rights)};", 2)
                if case.quiet:
                    self.emit(f"{a.name}_quiet = true;", 2)
                self.emit("break;", 2)
            self.emit("default:")
            if selector in self.call.otherwise:
                self.emit(f"return STATUS_{self.call.otherwise[selector]};", 2)
            else:
                self.emit("break;", 2)
            self.emit("}")
        for rule in self.call.flag_rules:
            if rule.handle == a.name:
                self.emit(f"{a.name}_need |= ({rule.selector} & {rule.flag}) != 0 ? "
                          f"{_rights(rule.rights)} : ZX_RIGHT_NONE;")

    def resource(self, a: Argument) -> None:
        value = f"(zx_handle_t){self.register[a.name]}"
        base = f"ZX_RSRC_{a.kind.kind}_{a.kind.base}_BASE" if a.kind.base else "SYSCALL_ANY_BASE"
        get = f"syscall_resource_get({value}, ZX_RSRC_KIND_{a.kind.kind}, {base}, &{a.name})"
        self.emit(f"OBJECT_REF {a.name} = nullptr;")
        if a.kind.optional:
            self.emit(f"if ({value} != ZX_HANDLE_INVALID) {{")
            self.attempt(get, 2)
            self.emit("}")
        else:
            self.attempt(get)

    def outs(self) -> list[Argument]:
        return [a for a in self.of_kind(Struct)
                if not a.kind.self_copied and a.kind.direction is not Direction.IN]

    def outs_declared(self) -> None:
        for a in self.outs():
            if a.kind.direction is Direction.OUT:
                self.emit(f"{a.kind.ctype} {a.name} = {{}};")
        for a in self.of_kind(OutHandle):
            self.emit(f"USER_OUT_HANDLE {a.name} = {{}};")

    def arguments(self) -> list[str]:
        out: list[str] = []
        for a in self.call.args:
            match a.kind:
                case Scalar() | Handle(raw=True):
                    out.append(a.name)
                case Handle(take=True) | OutHandle():
                    out.append(f"&{a.name}")
                case Handle(need=need):
                    converted = self.names.convert(need, a.name)
                    if a.kind.optional and converted != a.name:
                        converted = f"{a.name} != nullptr ? {converted} : nullptr"
                    out.append(converted)
                    if a.kind.rights:
                        out.append(f"{a.name}_rights")
                    if a.kind.identity:
                        out += [f"{a.name}_identity", f"(zx_handle_t){self.register[a.name]}"]
                case Resource():
                    resource = self.names.convert(Requirement(("resource",)), a.name)
                    out.append(f"{a.name} != nullptr ? {resource} : nullptr" if a.kind.optional
                               else resource)
                case Struct(self_copied=False):
                    if a.kind.optional and a.kind.direction is Direction.IN:
                        out.append(f"{self.register[a.name]} != 0 ? &{a.name} : nullptr")
                    else:
                        out.append(f"&{a.name}")
                case Futex() | Struct() | Buffer():
                    out.append(self.pointer(a))
        return out

    def run(self) -> None:
        call = self.call
        if self.has_consumed:
            self.emit("consumed.count = 0; // from here on they are the implementation's")
        invoke = f"sys_{call.name}();"
        if call.args:
            invoke = wrapped(f"sys_{call.name}", self.arguments(), ";")
        if "noreturn" in call.flags:
            self.emit(invoke)
            self.emit("return 0;")
            return
        if not self.needs_status():
            self.emit(f"return (int64_t){invoke}")
            return
        self.emit(f"status = {invoke}")
        self.results()
        self.emit("return status;")

    def results(self) -> None:
        always = [a for a in self.outs() if a.kind.also]
        for a in always:
            conditions = " || ".join(f"status == STATUS_{s}" for s in ("OK", *a.kind.also))
            self.emit(f"if ({conditions}) {{")
            self.copy_out(a, 2)
            self.emit("}")
        rest = [a for a in self.outs() if not a.kind.also]
        handles = self.of_kind(OutHandle)
        if not rest and not handles:
            return
        self.fail_if("status != STATUS_OK", "status")
        for a in rest:
            self.copy_out(a, 1)
        if len(handles) == 1:
            a = handles[0]
            self.emit(f"status = user_out_handle_give(&{a.name}, {self.pointer(a)});")
            self.undo_if("status != STATUS_OK", "status", 1)
            return
        for a in handles:
            self.emit(f"status = user_out_handle_copy(&{a.name}, {self.pointer(a)});")
            self.undo_if("status != STATUS_OK", "status", 1)
        for a in handles:
            self.emit(f"user_out_handle_publish(&{a.name});")

    def copy_out(self, a: Argument, depth: int) -> None:
        register = self.register[a.name]
        pointer = f"({a.kind.ctype} __user*){register}"
        condition = f"arch_copy_to_user({pointer}, &{a.name}, sizeof({a.name})) != 0"
        if a.kind.optional:
            condition = f"{register} != 0 && {condition}"
        self.undo_if(condition, "STATUS_INVALID_ARGS", depth)

    def undo_if(self, condition: str, result: str, depth: int) -> None:
        self.emit(f"if (unlikely({condition})) {{", depth)
        if "undo" in self.call.flags:
            self.emit(wrapped(f"sys_{self.call.name}_undo", self.arguments(), ";"), depth + 1)
        self.emit(f"return {result};", depth + 1)
        self.emit("}", depth)


def wrappers(interface: Interface) -> str:
    names = _Names(interface)
    out = [banner("From registers to objects: a wrapper for each system call, and their table."),
           "#include <arch/upcalls.h>",
           "#include <syscall/impl.h>",
           "#include <syscall/runtime.h>",
           "#include <zircon/syscall_numbers.h>\n",
           *names.declarations(), ""]
    for call in interface.numbered:
        out.append(_Wrapper(call, names).text())
    out.append("const uint32_t syscall_count = ZX_SYS_COUNT;\n")
    registers = ", ".join(["uint64_t"] * _MAX)
    out.append(f"int64_t (*const syscall_table[])({registers}) = {{")
    for call in interface.numbered:
        out.append(f"    [ZX_SYS_{call.name}] = syscall_wrap_{call.name},")
    out.append("};")
    return "\n".join(out) + "\n"
