"""Tests of the lock-order generator."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import lock_order  # noqa: E402

GOOD = "# c\nA | mutex | none | a thing\nB | spin | address | b thing\nC | irq | none | c thing\n"


class LockOrderTest(unittest.TestCase):
    """One case per rule of the notation."""

    def test_rank_is_place(self) -> None:
        classes = lock_order.parse(GOOD, "x")
        self.assertEqual([c.name for c in classes], ["A", "B", "C"])
        text = lock_order.header(classes)
        self.assertLess(text.index("LOCK_CLASS_A"), text.index("LOCK_CLASS_B"))

    def test_table_and_page_name_every_class(self) -> None:
        classes = lock_order.parse(GOOD, "x")
        self.assertIn('[LOCK_CLASS_B] = {"B", LOCK_KIND_SPIN, LOCK_SAME_ADDRESS}', lock_order.table(classes))
        self.assertIn("| 2 | `C` | irq | never | c thing |", lock_order.page(classes))

    def test_errors_name_the_line(self) -> None:
        for bad in ("A | spin | none", "a | spin | none | x", "A | foo | none | x", "A | spin | foo | x"):
            with self.assertRaisesRegex(lock_order.DefinitionError, "x:2"):
                lock_order.parse("#\n" + bad, "x")

    def test_duplicates_and_sleeping_below_spinning(self) -> None:
        for bad in (GOOD + "A | spin | none | again", GOOD + "D | mutex | none | late"):
            with self.assertRaises(lock_order.DefinitionError):
                lock_order.parse(bad, "x")

    def test_empty(self) -> None:
        with self.assertRaises(lock_order.DefinitionError):
            lock_order.parse("# nothing\n", "x")


if __name__ == "__main__":
    unittest.main()
