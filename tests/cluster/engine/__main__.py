"""`python -m tests.cluster.engine start|stop|status`: the private engine by hand."""

import sys

from tests.cluster.engine import engine
from tests.cluster.steps import StepFailed


def main(arguments: list[str]) -> int:
    """Carry out one command; `start` prints the variables to export."""
    try:
        match arguments:
            case ["start"]:
                print("\n".join(f"export {name}={value}" for name, value in engine.ensure().items()))
            case ["stop"]:
                return 0 if engine.stop() else 1
            case ["status"]:
                print(engine.status())
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except StepFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
