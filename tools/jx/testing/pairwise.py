"""Chooses the machines of the smoke test: few, but every pair of settings occurs in one of them."""

from itertools import combinations, product

from jx.machine import Settings

# Setting -> its values, in the order of the combinations' names.
_AXES: dict[str, tuple[object, ...]] = {
    "smp": (1, 4, 8),
    "uefi": (False, True),
    "machine": ("q35", "pc"),
    "variant": ("release", "debug"),
}

_Row = tuple[object, ...]


def all_machines(base: Settings) -> list[Settings]:
    """Every combination: the matrix."""
    return [_settings(base, row) for row in product(*_AXES.values())]


def smoke_machines(base: Settings, count: int = 8) -> list[Settings]:
    """`count` combinations other than the one of `base`, which cover every pair between them."""
    rows = list(product(*_AXES.values()))
    own = tuple(getattr(base, axis) for axis in _AXES)
    candidates = [row for row in rows if row != own]
    open_pairs = {pair for row in rows for pair in _pairs(row)}
    chosen: list[_Row] = []
    while len(chosen) < count:
        # The first of those that close the most open pairs: the choice is the same every time.
        best = max(candidates, key=lambda row: len(_pairs(row) & open_pairs))
        candidates.remove(best)
        open_pairs -= _pairs(best)
        chosen.append(best)
    return [_settings(base, row) for row in chosen]


def _pairs(row: _Row) -> set[tuple[tuple[int, object], ...]]:
    return set(combinations(enumerate(row), 2))


def _settings(base: Settings, row: _Row) -> Settings:
    return base.with_changes(**dict(zip(_AXES, row)))
