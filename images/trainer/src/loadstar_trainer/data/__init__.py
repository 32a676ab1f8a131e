"""Data for training: read from files or built in, checked, split by seed, scaled by what the training part shows."""

from loadstar_trainer.data.preparing import prepare
from loadstar_trainer.data.samples import Column, Data, Samples

__all__ = ["Column", "Data", "Samples", "prepare"]
