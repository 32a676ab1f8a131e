"""Rules of spec.scheduling, spec.runPolicy and spec.suspend."""

from tests.contract.refusals.case import (
    CHOICES,
    LEAST,
    MOST,
    Case,
    run_policy,
    scheduling,
)

SCHEDULING = (
    Case(
        "the policy is known",
        scheduling(policy="roundRobin"),
        scheduling(policy="random"),
        "spec.scheduling.policy",
        CHOICES,
    ),
    Case(
        "alpha belongs to feedback",
        scheduling(policy="feedback", alpha=-0.5),
        scheduling(alpha=-0.5),
        "spec.scheduling.alpha",
        "remove it or set scheduling.policy to feedback",
    ),
    Case(
        "alpha is at most one",
        scheduling(policy="feedback", alpha=1),
        scheduling(policy="feedback", alpha=1.1),
        "spec.scheduling.alpha",
        MOST,
    ),
    Case(
        "the horizon is near",
        scheduling(horizonSeconds=900),
        scheduling(horizonSeconds=901),
        "spec.scheduling.horizonSeconds",
        MOST,
    ),
    Case(
        "the horizon is ahead",
        scheduling(horizonSeconds=30),
        scheduling(horizonSeconds=29),
        "spec.scheduling.horizonSeconds",
        LEAST,
    ),
    Case(
        "maxLoad lets something run",
        scheduling(maxLoad=0.01),
        scheduling(maxLoad=0),
        "spec.scheduling.maxLoad",
        "greater than 0",
    ),
    Case(
        "maxLoad is a share", scheduling(maxLoad=1), scheduling(maxLoad=80), "spec.scheduling.maxLoad", MOST
    ),
    Case(
        "a product is a label's value",
        scheduling(gpuProducts=["NVIDIA-H200"]),
        scheduling(gpuProducts=["NVIDIA H200"]),
        "spec.scheduling.gpuProducts",
        "write it as the label nvidia.com/gpu.product does",
    ),
    Case(
        "products differ",
        scheduling(gpuProducts=["A", "B"]),
        scheduling(gpuProducts=["A", "A"]),
        "spec.scheduling.gpuProducts",
        "Duplicate value",
    ),
    Case(
        "GPU memory is a quantity",
        scheduling(gpuMemory="40Gi"),
        scheduling(gpuMemory="40GB"),
        "spec.scheduling.gpuMemory",
        "such as 512Mi or 4Gi",
    ),
    Case(
        "nearness is by a node label",
        scheduling(topology={"level": "topology.kubernetes.io/zone"}),
        scheduling(topology={"level": "a rack"}),
        "spec.scheduling.topology.level",
        "should match",
    ),
    Case(
        "nearness is required or not",
        scheduling(topology={"level": "rack", "required": True}),
        scheduling(topology={"level": "rack", "required": "yes please"}),
        "spec.scheduling.topology.required",
        "boolean",
    ),
    Case(
        "a queue has a plain name",
        scheduling(queue="vision-2"),
        scheduling(queue="Vision"),
        "spec.scheduling.queue",
        "should match",
    ),
    Case(
        "a priority class has a name",
        scheduling(priorityClassName="system-node-critical"),
        scheduling(priorityClassName="not a class"),
        "spec.scheduling.priorityClassName",
        "should match",
    ),
)

RUN = (
    Case(
        "retries are counted",
        run_policy(backoffLimit=0),
        run_policy(backoffLimit=-1),
        "spec.runPolicy.backoffLimit",
        LEAST,
    ),
    Case(
        "a deadline leaves time",
        run_policy(activeDeadlineSeconds=1),
        run_policy(activeDeadlineSeconds=0),
        "spec.runPolicy.activeDeadlineSeconds",
        LEAST,
    ),
    Case(
        "a job is kept or not",
        run_policy(ttlSecondsAfterFinished=0),
        run_policy(ttlSecondsAfterFinished=-1),
        "spec.runPolicy.ttlSecondsAfterFinished",
        LEAST,
    ),
    Case("suspend is yes or no", {"suspend": True}, {"suspend": "yes please"}, "spec.suspend", "boolean"),
)
