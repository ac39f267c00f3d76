"""The `rpmu` command: one module per subcommand, no logic of the product in any of them."""
