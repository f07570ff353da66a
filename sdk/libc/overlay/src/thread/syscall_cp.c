// Takes the place of musl's assembly, which a signal handler looks at; ours is in pthread_cancel.c.
