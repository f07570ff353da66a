"""Where things are: the tree's root and the build folders."""

from pathlib import Path

ROOT: Path = Path(__file__).resolve().parents[2]


def out_dir(variant: str) -> Path:
    """The build folder of a variant ("release" or "debug")."""
    return ROOT / "out" / variant
