"""The process that runs cases of one Python test file: `python3 -m jx.testing.worker FILE NAME...`.

It tells its parent about each by a line that begins with MARK, followed by JSON.
"""

import importlib.util
import json
import sys
import traceback
import unittest
from pathlib import Path
from types import ModuleType

MARK = "\x1e"
_LIMIT_S = 120.0


class _Result(unittest.TestResult):
    """Says what happens as it happens."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        method = getattr(test, test.id().rpartition(".")[2], None)
        limit = getattr(method, "jx_limit_s", getattr(test, "jx_limit_s", _LIMIT_S))
        self._outcome, self._message, self._details = "ok", "", ""
        _tell("start", name=_name(test), limit=limit)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        _tell(self._outcome, name=_name(test), message=self._message, details=self._details)

    def addError(self, test: unittest.TestCase, err: object) -> None:
        self._fail(err)

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        self._fail(err)

    def addSubTest(
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: object
    ) -> None:
        if err is not None:
            self._fail(err, f"{subtest.id().rpartition(' ')[2]}: ")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._outcome, self._message = "skip", reason

    def addExpectedFailure(self, test: unittest.TestCase, err: object) -> None:
        pass

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._outcome, self._message = "fail", "was expected to fail and did not"

    def _fail(self, err: object, prefix: str = "") -> None:
        assert isinstance(err, tuple)
        last = traceback.format_exception_only(err[0], err[1])[-1].strip()
        self._outcome, self._message = "fail", prefix + last.partition("\n")[0]
        self._details += "".join(traceback.format_exception(*err))


def _name(test: unittest.TestCase) -> str:
    return ".".join(test.id().split(".")[-2:])


def _tell(event: str, **values: object) -> None:
    # On a line of its own even if the test has printed half of one.
    sys.stderr.flush()
    sys.stdout.write(MARK + json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def _load(path: Path) -> ModuleType:
    """Imports the file under its own name; its neighbours can be imported, too."""
    sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def main(argv: list[str]) -> int:
    module = _load(Path(argv[0]))
    suite = unittest.TestSuite()
    loader = unittest.TestLoader()
    for name in argv[1:]:
        suite.addTest(loader.loadTestsFromName(name, module))
    suite.run(_Result())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
