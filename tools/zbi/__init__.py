"""The boot image container: packing and reading."""
