// Takes the place of musl's assembly; ours is sdk/libc/system/spawn/vfork.S.
