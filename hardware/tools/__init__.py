"""Tools that simulate, derive and draw what hardware/parts.toml describes."""
