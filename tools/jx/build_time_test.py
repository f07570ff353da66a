"""Tests of the verdict on the build's time."""

import unittest

from jx.build_time import Spent, verdict


class VerdictTest(unittest.TestCase):
    def test_a_busy_machine_is_no_slow_build(self) -> None:
        ok, line = verdict("full build", Spent(passed_s=300.0, cpu_s=80.0), 60.0)
        self.assertTrue(ok)
        self.assertIn("26.7 s, limit 60 s: ok", line)
        self.assertFalse(verdict("x", Spent(passed_s=600.0, cpu_s=200.0), 60.0)[0])

    def test_more_cores_are_not_counted_against_it(self) -> None:
        self.assertTrue(verdict("x", Spent(passed_s=20.0, cpu_s=160.0), 60.0)[0])

    def test_an_idle_machine_gets_no_allowance(self) -> None:
        self.assertFalse(verdict("x", Spent(passed_s=65.0, cpu_s=124.0), 60.0)[0])

    def test_too_long(self) -> None:
        ok, line = verdict("full build", Spent(passed_s=70.0, cpu_s=130.0), 60.0)
        self.assertFalse(ok)
        self.assertIn("TOO LONG", line)


if __name__ == "__main__":
    unittest.main()
