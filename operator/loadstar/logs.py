"""Where the operator's own log lines go, and in what form."""

import logging
import sys

from loadstar.settings import LogFormat, Settings


def set_up(settings: Settings) -> None:
    """Log to standard error, as text or as one JSON object per line. Kopf speaks only of troubles, except in debug."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format is LogFormat.JSON:
        from pythonjsonlogger.json import JsonFormatter

        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    if settings.log_level != "debug":
        logging.getLogger("kopf").setLevel(logging.WARNING)
