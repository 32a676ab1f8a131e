"""The trainer's own tests, in the image that trains: the host has no PyTorch. Exits as pytest does."""

import sys

from tests.cluster.engine import engine
from tests.cluster.images import run_in_trainer


def main() -> int:
    """Run them; an engine that was started for this ends with it."""
    found = engine.current()
    engine.ensure()
    try:
        return run_in_trainer("python3", "-m", "pytest", "-q", "tests")
    finally:
        if found is None:
            engine.stop()


if __name__ == "__main__":
    sys.exit(main())
