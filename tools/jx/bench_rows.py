"""The rows of the benchmark table: what is measured, what others need for it, what we aim at.

Guest instructions per operation under QEMU with -icount shift=0, one CPU, release builds, medians;
an operation is whole, user stubs included. Peers: seL4 16.0.0-dev with its fast path; Zircon of
December 2018, trace off; Linux 6.1 of Debian, the fastest of five settings.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """One row. `ours` is the bar of the first release, `goal` that of the next.

    The key is the row's number, with a letter for one more figure of it.
    """

    key: str
    name: str
    floor: str = ""
    sel4: str = ""
    zircon: str = ""
    linux: str = ""
    ours: int | None = None
    goal: int | None = None
    unit: str = ""


ROWS: tuple[Row, ...] = (
    Row("1", "cheapest system call, no handle", "25", "89", "110", "211", 90, 60),
    Row("2", "object_get_info(HANDLE_BASIC)", "", "", "~600", "", 260, 180),
    Row("3", "handle_duplicate + handle_close", "", "1,454", "1,627", "", 500, 350),
    Row("4", "clock_get_monotonic", "", "", "~157", "78", 30, 20),
    Row("5", "channel write + read, one thread, 64 B", "", "", "2,378", "3,400", 800, 500),
    Row("6", "the same, 1 KiB", "", "", "4,313", "", 1_100),
    Row("6b", "the same, 4 KiB", "", "", "~10,600", "", 1_900),
    Row("7", "64 B and one handle moved", "", "", "3,131", "6,685", 1_300, 800),
    Row("8", "channel_call round trip, 2 processes, 64 B", "~300", "1,568", "7,240", "9,715", 1_800, 1_250),
    Row("9", "the same with reply-and-wait", "~300", "1,568", "", "", 900, 450),
    Row("10", "row 8 with 1 KiB each way", "", "2,688", "11,110", "10,195", 2_300, 1_600),
    Row("11", "port_queue + port_wait, one thread", "", "", "1,898", "2,440", 800, 450),
    Row("12", "object_signal, waiter runs, other thread", "", "665", "3,034", "3,844", 900, 500),
    Row("13", "event ping-pong round trip", "", "1,998", "7,534", "7,688", 1_700, 1_200),
    Row("14", "futex ping-pong round trip, 2 threads", "", "", "2,478", "6,737", 1_200, 900),
    Row("15", "yield to another thread", "", "260", "675", "1,504", 280, 220),
    Row("16", "event_create + close", "", "1,531", "2,072", "", 800, 500),
    Row("17", "channel_create + close both", "", "", "4,907", "", 1_600, 900),
    Row("18", "vmo_create + close", "", "", "3,477", "7,464", 1_200, 700),
    Row("19", "map + touch + unmap one committed page", "", "1,293", "17,984", "15,411", 2_500, 1_800),
    Row("20", "MAP_RANGE of 256 pages, per page", "", "1,293", "1,018", "3,553", 80, 40),
    Row("21", "page fault, anonymous zero-fill", "516", "", "3,029", "2,417", 1_200, 900),
    Row("22", "page fault, page already in the VMO", "3", "1,227", "2,104", "1,296", 600, 400),
    Row("23", "page fault, copy-on-write", "516", "", "6,696", "3,027", 1_400, 1_100),
    Row("24", "SNAPSHOT of 64 MiB, not mapped", "", "", "grows", "grows", 2_000, 2_000),
    Row("24b", "SNAPSHOT of 64 MiB, mapped and touched", "", "", "grows", "grows", 6_000, 6_000),
    Row("25", "thread create + start + exit + join", "", "12,036", "39,014", "58,288", 9_000, 6_000),
    Row("26", "process create to reaped, no ELF", "", "28,583", "199,870", "129,447", 35_000, 22_000),
    Row("27", "spawn a static program, wait for exit", "", "", "1,775,537", "148,797", 170_000, 110_000),
    Row("28", "spawn a dynamic program, wait for exit", "", "", "1,775,537", "401,394", 400_000, 250_000),
    Row("29", "64 MiB cold from ext2, per 4 KiB", "~1,030", "", "", "3,162", 2_500, 1_500),
    Row("29a", "of it from the disk to memory, 1 MiB at a time"),
    Row("29b", "the same, 64 KiB at a time"),
    Row("29c", "the same, 1 MiB, into new pages each time"),
    Row("30", "the same, warm, through a stream", "513", "", "", "1,322", 900, 750),
    Row("31", "reset to the first bootfs program", "16.9 M", "", "94.0 M", "653.6 M", 32_000_000, 24_000_000),
    Row("32", "memory in use then, 1 GiB machine", "", "", "17.1 MB", "24.4 MB", 6_000_000, 3_000_000, "bytes"),
    Row("33", "kernel text", "", "60 KB", "1,009 KB", "14.3 MB", 350_000, None, "bytes"),
    Row("34", "malloc + free, 64 B"),
    Row("34b", "the same among 1,024 blocks of all sizes"),
    Row("35", "snprintf of a name and three integers"),
    Row("35b", "snprintf of a double, %.6g"),
    Row("36", "pthread_mutex_lock + unlock, nobody else"),
    Row("37", "pthread_create + join"),
    Row("38", "load of a program of 107 MB from ext2, cold: disk reads", ours=32, unit="reads"),
    Row("38a", "bytes read", linux="6.05 MB", ours=1 << 20, unit="bytes"),
    Row("38b", "memory of the process's own", ours=64 << 10, unit="bytes"),
    Row("38c", "growth of the kernel's heap", ours=128 << 10, unit="bytes"),
    Row("38d", "bytes read by the second load", ours=0, unit="bytes"),
    Row("39", "disk reads for all of it, from start to end (102 MiB)", ours=409, unit="reads"),
)  # fmt: skip


def number(key: str) -> int:
    """The number of the row that a key belongs to."""
    return int(key.rstrip("abcd"))
