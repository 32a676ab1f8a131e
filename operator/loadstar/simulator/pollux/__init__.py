"""Track C: the workloads of Pollux (OSDI'21), 160 jobs each on 16 nodes of 4 GPUs, against Tiresias' published times.

Every job is rigid: so many GPUs and the global batch size that its user asked for. What it takes per step is measured
(petuum/adaptdl, branch osdi21-artifact: `placements.csv`, `scalability.csv`), and like the artifact's simulator the
replay decides every 60 s and charges 30 s for every start.
"""
