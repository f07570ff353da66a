"""The grammar: tokens to a tree in which names are still text. Its meaning is resolve.py's business."""

from __future__ import annotations

from dataclasses import dataclass, field

from fidlgen.lexer import Token, tokens
from fidlgen.model import FidlError


@dataclass
class Value:
    """A literal, or names joined by `|`."""

    where: str
    literal: int | float | str | bool | None = None
    names: list[str] = field(default_factory=list)


@dataclass
class TypeNode:
    """`name<parameters>:<constraints>`, or a layout in place."""

    where: str
    name: str
    parameters: list[TypeNode | Value] = field(default_factory=list)
    constraints: list[Value] = field(default_factory=list)
    layout: LayoutNode | None = None


@dataclass
class MemberNode:
    where: str
    name: str
    docs: list[str]
    type: TypeNode | None = None
    ordinal: int = 0
    value: Value | None = None


@dataclass
class LayoutNode:
    where: str
    kind: str
    modifiers: set[str]
    base: str = ""
    members: list[MemberNode] = field(default_factory=list)


@dataclass
class MethodNode:
    where: str
    name: str
    docs: list[str]
    attributes: dict[str, str]
    modifiers: set[str]
    request: TypeNode | None = None
    has_request: bool = False
    response: TypeNode | None = None
    has_response: bool = False
    error: TypeNode | None = None


@dataclass
class Decl:
    """const, type, alias or protocol."""

    where: str
    kind: str
    name: str
    docs: list[str]
    attributes: dict[str, str]
    type: TypeNode | None = None
    value: Value | None = None
    openness: str = "open"
    methods: list[MethodNode] = field(default_factory=list)
    composes: list[str] = field(default_factory=list)


@dataclass
class File:
    library: str
    uses: dict[str, str] = field(default_factory=dict)  # local name -> library
    decls: list[Decl] = field(default_factory=list)
    docs: list[str] = field(default_factory=list)


_LAYOUTS = ("struct", "table", "union", "enum", "bits")
_MODIFIERS = ("strict", "flexible", "resource")
_OPENNESS = ("open", "ajar", "closed")


class Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, name: str, text: str) -> None:
        self._tokens = tokens(name, text)
        self._at = 0

    # ---- tokens ----

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _fail(self, text: str) -> FidlError:
        return FidlError(f"{self._next.where}: {text}, not {self._next.text or 'the end'!r}")

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _accept(self, text: str) -> bool:
        found = self._next.text == text and self._next.kind in ("symbol", "name")
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._fail(f"expected {text!r}")

    def _name(self) -> str:
        if self._next.kind != "name" or self._next.text.startswith("@"):
            raise self._fail("expected a name")
        return self._take().text

    def _dotted(self) -> str:
        parts = [self._name()]
        while self._accept("."):
            parts.append(self._name())
        return ".".join(parts)

    def _leading(self) -> tuple[list[str], dict[str, str]]:
        """Documentation and attributes."""
        docs: list[str] = []
        attributes: dict[str, str] = {}
        while self._next.kind == "doc" or self._next.text.startswith("@"):
            token = self._take()
            if token.kind == "doc":
                docs.append(token.text[3:].strip())
                continue
            attributes[token.text[1:]] = ""
            if self._accept("("):
                while not self._accept(")"):
                    argument = self._take()
                    if argument.kind == "end":
                        raise self._fail("expected )")
                    if argument.kind == "string":
                        attributes[token.text[1:]] = argument.text[1:-1]
        return docs, attributes

    # ---- declarations ----

    def file(self) -> File:
        docs, _ = self._leading()
        self._expect("library")
        result = File(self._dotted(), docs=docs)
        self._expect(";")
        while self._accept("using"):
            library = self._dotted()
            local = self._name() if self._accept("as") else library
            result.uses[local] = library
            self._expect(";")
        while self._next.kind != "end":
            result.decls.append(self._decl())
        return result

    def _decl(self) -> Decl:
        docs, attributes = self._leading()
        where = self._next.where
        openness = next((o for o in _OPENNESS if self._accept(o)), "open")
        if self._accept("protocol"):
            decl = Decl(where, "protocol", self._name(), docs, attributes, openness=openness)
            self._protocol(decl)
        elif self._accept("const"):
            decl = Decl(where, "const", self._name(), docs, attributes, type=self._type())
            self._expect("=")
            decl.value = self._value()
        elif self._next.text in ("type", "alias"):
            kind = self._take().text
            decl = Decl(where, kind, self._name(), docs, attributes)
            self._expect("=")
            decl.type = self._type()
        else:
            raise self._fail("expected const, type, alias or protocol")
        self._expect(";")
        return decl

    def _protocol(self, decl: Decl) -> None:
        self._expect("{")
        while not self._accept("}"):
            docs, attributes = self._leading()
            if self._accept("compose"):
                decl.composes.append(self._dotted())
            else:
                decl.methods.append(self._method(docs, attributes))
            self._expect(";")

    def _method(self, docs: list[str], attributes: dict[str, str]) -> MethodNode:
        where = self._next.where
        modifiers = self._modifiers()
        is_event = self._accept("->")
        method = MethodNode(where, self._name(), docs, attributes, modifiers)
        if is_event:
            method.response, method.has_response = self._payload(), True
            return method
        method.request, method.has_request = self._payload(), True
        if self._accept("->"):
            method.response, method.has_response = self._payload(), True
            if self._accept("error"):
                method.error = self._type()
        return method

    def _payload(self) -> TypeNode | None:
        self._expect("(")
        if self._accept(")"):
            return None
        payload = self._type()
        self._expect(")")
        return payload

    # ---- types and values ----

    def _modifiers(self) -> set[str]:
        found: set[str] = set()
        while self._next.text in _MODIFIERS:
            found.add(self._take().text)
        return found

    def _type(self) -> TypeNode:
        where = self._next.where
        modifiers = self._modifiers()
        if self._next.text in _LAYOUTS:
            node = TypeNode(where, "", layout=self._layout(modifiers))
        elif modifiers:
            raise self._fail("expected a layout")
        else:
            node = TypeNode(where, self._dotted())
        if self._accept("<"):
            while not self._accept(">"):
                literal = self._next.kind == "number"
                node.parameters.append(self._value() if literal else self._type())
                if not self._accept(",") and self._next.text != ">":
                    raise self._fail("expected , or >")
        if self._accept(":"):
            if self._accept("<"):
                while not self._accept(">"):
                    node.constraints.append(self._value())
                    if not self._accept(",") and self._next.text != ">":
                        raise self._fail("expected , or >")
            else:
                node.constraints.append(self._value())
        return node

    def _layout(self, modifiers: set[str]) -> LayoutNode:
        layout = LayoutNode(self._next.where, self._take().text, modifiers)
        if self._accept(":"):
            layout.base = self._dotted()
        self._expect("{")
        while not self._accept("}"):
            docs, _ = self._leading()
            layout.members.append(self._member(layout.kind, docs))
            self._expect(";")
        return layout

    def _member(self, kind: str, docs: list[str]) -> MemberNode:
        member = MemberNode(self._next.where, "", docs)
        if kind in ("table", "union"):
            if self._next.kind != "number":
                raise self._fail("expected an ordinal")
            member.ordinal = int(self._take().text, 0)
            self._expect(":")
        member.name = self._name()
        if kind in ("enum", "bits"):
            self._expect("=")
            member.value = self._value()
        else:
            member.type = self._type()
        return member

    def _value(self) -> Value:
        token = self._next
        if token.kind == "number":
            self._take()
            text = token.text.replace("_", "")
            return Value(token.where, float(text) if "." in text else int(text, 0))
        if token.kind == "string":
            self._take()
            return Value(token.where, token.text[1:-1])
        if token.text in ("true", "false"):
            self._take()
            return Value(token.where, token.text == "true")
        value = Value(token.where, names=[self._dotted()])
        while self._accept("|"):
            value.names.append(self._dotted())
        return value


def parse(name: str, text: str) -> File:
    return Parser(name, text).file()
