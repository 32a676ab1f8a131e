"""GPUs and parts of GPUs, by the names and node labels of NVIDIA's device plugin and GPU feature discovery.

A node may offer whole GPUs (nvidia.com/gpu), slices of them made by hardware (nvidia.com/mig-1g.5gb) or replicas that
share one GPU in turns (nvidia.com/gpu.shared). A cluster may also be set up to offer slices or replicas under the name
nvidia.com/gpu itself; then only the node's labels tell.
"""

import re
from collections.abc import Mapping

GPU = "nvidia.com/gpu"
VENDOR = "nvidia.com/"
SHARED = ".shared"
"""Ends the names of resources that are replicas."""
PRODUCT_LABEL = "nvidia.com/gpu.product"
MIB = 1 << 20

_PROFILE = re.compile(r"(?i)mig-(\d+)g\.(\d+)gb")
_SLICES = 7
"""Compute slices of a GPU in the profiles of A100, H100, H200 and B200."""
_QUARTERED = re.compile(r"A30\b|RTX-PRO-6000")
"""Products of four slices."""
_OF_QUARTERED = frozenset({(1, 6), (2, 12), (4, 24), (2, 48), (4, 96)})
"""Profiles that only these have, by their slices and memory in GB; an H100 has 1g.24gb, too."""


def is_gpu(resource: str) -> bool:
    """Whether a resource is a GPU or a part of one."""
    return resource.startswith(VENDOR)


def replicas(resource: str, labels: Mapping[str, str]) -> int:
    """How many pods share one device of this resource on a node with these labels."""
    return max(_number(labels.get(f"{resource.removesuffix(SHARED)}.replicas")), 1)


def gpu_part(resource: str, labels: Mapping[str, str]) -> float:
    """How much of a whole GPU one device of this resource is, in 0..1; 0 for what is no GPU."""
    if not is_gpu(resource):
        return 0.0
    product = labels.get(PRODUCT_LABEL, "")
    profile = _PROFILE.search(product if resource == GPU else resource)
    slices = 1.0
    if profile:
        size = int(profile[1]), int(profile[2])
        quartered = size in _OF_QUARTERED or _QUARTERED.search(product)
        slices = min(size[0] / (4 if quartered else _SLICES), 1.0)
    return slices / replicas(resource, labels)


def memory(resource: str, labels: Mapping[str, str]) -> int:
    """GPU memory that one device of this resource can count on, in bytes: a replica on its equal share. 0: unknown."""
    mebibytes = _number(labels.get(f"{resource.removesuffix(SHARED)}.memory"))
    return mebibytes * MIB // replicas(resource, labels)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0
