"""Tests of the names in the C library, and of the library itself where it has been built."""

import subprocess
import unittest

from jx.tree import out_dir

from thirdparty import sysroot


class RenameTest(unittest.TestCase):
    def test_ours_become_reserved(self) -> None:
        system = {"fd_close", "sys_read", "__jx_syscall", "zx_process_self", "memcpy", "vfork"}
        self.assertEqual(
            sysroot.renamed(system, {"memcpy", "read"}),
            {"fd_close": "__jx_fd_close", "sys_read": "__jx_sys_read"},
        )


@unittest.skipUnless((out_dir("release") / "sysroot/lib/libc.a").is_file(), "not built")
class LibraryTest(unittest.TestCase):
    def test_no_name_of_ours_is_left(self) -> None:
        archive = out_dir("release") / "sysroot" / "lib" / "libc.a"
        command = ["llvm-nm-19", "-g", "--defined-only", "-j", str(archive)]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        names = {word for word in listing.split() if not word.endswith(":")}
        self.assertIn("__jx_sys_mmap", names)
        self.assertIn("zx_take_startup_handle", names)
        left = [name for name in names if name.startswith(("sys_", "fd_", "thread_", "libc_"))]
        self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main()
