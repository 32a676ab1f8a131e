"""Data for training: read from files or built in, checked, split by seed, scaled by what the training part shows."""

from loadstar_trainer.data.preparing import folds, prepare
from loadstar_trainer.data.samples import Column, Data, Samples
from loadstar_trainer.data.streams import Pass, Stream

__all__ = ["Column", "Data", "Pass", "Samples", "Stream", "folds", "prepare"]
