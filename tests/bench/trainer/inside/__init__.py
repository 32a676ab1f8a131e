"""The part of `make bench-trainer` that runs where PyTorch is: in the trainer's image, or with another Python."""
