"""Checkpoints: what is written, when, where, and how training goes on from one.

Layout below `checkpoint.path`, one folder for each job (a job of the same name made anew is another job):

    <job uid>/attempt-<N>/step-<K>/   manifest.json       SHA-256 of each other file, and whose checkpoint this is
                                      model.safetensors   parameters and buffers
                                      optimizer.safetensors  moments by parameter name, as `<parameter>/<key>`
                                      best.safetensors    the best epoch's weights, with early stopping
                                      state.json          everything else: position, running sums, scaler

Random generators and schedules are not in it: both are functions of seed and position. No file is ever unpickled,
not even one that somebody planted here.
"""
