"""Bootfs, the read-only archive in the boot image: manifests, packing, listing."""
