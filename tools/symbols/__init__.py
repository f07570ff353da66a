"""Names of functions for the machine itself: read from ELF files, written as one compact file."""
