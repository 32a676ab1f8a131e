"""Fuzzing of all parsers that read what a user's container wrote: `python -m tests.fuzz` (or `make fuzz`)."""
