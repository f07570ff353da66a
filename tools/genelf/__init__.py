"""Generators of ELF files for tests: very large programs and malformed ones."""
