"""Clients and servers: functions that call and answer, tables of operations, and what finds the operation
of a message. All of it is thin: the work is in sdk/lib/fidl."""

from __future__ import annotations

from fidlgen import names
from fidlgen.ctext import Naming, prefix, tag, wrapped
from fidlgen.model import Library, Method, Protocol, Ref, Scalar, Universe, member_type


class Glue:
    """How a method is called: what client functions, operations and replies agree on."""

    def __init__(self, universe: Universe, method: Method, base: str) -> None:
        self.method, self.base = method, base
        self.request = f"struct {tag(method.request)}*" if method.request else ""
        body, self.error = method.response, ""
        self.has_result = body is not None and _is_result(universe, body)
        # Errors that are statuses are returned as such; of others the client gets the union.
        self.folds = False
        if body is not None and self.has_result:
            members = {m.name: member_type(m) for m in universe.layout(body).members}
            if "err" in members:
                self.error = Naming(universe, universe.libraries[body.library]).base(members["err"])
            self.folds = "err" not in members or members["err"] == Scalar("int32")
            inner = members["response"]
            assert isinstance(inner, Ref)
            self.result, body = f"struct {tag(body)}*", inner
            if not universe.layout(inner).members and universe.layout(inner).kind == "struct":
                body = None
        self.response = f"struct {tag(body)}*" if body else ""
        self.answer = self.response if self.folds or not self.has_result else self.result

    def send(self) -> str:
        arguments = ["zx_handle_t channel", "struct fidl_storage storage"]
        arguments += [f"{self.request} body"] if self.request else []
        body = "body" if self.request else "nullptr"
        return (wrapped(f"static inline zx_status_t {self.base}_send", arguments, " {") + "\n"
                + wrapped("    return fidl_send",
                          ["channel", f"&{self.base}_method", "storage", body], ";") + "\n}\n\n")

    def call(self) -> str:
        arguments = ["zx_handle_t channel", "zx_time_t deadline"]
        arguments += [f"{self.request} request"] if self.request else []
        arguments += ["struct fidl_storage storage"]
        arguments += [f"{self.answer}* out"] if self.answer else []
        call = "fidl_call_result" if self.folds else "fidl_call"
        text = wrapped(f"static inline zx_status_t {self.base}_call", arguments, " {") + "\n"
        text += "    void* body = nullptr;\n"
        text += wrapped(f"    {'zx_status_t status =' if self.answer else 'return'} {call}",
                        ["channel", "deadline", f"&{self.base}_method",
                         "request" if self.request else "nullptr", "storage", "&body"], ";") + "\n"
        if self.answer:
            text += ("    if (status == ZX_OK) {\n        *out = body;\n    }\n"
                     "    return status;\n")
        return text + "}\n\n"

    def replies(self) -> str:
        arguments = ["struct fidl_txn* txn"]
        arguments += [f"{self.response} response"] if self.response else []
        name = "fidl_reply_response" if self.has_result else "fidl_reply"
        body = "response" if self.response else "&empty" if self.has_result else "nullptr"
        text = wrapped(f"static inline zx_status_t {self.base}_reply", arguments, " {") + "\n"
        if body == "&empty":
            text += "    uint8_t empty = 0;\n"
        text += f"    return {name}(txn, {body});\n}}\n\n"
        if self.error:
            text += wrapped(f"static inline zx_status_t {self.base}_reply_error",
                            ["struct fidl_txn* txn", f"{self.error} error"], " {") + "\n"
            text += "    return fidl_reply_error(txn, (uint32_t)error);\n}\n\n"
        return text

    def operation(self) -> str:
        """A slot of the server's operations."""
        arguments = ["void* ctx"]
        arguments += [f"{self.request} request"] if self.request else []
        arguments += ["struct fidl_txn* txn"] if self.method.kind == "two_way" else []
        return wrapped(f"    zx_status_t (*{names.member(self.method.name)})", arguments, ";") + "\n"


def _is_result(universe: Universe, ref: Ref) -> bool:
    layout = universe.layout(ref)
    return layout.kind == "union" and layout.name.endswith("Result") and layout.generated


def operations(universe: Universe, base: str, protocol: Protocol) -> str:
    served = [m for m in protocol.methods if m.kind != "event"]
    if not served:
        return ""
    text = ("// What a server does; every slot is filled. A status that is not OK ends the connection.\n"
            f"struct {base}_ops {{\n")
    for method in served:
        text += Glue(universe, method, f"{base}_{names.snake(method.name)}").operation()
    text += "};\n\n"
    return text + wrapped(f"zx_status_t {base}_dispatch", _dispatch_arguments(base), ";") + "\n\n"


def _dispatch_arguments(base: str) -> list[str]:
    return [f"const struct {base}_ops* ops", "void* ctx", "zx_handle_t channel",
            "struct fidl_message* message", "struct fidl_storage storage"]


_KINDS = {"one_way": "FIDL_ONE_WAY", "two_way": "FIDL_TWO_WAY", "event": "FIDL_EVENT"}


def _method(method: Method, base: str) -> str:
    values = [f".ordinal = {base.upper()}_ORDINAL", f".kind = {_KINDS[method.kind]}"]
    values += [] if method.strict else [".flags = FIDL_FLEXIBLE"]
    values += [f".request = &{tag(method.request)}_type"] if method.request else []
    values += [f".response = &{tag(method.response)}_type"] if method.response else []
    lines = "".join(f"    {value},\n" for value in values)
    return f"const struct fidl_method {base}_method = {{\n{lines}}};\n\n"


def definitions(library: Library, protocol: Protocol) -> str:
    """The methods, the table of them, and the function that finds the operation of a message."""
    base = f"{prefix(library.name)}_{names.snake(protocol.name)}"
    called = [(m, f"{base}_{names.snake(m.name)}") for m in protocol.methods]
    text = "".join(_method(method, name) for method, name in called)
    served = [(m, name) for m, name in called if m.kind != "event"]
    if not served:
        return text
    lines = "".join(f"    &{name}_method,\n" for _, name in served)
    text += f"static const struct fidl_method* const {base}_methods[] = {{\n{lines}}};\n\n"
    text += (f"static const struct fidl_protocol {base}_protocol = {{\n"
             f"    .openness = FIDL_{protocol.openness.upper()},\n    .count = {len(served)},\n"
             f"    .methods = {base}_methods,\n}};\n\n")
    text += wrapped(f"zx_status_t {base}_dispatch", _dispatch_arguments(base), " {")
    text += (f"""
    struct fidl_txn txn = {{.channel = channel, .storage = storage}};
    uint32_t index;
    zx_status_t status = fidl_dispatch_begin(&{base}_protocol, message, &txn, &index);
    if (status != ZX_OK) {{
        return status == ZX_ERR_SHOULD_WAIT ? ZX_OK : status; // nothing to handle
    }}
    const struct fidl_method* method = txn.method;
    switch (index) {{
""")
    for index, (method, _) in enumerate(served):
        arguments = ["ctx"] + (["message->body"] if method.request else [])
        arguments += ["&txn"] if method.kind == "two_way" else []
        text += (f"    case {index}:\n        status = ops->{names.member(method.name)}"
                 f"({', '.join(arguments)});\n        break;\n")
    return text + "    }\n    return fidl_dispatch_end(message, method, status);\n}\n\n"
