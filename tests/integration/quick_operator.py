"""`python -m tests.integration.quick_operator`: the real operator, whose long pauses are short.

Tests that look at what comes after a pause need not wait for as long as people do.
"""

import os
import sys

from loadstar.core import backoff
from loadstar.main import run
from loadstar.reporting import progress
from loadstar.settings import Settings

PAUSES = (
    (backoff, "COUNTED_SECONDS", 1.0),
    (progress, "STATUS_SECONDS", 1.0),
    (progress, "CURVES_SECONDS", 5.0),
)


def main() -> int:
    """Shorten the pauses and run the operator as it is."""
    for module, name, seconds in PAUSES:
        assert getattr(module, name) > seconds
        setattr(module, name, seconds)
    return run(Settings.read(os.environ))


if __name__ == "__main__":
    sys.exit(main())
