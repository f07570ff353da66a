"""Tests of pairwise.py."""

import unittest
from itertools import combinations

from jx.machine import Settings
from jx.testing.pairwise import all_machines, smoke_machines

_AXES = ("smp", "uefi", "machine", "variant")


def _pairs(machines: list[Settings]) -> set[tuple[object, ...]]:
    return {
        (a, getattr(one, a), b, getattr(one, b))
        for one in machines
        for a, b in combinations(_AXES, 2)
    }


class PairwiseTest(unittest.TestCase):
    def test_matrix_is_every_combination_once(self) -> None:
        machines = all_machines(Settings())
        self.assertEqual(len(machines), 24)
        self.assertEqual(len(set(machines)), 24)

    def test_eight_others_cover_every_pair(self) -> None:
        base = Settings()
        machines = smoke_machines(base)
        self.assertEqual(len(set(machines)), 8)
        self.assertNotIn(base, machines)
        self.assertEqual(_pairs(machines), _pairs(all_machines(base)))

    def test_same_choice_every_time_and_other_settings_stay(self) -> None:
        base = Settings(mem="64M")
        self.assertEqual(smoke_machines(base), smoke_machines(base))
        self.assertTrue(all(one.mem == "64M" for one in smoke_machines(base)))

    def test_one_of_them_may_be_the_base(self) -> None:
        base = Settings(smp=1)
        self.assertNotIn(base, smoke_machines(base))


if __name__ == "__main__":
    unittest.main()
