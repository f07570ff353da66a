"""The parts of `./jx check`: each has `check()`, which gives one message per thing that is wrong."""
