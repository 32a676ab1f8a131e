"""Checkpoints: what is written, when, where, and how training goes on from one.

Layout below `checkpoint.path`, one folder for each job (a job of the same name made anew is another job):

    <job uid>/attempt-<N>/step-<K>/   manifest.json       SHA-256 of each other file, and whose checkpoint this is
                                      model.safetensors   parameters and buffers
                                      optimizer.safetensors  moments by parameter name, as `<parameter>/<key>`
                                      rng.safetensors     states of the random generators, by rank
                                      state.json          everything else: position, schedule, scaler, running sums

No file is ever unpickled, not even one that somebody planted here.
"""
