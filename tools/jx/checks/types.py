"""Every function of the Python tools says the types of its arguments and of its result."""

import ast
from pathlib import Path

from jx.tree import ROOT, tree_files

_FREE = ("self", "cls")


def untyped(source: str) -> list[tuple[int, str]]:
    """(line, function) of every function that leaves a type out."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            arguments += [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
            typed = all(a.annotation is not None or a.arg in _FREE for a in arguments)
            if not typed or node.returns is None:
                found.append((node.lineno, node.name))
    return found


def _python_files() -> list[Path]:
    return [*tree_files(".py"), ROOT / "jx"]


def check() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}() leaves out a type"
        for path in _python_files()
        for line, name in untyped(path.read_text())
    ]
