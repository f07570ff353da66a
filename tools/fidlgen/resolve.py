"""Gives the tree its meaning: names to declarations, constants to values, methods to bodies."""

from __future__ import annotations

from fidlgen import names
from fidlgen.model import (
    NO_LIMIT, SCALARS, Array, Box, Const, FidlError, Handle, Layout, Library, Member, Method,
    Protocol, Ref, Scalar, String, Type, Universe, Vector, member_type, ordinal_of)
from fidlgen.syntax import Decl, File, LayoutNode, MethodNode, TypeNode, Value


class _Resolver:
    """One library, those that it uses being in the universe already."""

    def __init__(self, universe: Universe, files: list[File]) -> None:
        self.universe = universe
        self.library = Library(files[0].library)
        self.uses: dict[str, str] = {}
        for file in files:
            if file.library != self.library.name:
                raise FidlError(f"two libraries at once: {file.library}, {self.library.name}")
            self.uses |= file.uses
            self.library.docs += file.docs
        self.library.uses = sorted({u for u in self.uses.values() if u != "zx"})
        for use in self.library.uses:
            if use not in universe.libraries:
                raise FidlError(f"library {use} is not given")
        universe.libraries[self.library.name] = self.library
        self.decls: dict[str, Decl] = {}
        for decl in (d for file in files for d in file.decls):
            if decl.name in self.decls:
                raise FidlError(f"{decl.where}: {decl.name} is declared twice")
            self.decls[decl.name] = decl
        self._busy: set[str] = set()

    def run(self) -> Library:
        # Layouts first, empty: they may refer to each other.
        for decl in self.decls.values():
            if decl.kind == "type":
                self._declare(decl)
        for decl in self.decls.values():
            if decl.kind == "const":
                self._const(decl)
            elif decl.kind == "type":
                node = decl.type
                assert node is not None and node.layout is not None
                self._fill(self.library.layouts[decl.name], node.layout)
            elif decl.kind == "protocol":
                self.library.protocols.append(self._protocol(decl))
        for layout in self.library.layouts.values():
            self._check(layout)
        return self.library

    # ---- values ----

    def _const(self, decl: Decl) -> None:
        assert decl.type is not None and decl.value is not None
        type_ = self.type(decl.type, decl.name)
        if not isinstance(type_, Scalar | String):
            raise FidlError(f"{decl.where}: a constant of this type is not supported")
        value = self.value(decl.value)
        if isinstance(type_, String) != isinstance(value, str):
            raise FidlError(f"{decl.where}: the value does not fit the type")
        if isinstance(type_, Scalar):
            self._in_range(decl.where, type_, value)
        self.library.consts.append(Const(decl.name, type_, value, decl.docs))

    def _in_range(self, where: str, scalar: Scalar, value: int | float | str | bool) -> None:
        if scalar.name == "bool" or isinstance(value, bool):
            fits = scalar.name == "bool" and isinstance(value, bool)
        elif scalar.name.startswith("float"):
            fits = isinstance(value, int | float)
        else:
            low, high = (-(1 << scalar.bits - 1), (1 << scalar.bits - 1) - 1)
            if not scalar.is_signed:
                low, high = 0, (1 << scalar.bits) - 1
            fits = isinstance(value, int) and low <= value <= high
        if not fits:
            raise FidlError(f"{where}: {value} is no {scalar.name}")

    def value(self, value: Value) -> int | float | str | bool:
        if value.literal is not None:
            return value.literal
        found = [self._named_value(value, name) for name in value.names]
        if len(found) == 1:
            return found[0]
        result = 0
        for part in found:
            if not isinstance(part, int):
                raise FidlError(f"{value.where}: | is for integers")
            result |= part
        return result

    def number(self, value: Value) -> int:
        result = self.value(value)
        if not isinstance(result, int) or isinstance(result, bool) or not 0 <= result <= NO_LIMIT:
            raise FidlError(f"{value.where}: expected a number of 32 bits")
        return result

    def _named_value(self, value: Value, name: str) -> int | float | str | bool:
        if name == "MAX":
            return NO_LIMIT
        head, _, tail = name.rpartition(".")
        if name.startswith("zx.Rights.") and tail in names.ZX_RIGHTS:
            return names.ZX_RIGHTS[tail]
        if head == "zx" and tail in names.ZX_CONSTS:
            return names.ZX_CONSTS[tail]
        if not head and name in self.decls and self.decls[name].kind == "const":
            decl = self.decls[name]
            if name in self._busy:
                raise FidlError(f"{decl.where}: {name} is defined by itself")
            self._busy.add(name)
            assert decl.value is not None
            result = self.value(decl.value)
            self._busy.discard(name)
            return result
        if head in self.decls and self.decls[head].type is not None:
            node = self.decls[head].type
            for member in node.layout.members if node and node.layout else []:
                if member.name == tail and member.value is not None:
                    return self.value(member.value)
        if head in self.uses and self.uses[head] != "zx":
            for const in self.universe.libraries[self.uses[head]].consts:
                if const.name == tail:
                    return const.value
        raise FidlError(f"{value.where}: no constant is named {name}")

    # ---- types ----

    def type(self, node: TypeNode, context: str) -> Type:
        """`context` names a layout that is declared in place."""
        if node.layout is not None:
            layout = self._new_layout(node.where, context, node.layout)
            self._fill(layout, node.layout)
            return Ref(self.library.name, layout.name, self._optional_only(node))
        if node.name in SCALARS:
            self._plain(node)
            return Scalar(node.name)
        match node.name:
            case "string":
                limit, optional = self._limit(node)
                return String(limit, optional)
            case "vector":
                limit, optional = self._limit(node)
                return Vector(self._element(node, 1, context), limit, optional)
            case "bytes":
                limit, optional = self._limit(node)
                return Vector(Scalar("uint8"), limit, optional)
            case "array":
                element = self._element(node, 2, context)
                count = node.parameters[1]
                if isinstance(count, TypeNode):  # a name, read as a type
                    count = Value(count.where, names=[count.name])
                number = self.number(count)
                if number == 0:
                    raise FidlError(f"{node.where}: an array has elements")
                return Array(element, number)
            case "box":
                element = self._element(node, 1, context)
                if not isinstance(element, Ref) or not self._is_kind(element, "struct"):
                    raise FidlError(f"{node.where}: box is for structs")
                return Box(element)
            case "client_end" | "server_end":
                optional = any(c.names == ["optional"] for c in node.constraints)
                return Handle("CHANNEL", None, optional)
        return self._named_type(node, context)

    def _named_type(self, node: TypeNode, context: str) -> Type:
        head, _, tail = node.name.rpartition(".")
        if self.uses.get(head) == "zx":
            if tail == "Handle":
                return self._handle(node)
            if tail in names.ZX_ALIASES:
                self._plain(node)
                return Scalar(names.ZX_ALIASES[tail])
        elif head in self.uses:
            library = self.universe.libraries[self.uses[head]]
            if tail in library.layouts:
                return self._reference(node, Ref(library.name, tail))
        elif not head and node.name in self.decls:
            decl = self.decls[node.name]
            if decl.kind == "type":
                return self._reference(node, Ref(self.library.name, node.name))
            if decl.kind == "alias" and decl.type is not None:
                self._plain(node)
                if node.name in self._busy:
                    raise FidlError(f"{node.where}: {node.name} is defined by itself")
                self._busy.add(node.name)
                result = self.type(decl.type, context)
                self._busy.discard(node.name)
                return result
        raise FidlError(f"{node.where}: no type is named {node.name}")

    def _reference(self, node: TypeNode, ref: Ref) -> Ref:
        optional = self._optional_only(node)
        if optional and not self._is_kind(ref, "union"):
            raise FidlError(f"{node.where}: only unions can be optional here; structs: box<T>")
        return Ref(ref.library, ref.name, optional)

    def _is_kind(self, ref: Ref, kind: str) -> bool:
        return self.universe.layout(ref).kind == kind

    def _plain(self, node: TypeNode) -> None:
        if node.parameters or node.constraints:
            raise FidlError(f"{node.where}: {node.name} takes no parameters")

    def _optional_only(self, node: TypeNode) -> bool:
        if any(c.names != ["optional"] for c in node.constraints) or len(node.constraints) > 1:
            raise FidlError(f"{node.where}: the only constraint here is optional")
        return bool(node.constraints)

    def _element(self, node: TypeNode, count: int, context: str) -> Type:
        if len(node.parameters) != count or not isinstance(node.parameters[0], TypeNode):
            raise FidlError(f"{node.where}: {node.name} takes {count} parameter(s), a type first")
        return self.type(node.parameters[0], context)

    def _limit(self, node: TypeNode) -> tuple[int, bool]:
        limits = [c for c in node.constraints if c.names != ["optional"]]
        if len(limits) > 1:
            raise FidlError(f"{node.where}: more than one limit")
        optional = len(limits) < len(node.constraints)
        return (self.number(limits[0]) if limits else NO_LIMIT), optional

    def _handle(self, node: TypeNode) -> Handle:
        object_, rights, optional = "NONE", None, False
        for position, constraint in enumerate(node.constraints):
            if constraint.names == ["optional"]:
                optional = True
            elif position == 0 and len(constraint.names) == 1:
                object_ = constraint.names[0].removeprefix("zx.ObjType.")
                if object_ not in names.ZX_OBJECTS:
                    raise FidlError(f"{node.where}: no object type is named {object_}")
            else:
                rights = self.number(constraint)
                rights = None if rights == names.SAME_RIGHTS else rights
        return Handle(object_, rights, optional)

    # ---- layouts ----

    def _new_layout(self, where: str, name: str, node: LayoutNode) -> Layout:
        if any(names.snake(name) == names.snake(other) for other in self.library.layouts):
            raise FidlError(f"{where}: two types are named {name}")
        strict = "strict" in node.modifiers
        if strict and "flexible" in node.modifiers:
            raise FidlError(f"{where}: strict or flexible, not both")
        if "resource" in node.modifiers and node.kind in ("enum", "bits"):
            raise FidlError(f"{where}: {node.kind} is never a resource")
        if node.kind in ("struct", "table") and node.modifiers & {"strict", "flexible"}:
            raise FidlError(f"{where}: {node.kind} is neither strict nor flexible")
        layout = Layout(
            node.kind, self.library.name, name, strict=strict, resource="resource" in node.modifiers)
        self.library.layouts[name] = layout
        return layout

    def _declare(self, decl: Decl) -> None:
        if decl.type is None or decl.type.layout is None:
            raise FidlError(f"{decl.where}: expected a layout; another name for a type is an alias")
        self._new_layout(decl.where, decl.name, decl.type.layout).docs = decl.docs

    def _fill(self, layout: Layout, node: LayoutNode) -> None:
        if node.base:
            base = self.type(TypeNode(node.where, node.base), "")
            if not isinstance(base, Scalar) or "int" not in base.name:
                raise FidlError(f"{node.where}: {node.base} is no integer")
            if node.kind == "bits" and base.is_signed:
                raise FidlError(f"{node.where}: bits are unsigned")
            layout.base = base
        for part in node.members:
            member = Member(part.name, ordinal=part.ordinal, docs=part.docs)
            if any(names.snake(m.name) == names.snake(member.name) for m in layout.members):
                raise FidlError(f"{part.where}: {member.name} is there twice")
            if part.type is not None:
                member.type = self.type(part.type, names.camel(part.name))
            if part.value is not None:
                value = self.value(part.value)
                self._in_range(part.where, layout.base, value)
                assert isinstance(value, int)
                member.value = value
            layout.members.append(member)
        self._check_members(layout, node)

    def _check_members(self, layout: Layout, node: LayoutNode) -> None:
        if layout.kind in ("table", "union"):
            layout.members.sort(key=lambda m: m.ordinal)
            ordinals = [m.ordinal for m in layout.members]
            if len(set(ordinals)) != len(ordinals) or (ordinals and ordinals[0] < 1):
                raise FidlError(f"{node.where}: ordinals are different and count from 1")
            if ordinals and ordinals[-1] > 64:
                raise FidlError(f"{node.where}: at most 64 ordinals")
        if layout.kind in ("union", "bits") and not layout.members:
            raise FidlError(f"{node.where}: {layout.kind} without members")
        if layout.kind == "enum" and layout.strict and not layout.members:
            raise FidlError(f"{node.where}: a strict enum without members")
        if layout.kind in ("enum", "bits"):
            values = [m.value for m in layout.members]
            if len(set(values)) != len(values):
                raise FidlError(f"{node.where}: two members with one value")
        if layout.kind == "bits" and any(m.value.bit_count() != 1 for m in layout.members):
            raise FidlError(f"{node.where}: each member is one bit")

    def _check(self, layout: Layout) -> None:
        """After all layouts are filled."""
        ref = Ref(layout.library, layout.name)
        self.universe.size_and_alignment(ref)
        if not layout.resource and self.universe.holds_handles(ref):
            raise FidlError(f"{layout.library}/{layout.name} carries handles: write resource before it")
        for member in layout.members:
            if layout.kind in ("table", "union") and _is_optional(member_type(member)):
                raise FidlError(f"{layout.library}/{layout.name}: {member.name}: absent is enough,"
                                " members of tables and unions are not optional")

    # ---- protocols ----

    def _protocol(self, decl: Decl) -> Protocol:
        protocol = Protocol(decl.name, decl.openness, docs=decl.docs)
        for node in decl.methods:
            protocol.methods.append(self._method(decl, decl.name, node))
        for name in decl.composes:
            other = self.decls.get(name)
            if other is None or other.kind != "protocol" or other.composes:
                raise FidlError(f"{decl.where}: compose {name}: no such protocol")
            # Ordinals are those of the protocol where the method is written.
            protocol.methods += [self._composed(other, node) for node in other.methods]
        ordinals = [m.ordinal for m in protocol.methods]
        if len(set(ordinals)) != len(ordinals):
            raise FidlError(f"{decl.where}: two methods with one ordinal")
        if len({names.snake(m.name) for m in protocol.methods}) != len(protocol.methods):
            raise FidlError(f"{decl.where}: two methods have one name in C")
        operations = f"{names.snake(decl.name)}_ops"
        if any(names.snake(name) == operations for name in self.library.layouts):
            raise FidlError(f"{decl.where}: a type has the name of this protocol's operations in C")
        return protocol

    def _composed(self, decl: Decl, node: MethodNode) -> Method:
        for protocol in self.library.protocols:
            for method in protocol.methods:
                if protocol.name == decl.name and method.name == node.name:
                    return method
        raise FidlError(f"{decl.where}: {decl.name} must stand before the protocol that composes it")

    def _method(self, decl: Decl, protocol: str, node: MethodNode) -> Method:
        strict = "strict" in node.modifiers
        if not node.modifiers and decl.openness == "closed":
            raise FidlError(f"{node.where}: methods of a closed protocol say strict")
        two_way = node.has_request and node.has_response
        if not strict and (decl.openness == "closed" or decl.openness == "ajar" and two_way):
            raise FidlError(f"{node.where}: flexible does not fit a protocol that is {decl.openness}")
        selector = node.attributes.get("selector", "") or node.name
        if "/" not in selector:
            selector = f"{self.library.name}/{protocol}.{selector}"
        kind = "two_way" if two_way else "one_way" if node.has_request else "event"
        method = Method(node.name, ordinal_of(selector), kind, strict, docs=node.docs)
        base = protocol + names.camel(node.name)
        if node.request is not None:
            method.request = self._body(node.request, base + "Request")
        if kind == "event" and node.response is not None:
            method.request = self._body(node.response, base + "Event")
        if kind == "two_way":
            if node.error is not None or not strict:
                method.response = self._result(node, base, strict)
            elif node.response is not None:
                method.response = self._body(node.response, base + "Response")
        return method

    def _body(self, node: TypeNode, name: str) -> Ref:
        body = self.type(node, name)
        if not isinstance(body, Ref) or body.optional:
            raise FidlError(f"{node.where}: a message is a struct, table or union")
        layout = self.universe.layout(body)
        if layout.kind not in ("struct", "table", "union"):
            raise FidlError(f"{node.where}: a message is a struct, table or union")
        return body

    def _result(self, node: MethodNode, base: str, strict: bool) -> Ref:
        """What answers a method that may fail, or that the peer may not know."""
        if node.response is not None:
            response = self._body(node.response, base + "Response")
        else:
            self.library.layouts[base + "Response"] = Layout(
                "struct", self.library.name, base + "Response")
            response = Ref(self.library.name, base + "Response")
        ref = Ref(self.library.name, base + "Result")
        result = Layout("union", self.library.name, ref.name, strict=True, generated=True)
        result.resource = self.universe.layout(response).resource
        result.members.append(Member("response", response, 1))
        if node.error is not None:
            error = self.type(node.error, base + "Error")
            is_enum = isinstance(error, Ref) and self._is_kind(error, "enum")
            if not is_enum and error not in (Scalar("int32"), Scalar("uint32")):
                raise FidlError(f"{node.where}: an error is an enum, int32 or uint32")
            result.members.append(Member("err", error, 2))
        if not strict:
            result.members.append(Member("framework_err", Ref("fidl", "FrameworkErr"), 3))
        self.library.layouts[ref.name] = result
        return ref


def _is_optional(type_: Type) -> bool:
    return isinstance(type_, Box) or bool(getattr(type_, "optional", False))


def runtime_library() -> Library:
    """Types of the language itself; the C runtime has them (fidl/types.h)."""
    members = [Member("UNKNOWN_METHOD", value=-2)]
    error = Layout("enum", "fidl", "FrameworkErr", members, True, base=Scalar("int32"))
    return Library("fidl", layouts={"FrameworkErr": error})


def resolve(universe: Universe, files: list[File]) -> Library:
    universe.libraries.setdefault("fidl", runtime_library())
    return _Resolver(universe, files).run()
