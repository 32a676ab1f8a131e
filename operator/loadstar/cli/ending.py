"""How a command ends: with a sentence on standard error and an exit code that says whose matter it is."""

from typing import Final, NoReturn

import typer

EXIT_FAILED: Final = 1
"""What was asked for did not happen."""
EXIT_USAGE: Final = 2
"""It was not asked for in a way that can be understood."""


def end(message: str, code: int) -> NoReturn:
    """End the command."""
    typer.echo(f"loadstar: {message}", err=True)
    raise typer.Exit(code)
