"""What `./jx` is made of: one module per subcommand, and the parts they share."""
