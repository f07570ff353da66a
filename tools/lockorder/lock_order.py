#!/usr/bin/env python3
"""Turns kernel/locking/lock_order.def into the C enum, the checker's table and a page of documentation."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

KINDS = ("mutex", "spin", "irq")
RULES = ("none", "address", "parent")


class DefinitionError(Exception):
    """The definition file is wrong; the message names file and line."""


@dataclass(frozen=True)
class LockClass:
    """One line of the file. Its rank is its place."""

    name: str
    kind: str
    rule: str
    protects: str


def parse(text: str, origin: str) -> list[LockClass]:
    """Reads the table; every mistake is an error with its line number."""
    classes: list[LockClass] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 4 or not all(fields):
            raise DefinitionError(f"{origin}:{number}: want `name | kind | rule | protects`")
        name, kind, rule, protects = fields
        if not name.isidentifier() or name != name.upper():
            raise DefinitionError(f"{origin}:{number}: bad name {name}")
        if kind not in KINDS:
            raise DefinitionError(f"{origin}:{number}: kind is one of {', '.join(KINDS)}")
        if rule not in RULES:
            raise DefinitionError(f"{origin}:{number}: rule is one of {', '.join(RULES)}")
        if any(c.name == name for c in classes):
            raise DefinitionError(f"{origin}:{number}: {name} is there twice")
        if kind == "mutex" and any(c.kind != "mutex" for c in classes):
            raise DefinitionError(f"{origin}:{number}: {name} sleeps and stands below a spinlock")
        classes.append(LockClass(name, kind, rule, protects))
    if not classes:
        raise DefinitionError(f"{origin}: no lock in it")
    return classes


def header(classes: list[LockClass]) -> str:
    """The enum, in rank order."""
    lines = [
        "// Made from kernel/locking/lock_order.def. The value of a class is its rank.",
        "#pragma once",
        "",
        "#include <stdint.h>",
        "",
        "enum lock_class : uint32_t {",
    ]
    lines += [f"    LOCK_CLASS_{c.name}, // {c.kind}: {c.protects}" for c in classes]
    lines += ["    LOCK_CLASS_COUNT,", "};", ""]
    return "\n".join(lines)


def table(classes: list[LockClass]) -> str:
    """What the run-time checker knows about each class."""
    lines = [
        "// Made from kernel/locking/lock_order.def.",
        "#include <locking/lock_check.h>",
        "",
        "const struct lock_class_info lock_class_table[LOCK_CLASS_COUNT] = {",
    ]
    for c in classes:
        lines.append(
            f'    [LOCK_CLASS_{c.name}] = {{"{c.name}", LOCK_KIND_{c.kind.upper()}, '
            f"LOCK_SAME_{c.rule.upper()}}},"
        )
    lines += ["};", ""]
    return "\n".join(lines)


def page(classes: list[LockClass]) -> str:
    """docs: the order, for people."""
    lines = [
        "# Lock order",
        "",
        "A lock may be taken only while every lock already held stands above it in this table.",
        "Kinds: *mutex* sleeps; *spin* disables preemption and is never taken with interrupts off;",
        "*irq* disables interrupts too and may be taken in interrupt context.",
        "",
        "| rank | lock | kind | two of the same class | protects |",
        "|---|---|---|---|---|",
    ]
    rules = {"none": "never", "address": "lower address first", "parent": "parent first"}
    for rank, c in enumerate(classes):
        lines.append(f"| {rank} | `{c.name}` | {c.kind} | {rules[c.rule]} | {c.protects} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Writes the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("definition", type=Path)
    parser.add_argument("--header", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--page", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        classes = parse(args.definition.read_text(), str(args.definition))
    except DefinitionError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in (
        (args.header, header(classes)),
        (args.table, table(classes)),
        (args.page, page(classes)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
