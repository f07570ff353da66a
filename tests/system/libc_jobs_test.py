"""Job control of programs with the C library: who is in front of the terminal gets what is typed there."""

import unittest

from jx.testing.lab import SystemTest, depends_on


@depends_on("smp", "variant")
class ForegroundTest(SystemTest):
    def test_control_c_goes_to_the_group_in_front(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            console.type("libc_child lead\r")
            console.wait_text("in front: the child\n")
            console.type("\x03")
            console.wait_text("ended by signal 2\n")
            console.wait_text("in front myself\n")
            console.type("\x03")
            console.wait_text("took signal 2\n")
            console.wait_text("jacinth> ")


if __name__ == "__main__":
    unittest.main()
