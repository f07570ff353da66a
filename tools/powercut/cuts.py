"""The images that a power cut may leave, and what must be in them.

A disk may hold back what it has not been told to flush, and write it in any order. So after a cut it
has all that was written before some flush, and any part of what came after that flush and before the
next. A Cut is one such choice; images() applies them one by one.

What must be there: the guest writes files one after the other and lets each be synced before it
begins the next. Each page of file N begins with MARK and N, so that the log itself says when
the guest has begun a file: with the first such write of file N + 1, file N is on the disk for good.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from powercut.write_log import Entry

PAGE = 4096
MARK = b"JxStepNo"
_STEP = struct.Struct("<8sQ")


@dataclass(frozen=True)
class Cut:
    """All entries before `flushed`, and of those behind it `kept`."""

    flushed: int
    kept: tuple[int, ...]


def step_of(entry: Entry) -> int | None:
    """The highest file whose contents an entry has; None if there is none."""
    steps = []
    for at in range(0, len(entry.data), 512):
        if entry.data[at : at + 8] == MARK:
            steps.append(_STEP.unpack_from(entry.data, at)[1])
    return max(steps, default=None)


def page_of(step: int, page: int) -> bytes:
    """What the guest writes as a page of a file: the same on both sides (tests/user/libc/powercut.c)."""
    words = [_STEP.pack(MARK, step)]
    x = (step << 20 | page) & 0xFFFFFFFFFFFFFFFF
    for _ in range(PAGE // 8 - 2):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        words.append(x.to_bytes(8, "little"))
    return b"".join(words)


def file_of(step: int) -> bytes:
    return b"".join(page_of(step, page) for page in range(1 + step * 7 % 40))


def choose(entries: list[Entry], count: int, seed: int) -> list[Cut]:
    """`count` cuts over the whole log: after as many flushes as there are, none, all, and random parts are kept."""
    chance = random.Random(seed)
    flushes = [index for index, entry in enumerate(entries) if entry.is_flush]
    starts = [0, *(index + 1 for index in flushes)]
    ends = [*flushes, len(entries)]
    gaps = [(a, b) for a, b in zip(starts, ends, strict=True) if b > a]
    if not gaps:
        return []
    if len(gaps) > count:  # evenly, the last one too
        places = [gaps[len(gaps) - 1 - index * len(gaps) // count] for index in range(count)]
    else:
        places = gaps + chance.choices(gaps, k=count - len(gaps))
    cuts = []
    for start, end in places:
        share = chance.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        cuts.append(Cut(start, tuple(i for i in range(start, end) if chance.random() < share)))
    return cuts


def last_synced(entries: list[Entry], cut: Cut) -> int:
    """The last file that must be whole; 0: none."""
    seen = [step_of(entries[index]) for index in (*range(cut.flushed), *cut.kept)]
    return max((step for step in seen if step is not None), default=1) - 1


def images(base: bytes, entries: list[Entry], cuts: list[Cut]) -> Iterator[tuple[Cut, bytearray]]:
    """Each cut with the disk as it then is; in the order of the flushes, not of `cuts`."""
    flushed = bytearray(base)
    done = 0
    for cut in sorted(cuts, key=lambda c: c.flushed):
        for entry in entries[done : cut.flushed]:
            _apply(flushed, entry)
        done = cut.flushed
        image = bytearray(flushed)
        for index in cut.kept:
            _apply(image, entries[index])
        yield cut, image


def _apply(image: bytearray, entry: Entry) -> None:
    if entry.is_discard:
        image[entry.offset : entry.offset + entry.length] = bytes(entry.length)
    elif entry.data:
        image[entry.offset : entry.offset + len(entry.data)] = entry.data
