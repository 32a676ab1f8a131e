"""Pure decisions: the standard library and NumPy only, `now` is always an argument, nothing here has effects."""
