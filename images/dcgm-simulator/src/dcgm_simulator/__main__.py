"""`python -m dcgm_simulator --config nodes.yaml`: serve the simulated exporter until it is told to end."""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from dcgm_simulator.config import read_config
from dcgm_simulator.fields import InvalidField
from dcgm_simulator.fleet import Fleet
from dcgm_simulator.server import server


def main() -> None:
    """Read the configuration, serve, end with 0 on SIGTERM; 2 and a sentence if the configuration is no good."""
    parser = argparse.ArgumentParser(prog="dcgm-simulator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML file that lists the simulated nodes")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=9400, help="port to listen on; 0 takes a free one")
    options = parser.parse_args()
    traces = options.config.parent
    try:
        nodes = read_config(options.config.read_text(), traces)
    except (InvalidField, OSError) as error:
        sys.exit(_refuse(f"dcgm-simulator: {options.config}: {error}"))
    signal.signal(signal.SIGTERM, _end)
    with server(Fleet(nodes, traces, time.monotonic), options.host, options.port) as serving:
        print(f"dcgm-simulator: {len(nodes)} nodes on port {serving.server_address[1]}", flush=True)
        serving.serve_forever()


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
