"""Which image kind's nodes are made of: the one that is named, the public one, or one that is built here."""

import os
import sys
from collections.abc import Mapping

from .docker import Docker
from .steps import StepFailed

PUBLIC = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
"""The default of kind v0.33.0."""


def choose(environment: Mapping[str, str]) -> str:
    """The node image's reference; the engine of `environment` holds it, if it was not named by the user.

    `KIND_NODE_IMAGE` decides, if it is set. Else the public image, and where no registry can be reached, one
    built from Debian packages and Go modules, which needs Linux and root.
    """
    named = os.environ.get("KIND_NODE_IMAGE")
    if named:
        return named
    if Docker(environment).pulls(PUBLIC):
        return PUBLIC
    if sys.platform != "linux" or os.geteuid() != 0:
        raise StepFailed(
            f"{PUBLIC} cannot be pulled. Connect to a registry, or set KIND_NODE_IMAGE to a node image that "
            "the engine holds (one can be built here only on Linux, as root)."
        )
    from .engine import node_image  # only machines without a registry need any of it

    return node_image.ensure(environment)
