"""What a disk can look like after the power failed: QEMU's log of writes, and the images it allows."""
