"""Software from the distribution's source packages: fetched, checked, patched, compiled."""
