"""The same decisions as the operator's, on recorded or made-up clusters: only `core` and NumPy are needed."""
