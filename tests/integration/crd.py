"""Puts the CRD into a cluster, for every test that needs TrainingJobs."""

from functools import partial
from typing import Any

import yaml

from loadstar.api.crd import custom_resource_definition
from loadstar.api.labels import API_VERSION, PLURAL
from tests.cluster.api import ApiError
from tests.cluster.fixtures import Cluster
from tests.waiting import until

NOT_YET = frozenset({404, 429})
"""Answers of a server that does not know the resource yet, or is making room for it."""


def install_crd(cluster: Cluster) -> None:
    """Apply the CRD and return as soon as TrainingJobs are served.

    `kubectl wait` is no help here: it fails on a CRD so new that it has no conditions yet.
    """
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(custom_resource_definition()))
    await_served(cluster)


def await_served(cluster: Cluster) -> None:
    """Return as soon as TrainingJobs are served."""
    until(partial(_served, cluster), f"{PLURAL} are served")


def _served(cluster: Cluster) -> Any:
    try:
        return cluster.api.get(f"/apis/{API_VERSION}/{PLURAL}")
    except ApiError as error:
        if error.code not in NOT_YET:
            raise
        return None
