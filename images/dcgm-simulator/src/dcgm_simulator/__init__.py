"""A simulator of NVIDIA's DCGM exporter: the same page of metrics, made from load series that are given to it.

It touches no GPU and reads no driver. One process serves the series of all nodes of a test cluster.
"""
