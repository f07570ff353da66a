"""Tests on the build machine: cmocka programs, short fuzzer runs, and the Python tools' own tests."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from jx.testing import python
from jx.testing.results import FAILED, PASSED, SKIPPED, Report, Result, matches
from jx.tree import ROOT, out_dir, tree_files

KIND = "host"
_FUZZ_S, _FUZZ_SOAK_S = 3, 60
# A program that does more in a soak (JX_SOAK=1) may take so many of its time limits.
_SOAK_FACTOR = 20
_RUN = re.compile(r"^\[ RUN      \] (.*)$")
_ENDED = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (.*)$")
_OUTCOMES = {"OK": PASSED, "FAILED": FAILED, "SKIPPED": SKIPPED}


@dataclass(frozen=True)
class Program:
    """One host program, as //:host_tests_list describes it."""

    kind: str
    label: str
    path: str
    args: tuple[str, ...]
    timeout_s: int
    corpus: str

    @property
    def name(self) -> str:
        return self.label.removeprefix("//")


def load_programs(variant: str) -> list[Program]:
    entries = json.loads((out_dir(variant) / "host_tests.json").read_text())
    programs = [
        Program(e["kind"], e["label"], e["path"], tuple(e["args"]), e["timeout_s"],
                e.get("corpus", ""))
        for e in entries
    ]  # fmt: skip
    return sorted(programs, key=lambda program: program.name)


def python_files() -> list[Path]:
    """The Python tools' test files: all of the tree but those that boot systems."""
    boots = ROOT / "tests" / "system"
    return [path for path in tree_files("_test.py") if not path.is_relative_to(boots)]


def list_tests(variant: str) -> list[str]:
    names = [program.name for program in load_programs(variant)]
    return names + [name for path in python_files() for name in python.list_tests(path)]


def run(variant: str, patterns: list[str], report: Report, *, soak: bool = False) -> None:
    """Programs run side by side, one per CPU; the report is written by this thread only."""
    programs = load_programs(variant)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = {}
        for program in programs:
            # A pattern may name a case of a program: then the program runs, and others' cases count.
            if matches(KIND, program.name, [p.rpartition(".")[0] or p for p in patterns]):
                jobs[pool.submit(_run_program, out_dir(variant), program, soak)] = program.name
        for path in python_files():
            if python.selected(path, patterns, KIND):
                jobs[pool.submit(python.run_file, path, KIND, patterns)] = python.title(path)
        for job in as_completed(jobs):
            started, results = job.result()
            chosen = [r for r in results if r.outcome == FAILED or matches(KIND, r.name, patterns)]
            for result in chosen:
                report.add(result)
            if chosen:
                report.group_done(f"host {jobs[job]}", chosen, started)


def _run_program(out: Path, program: Program, soak: bool) -> tuple[float, list[Result]]:
    started = time.monotonic()
    if program.kind == "fuzzer":
        return started, [_run_fuzzer(out, program, _FUZZ_SOAK_S if soak else _FUZZ_S)]
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT", JX_SOAK="1" if soak else "0")
    limit = program.timeout_s * (_SOAK_FACTOR if soak else 1)
    code, output = run_limited([str(out / program.path), *program.args], limit, environment)
    return started, parse_cmocka(program, code, output, time.monotonic() - started)


def parse_cmocka(
    program: Program, code: int | None, output: str, seconds: float
) -> list[Result]:
    """The cases of a program's output. `code` is None if it was stopped at its time limit."""
    results: list[Result] = []
    for name, outcome, text in _cases(output):
        message = ""
        if outcome is None:
            outcome, message = FAILED, _how_it_died(code, program.timeout_s)
        elif outcome == FAILED:
            message = next((t for t in text if "error" in t.lower()), "failed").strip("[ -")
        elif outcome == SKIPPED:
            message = "skipped by itself"
        results.append(
            Result(KIND, f"{program.name}.{name}", outcome, 0.0, message, "\n".join(text))
        )
    if code != 0 and not any(result.outcome == FAILED for result in results):
        message = _how_it_died(code, program.timeout_s)
        results.append(Result(KIND, program.name, FAILED, seconds, message, output))
    if not results:
        message = "it ran no test at all"
        results.append(Result(KIND, program.name, FAILED, seconds, message, output))
    return results


def _cases(output: str) -> Iterator[tuple[str, str | None, list[str]]]:
    """(name, outcome or None if it never ended, lines between)."""
    current: str | None = None
    lines: list[str] = []
    for line in output.splitlines():
        begun, ended = _RUN.match(line), _ENDED.match(line)
        if begun is not None:
            if current is not None:
                yield current, None, lines
            current, lines = begun.group(1), []
        elif ended is not None and ended.group(2) == current:
            yield current, _OUTCOMES[ended.group(1)], lines
            current, lines = None, []
        else:
            lines.append(line)
    if current is not None:
        yield current, None, lines


def _how_it_died(code: int | None, timeout_s: int) -> str:
    if code is None:
        return f"hung: the program had not ended after {timeout_s} s"
    if code < 0:
        return f"the program was killed by {signal.Signals(-code).name}"
    return f"the program ended with exit code {code}"


def _run_fuzzer(out: Path, program: Program, seconds: int) -> Result:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jx-fuzz-") as folder:
        command = [str(out / program.path), *program.args, "-seed=1", f"-max_total_time={seconds}"]
        command += [f"-artifact_prefix={folder}/", "-print_final_stats=0", f"{folder}"]
        if program.corpus:
            command.append(str(ROOT / program.corpus))
        code, output = run_limited(command, seconds + program.timeout_s, dict(os.environ))
        crashes = [p for p in Path(folder).iterdir() if p.name.startswith(("crash", "leak", "timeout"))]
        for path in crashes:
            output += f"\n{path.name}: {path.read_bytes()[:512].hex()}"
    outcome = PASSED if code == 0 else FAILED
    message = "" if code == 0 else _how_it_died(code, program.timeout_s)
    return Result(KIND, program.name, outcome, time.monotonic() - started, message, output)


def run_limited(
    command: list[str], seconds: float, environment: dict[str, str], cwd: Path = ROOT
) -> tuple[int | None, str]:
    """Exit code (None at the time limit) and all output; the whole process group ends with it."""
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=seconds)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            code = None
    return code, output.decode("utf-8", "replace")
