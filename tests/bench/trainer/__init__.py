"""How fast the trainer trains: `python -m tests.bench.trainer` (or `make bench-trainer`)."""
