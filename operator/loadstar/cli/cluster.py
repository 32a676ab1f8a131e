"""Questions to the cluster that a kubeconfig names."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from loadstar.cli.ending import EXIT_FAILED, end

if TYPE_CHECKING:
    from loadstar.clients.kube import Kube

T = TypeVar("T")

Kubeconfig = Annotated[
    str | None,
    typer.Option(
        help="Path of the kubeconfig.",
        show_default="$LOADSTAR_KUBECONFIG, $KUBECONFIG, the pod's own account",
    ),
]


def ask(kubeconfig: str | None, question: Callable[["Kube"], Awaitable[T]]) -> T:
    """Ask the cluster one thing; ends the command where it gives no answer."""
    from loadstar.clients.connection import connect
    from loadstar.clients.errors import ClientError, NotFound
    from loadstar.clients.kube import Kube

    async def asked() -> T:
        chosen = kubeconfig or os.environ.get("LOADSTAR_KUBECONFIG") or os.environ.get("KUBECONFIG") or ""
        async with Kube(await connect(chosen)) as kube:
            return await question(kube)

    try:
        return asyncio.run(asked())
    except NotFound as error:
        hint = (
            "" if error.details.get("name") else "; is the CRD installed? (loadstar crd | kubectl apply -f -)"
        )
        end(f"{error}{hint}", EXIT_FAILED)
    except ClientError as error:
        end(str(error), EXIT_FAILED)
