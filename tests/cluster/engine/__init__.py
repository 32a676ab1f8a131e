"""A private Docker engine, for Linux machines where we are root and no Docker runs.

Everything that is special about such machines lives in this package. With Docker at hand none of it runs:
`engine.ensure()` returns an empty environment and the rest of the harness takes the path that users take.
"""
