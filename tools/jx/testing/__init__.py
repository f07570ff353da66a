"""`./jx test`: one module per kind of test, and what they share."""
