"""GPUs and their parts: what names and labels say of them."""

import pytest

from loadstar.core.devices import GPU, MIB, gpu_part, is_gpu, memory, replicas

GFD = {
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB",
    "nvidia.com/gpu.memory": "40960",
    "nvidia.com/gpu.replicas": "1",
}
SHARED = {
    "nvidia.com/gpu.product": "Tesla-T4-SHARED",
    "nvidia.com/gpu.memory": "15360",
    "nvidia.com/gpu.replicas": "4",
    "nvidia.com/gpu.sharing-strategy": "time-slicing",
}
SINGLE_MIG = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB-MIG-3g.20gb", "nvidia.com/gpu.memory": "20096"}
MIXED_MIG = {**GFD, "nvidia.com/mig-1g.5gb.memory": "4864", "nvidia.com/mig-1g.5gb.replicas": "1"}
RTX_PRO = {"nvidia.com/gpu.product": "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"}

PARTS = {
    "a whole GPU": (GPU, GFD, 1.0),
    "a whole GPU of a node without labels": (GPU, {}, 1.0),
    "a replica under the name of whole GPUs": (GPU, SHARED, 1 / 4),
    "a replica under a name of its own": ("nvidia.com/gpu.shared", SHARED, 1 / 4),
    "a slice": ("nvidia.com/mig-1g.5gb", MIXED_MIG, 1 / 7),
    "a slice with media engines": ("nvidia.com/mig-1g.5gb.me", MIXED_MIG, 1 / 7),
    "the largest slice": ("nvidia.com/mig-7g.40gb", {}, 1.0),
    "a slice under the name of whole GPUs": (GPU, SINGLE_MIG, 3 / 7),
    "a slice of an A30, which has four": ("nvidia.com/mig-2g.12gb", {}, 2 / 4),
    "a slice of an RTX PRO 6000, which has four": ("nvidia.com/mig-2g.48gb.gfx", {}, 2 / 4),
    "a slice of 24 GB of an RTX PRO 6000": ("nvidia.com/mig-1g.24gb-me", RTX_PRO, 1 / 4),
    "a slice of 24 GB of another product": ("nvidia.com/mig-1g.24gb", {}, 1 / 7),
    "a replica of a slice": ("nvidia.com/mig-1g.5gb.shared", {"nvidia.com/mig-1g.5gb.replicas": "2"}, 1 / 14),
    "no GPU at all": ("rdma/hca", GFD, 0.0),
    "labels that are no numbers": (GPU, {"nvidia.com/gpu.replicas": "many"}, 1.0),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_device_counts_for_as_much_of_a_gpu_as_it_is_when_it_is(case: str) -> None:
    resource, labels, part = PARTS[case]
    assert gpu_part(resource, labels) == pytest.approx(part)


def test_devices_of_the_vendor_are_gpus() -> None:
    assert [is_gpu(name) for name in (GPU, "nvidia.com/mig-1g.5gb", "rdma/hca")] == [True, True, False]


def test_replicas_are_counted_by_the_label_of_what_they_share() -> None:
    assert [replicas(name, SHARED) for name in (GPU, "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb")] == [
        4,
        4,
        1,
    ]


def test_memory_is_that_of_the_device_and_of_a_replica_its_share() -> None:
    assert memory(GPU, GFD) == 40960 * MIB
    assert memory("nvidia.com/mig-1g.5gb", MIXED_MIG) == 4864 * MIB
    assert memory("nvidia.com/gpu.shared", SHARED) == 15360 * MIB // 4


def test_memory_that_no_label_tells_is_unknown() -> None:
    assert memory(GPU, {}) == 0
