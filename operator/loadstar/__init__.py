"""Loadstar: a Kubernetes operator that places PyTorch training jobs by predicted GPU load."""

__version__ = "0.1.0"
