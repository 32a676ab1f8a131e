"""Rules of spec.trainer: pods and what they ask for."""

from typing import Any

from tests.contract.refusals.case import (
    CHOICES,
    LEAST,
    Case,
    Json,
    gpus,
    merged,
    resources,
    trainer,
    training,
)


def tolerating(**toleration: Any) -> Json:
    return trainer(tolerations=[toleration])


RESOURCES = "spec.trainer.resourcesPerNode"

TRAINER = (
    Case(
        "an image is named",
        trainer(image="a/b:1"),
        trainer(image=""),
        "spec.trainer.image",
        "at least 1 chars",
    ),
    Case(
        "an image is one word",
        trainer(image="a/b:1"),
        trainer(image="a b"),
        "spec.trainer.image",
        "without spaces",
    ),
    Case("there is a node", trainer(numNodes=1), trainer(numNodes=0), "spec.trainer.numNodes", LEAST),
    Case(
        "there is a process",
        merged(gpus(2), trainer(numProcPerNode=1)),
        trainer(numProcPerNode=0),
        "spec.trainer.numProcPerNode",
        LEAST,
    ),
    Case(
        "each process has its GPU",
        merged(gpus(2), trainer(numProcPerNode=2)),
        trainer(numProcPerNode=2),
        "spec.trainer.numProcPerNode",
        "lower numProcPerNode",
    ),
    Case(
        "CPUs are a quantity",
        resources(cpu="500m"),
        resources(cpu="half"),
        RESOURCES,
        "such as 500m or 2",
    ),
    Case(
        "CPUs are something",
        resources(cpu=2),
        resources(cpu="0"),
        RESOURCES,
        "above zero",
    ),
    Case(
        "memory is a quantity",
        resources(memory="1.5Gi"),
        resources(memory="1.5GB"),
        RESOURCES,
        "such as 512Mi or 4Gi",
    ),
    Case(
        "GPUs are whole",
        gpus("1"),
        gpus("1500m"),
        RESOURCES,
        "write a number from 0 to 64",
    ),
    Case(
        "GPUs are few",
        merged(gpus(64), training(batchSize=64)),
        merged(gpus(65), training(batchSize=100)),
        RESOURCES,
        "write a number from 0 to 64",
    ),
    Case(
        "a part of a GPU is asked for by the name that nodes offer it by",
        resources(**{"nvidia.com/mig-1g.10gb.me": 1}),
        resources(**{"nvidia.com/mig-1g.10gb+me": 1}),
        RESOURCES,
        "correct the name or remove it",
    ),
    Case(
        "GPUs of others are not known",
        resources(**{"nvidia.com/gpu.shared": 1}),
        resources(**{"amd.com/gpu": 1}),
        RESOURCES,
        "what can be asked for is cpu, memory, nvidia.com/gpu, nvidia.com/gpu.shared",
    ),
    Case(
        "a profile has its memory",
        resources(**{"nvidia.com/mig-7g.141gb": 1}),
        resources(**{"nvidia.com/mig-7g": 1}),
        RESOURCES,
        "such as nvidia.com/mig-1g.10gb",
    ),
    Case(
        "a process uses one part of a GPU",
        resources(**{"nvidia.com/mig-1g.24gb-me.shared": "1"}),
        resources(**{"nvidia.com/mig-1g.10gb": 2}),
        RESOURCES,
        "ask for 1 of it, and for more parts with trainer.numNodes",
    ),
    Case(
        "a part of a GPU stands alone",
        resources(**{"nvidia.com/mig-1g.10gb": 1, "nvidia.com/gpu": 0}),
        resources(**{"nvidia.com/mig-1g.10gb": 1, "nvidia.com/gpu": 1}),
        RESOURCES,
        "ask for nvidia.com/gpu or for one part of a GPU, and remove the others",
    ),
    Case(
        "parts of GPUs are of one kind",
        resources(**{"nvidia.com/mig-1g.24gb.me.all": 1}),
        resources(**{"nvidia.com/mig-1g.10gb": 1, "nvidia.com/mig-2g.20gb": 1}),
        RESOURCES,
        "a pod can use one kind of GPU only",
    ),
    Case(
        "a part of a GPU is of one process",
        merged(resources(**{"nvidia.com/gpu.shared": 1}), trainer(numProcPerNode=1)),
        merged(resources(**{"nvidia.com/gpu.shared": 1}), trainer(numProcPerNode=2)),
        "spec.trainer.numProcPerNode",
        "lower numProcPerNode",
    ),
    Case(
        "processes on the CPU share it",
        merged(gpus(0), trainer(numProcPerNode=4)),
        merged(resources(cpu=4), trainer(numProcPerNode=4)),
        "spec.trainer.numProcPerNode",
        "set that to 0 to train on the CPU",
    ),
    Case(
        "a taint has a key",
        tolerating(key="example.com/dedicated", value="training", effect="NoSchedule"),
        tolerating(key="a taint", operator="Exists"),
        "spec.trainer.tolerations",
        "should match",
    ),
    Case(
        "all taints are meant only by name",
        tolerating(operator="Exists"),
        tolerating(operator="Equal"),
        "spec.trainer.tolerations",
        "set operator to Exists to tolerate all taints",
    ),
    Case(
        "who tolerates any value names none",
        tolerating(key="a", operator="Exists"),
        tolerating(key="a", operator="Exists", value="b"),
        "spec.trainer.tolerations",
        "remove value or set operator to Equal",
    ),
    Case(
        "an effect is known",
        tolerating(key="a", operator="Exists", effect="NoExecute"),
        tolerating(key="a", operator="Exists", effect="Evict"),
        "spec.trainer.tolerations",
        CHOICES,
    ),
    Case(
        "only an eviction can wait",
        tolerating(key="a", operator="Exists", effect="NoExecute", tolerationSeconds=60),
        tolerating(key="a", operator="Exists", tolerationSeconds=60),
        "spec.trainer.tolerations",
        "remove tolerationSeconds or set effect to NoExecute",
    ),
)
