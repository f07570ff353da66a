"""Runs a Python test file in a process of its own, case by case, each with a time limit."""

import ast
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import IO

from jx.testing.results import FAILED, PASSED, SKIPPED, Result, matches
from jx.testing.worker import MARK
from jx.tree import ROOT

_LIMIT_S = 120.0
_OUTCOMES = {"ok": PASSED, "fail": FAILED, "skip": SKIPPED}


def title(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix(""))


def list_tests(path: Path, *, soak: bool = True) -> list[str]:
    """Names of a file's cases, `path/file.Class.test`, read from its source without running it.

    Without `soak`, those decorated with `@soak` are left out.
    """
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if not isinstance(item, ast.FunctionDef) or not item.name.startswith("test"):
                    continue
                decorators = {d.id for d in item.decorator_list if isinstance(d, ast.Name)}
                if soak or "soak" not in decorators:
                    names.append(f"{title(path)}.{node.name}.{item.name}")
    return names


def class_settings(path: Path) -> dict[str, tuple[str, ...]]:
    """What each class decorated with `@depends_on(...)` names, read from the source."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        for call in node.decorator_list if isinstance(node, ast.ClassDef) else []:
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            if call.func.id == "depends_on":
                assert isinstance(node, ast.ClassDef)
                found[node.name] = tuple(str(ast.literal_eval(word)) for word in call.args)
    return found


def selected(path: Path, patterns: list[str], kind: str, *, soak: bool = True) -> list[str]:
    return [name for name in list_tests(path, soak=soak) if matches(kind, name, patterns)]


def run_file(
    path: Path,
    kind: str,
    patterns: list[str],
    environment: dict[str, str] | None = None,
    *,
    soak: bool = True,
    left_out: Collection[str] = (),
) -> tuple[float, list[Result]]:
    """When it began, and the results. A case that hangs or kills the process fails, others go on.

    `left_out`: classes that are not run.
    """
    started = time.monotonic()
    open_names = selected(path, patterns, kind, soak=soak)
    open_names = [name for name in open_names if name.split(".")[-2] not in left_out]
    results: list[Result] = []
    while open_names:
        got = _Worker(path, kind, open_names, environment or {}).run()
        results += got
        finished = {result.name for result in got}
        rest = [name for name in open_names if name not in finished]
        if len(rest) == len(open_names):
            break
        open_names = rest
    return started, results


class _Worker:
    """One process that runs the named cases; ends at the first that hangs or kills it."""

    def __init__(
        self, path: Path, kind: str, names: list[str], environment: dict[str, str]
    ) -> None:
        self._path = path
        self._kind = kind
        self._names = names
        self._environment = environment
        self._results: list[Result] = []
        self._output = ""
        self._current: str | None = None
        self._since = time.monotonic()
        self._limit = _LIMIT_S

    def run(self) -> list[Result]:
        prefix = f"{title(self._path)}."
        names = [name.removeprefix(prefix) for name in self._names]
        command = [sys.executable, "-B", "-m", "jx.testing.worker", str(self._path), *names]
        environment = dict(os.environ, PYTHONPATH=str(ROOT / "tools"), **self._environment)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            ended = self._follow(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._current is not None:
            how = f"its process ended with code {process.returncode}"
            hung = f"hung: no result within {self._limit:g} s of its start"
            self._finish(FAILED, how if ended else hung)
        elif not self._results:
            message = f"no case ran; exit code {process.returncode}"
            name = title(self._path)
            self._results.append(Result(self._kind, name, FAILED, 0.0, message, self._output))
        return self._results

    def _follow(self, process: subprocess.Popen[bytes]) -> bool:
        """True if the process ended by itself, False at a time limit."""
        lines: queue.Queue[bytes | None] = queue.Queue()
        assert process.stdout is not None
        threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=max(0.0, self._since + self._limit - time.monotonic()))
            except queue.Empty:
                return False
            if line is None:
                return True
            self._line(line.decode("utf-8", "replace"))

    def _line(self, line: str) -> None:
        text, mark, message = line.partition(MARK)
        self._output += text
        if not mark:
            return
        event = json.loads(message)
        if event["event"] == "start":
            self._current = f"{title(self._path)}.{event['name']}"
            self._since, self._limit, self._output = time.monotonic(), event["limit"], ""
        else:
            self._output += event["details"]
            self._finish(_OUTCOMES[event["event"]], event["message"])

    def _finish(self, outcome: str, message: str) -> None:
        assert self._current is not None
        seconds = time.monotonic() - self._since
        result = Result(self._kind, self._current, outcome, seconds, message, self._output)
        self._results.append(result)
        self._current, self._output = None, ""
        self._since, self._limit = time.monotonic(), _LIMIT_S


def _read_lines(stream: IO[bytes], lines: "queue.Queue[bytes | None]") -> None:
    """Passes lines on; None at the end."""
    for line in stream:
        lines.put(line)
    lines.put(None)
