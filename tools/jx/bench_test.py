"""Tests of the benchmark table."""

import json
import unittest

from jx import bench
from jx.bench_rows import ROWS, number


class BenchTest(unittest.TestCase):
    def test_rows_are_in_order_and_all_there(self) -> None:
        keys = [row.key for row in ROWS]
        self.assertEqual(len(set(keys)), len(keys))
        self.assertEqual(sorted({number(key) for key in keys}), list(range(1, 40)))
        self.assertEqual([number(key) for key in keys], sorted(number(key) for key in keys))
        self.assertTrue(all(row.goal is None or row.goal <= (row.ours or 0) for row in ROWS))

    def test_table_marks_what_is_above_its_bar(self) -> None:
        lines = bench.table({"1": 91, "2": 260}).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[1].endswith("91  !"), lines[1])
        self.assertFalse(lines[2].endswith("!"), lines[2])

    def test_json(self) -> None:
        entries = json.loads(bench.to_json({"24": 4, "24b": 5, "33": 7}))
        self.assertEqual([(entry["row"], entry["instructions"]) for entry in entries], [(24, 4), ("24b", 5), (33, 7)])
        self.assertNotIn("unit", entries[1])
        self.assertEqual(entries[2]["unit"], "bytes")

    def test_text_by_folder(self) -> None:
        text = (
            "             VMA              LMA     Size Align Out     In      Symbol\n"
            "          101000           101000      1f0    16 .text\n"
            "          101000           101000      100    16         kernel/obj/kernel/lib/lib.fmt.o:(.text.f)\n"
            "          101100           101100       f0    16         kernel/obj/vm/vmo/vmo.a.o:(.text.g)\n"
            "          101100           101100       f0     1                 g\n"
            "          102000           102000       10     1         kernel/obj/vm/vmo/vmo.a.o:(.data)\n"
        )
        self.assertEqual(bench.text_by_folder(text), {"kernel/lib": 0x100, "vm": 0xF0})


if __name__ == "__main__":
    unittest.main()
