"""What a greedy choice has of knowing everything about the jobs there are. A mark for policies, but no bound: it keeps
no room for jobs to come, and one that does may be better."""

import numpy as np

from loadstar.core.load import STEP_SECONDS
from loadstar.simulator.baselines import Baseline
from loadstar.simulator.fleet import CPU, GPUS, Array, Fleet
from loadstar.simulator.outcome import HOT
from loadstar.simulator.policy import Question
from loadstar.simulator.truth import RAMP_SECONDS
from loadstar.simulator.workload import Workload

STEPS = np.array([2, 4, 8, 16, 32, 64, 128, 256])
"""Steps ahead at which loads are looked at."""
FRAGMENTATION = 0.05


class Oracle(Baseline):
    """Greedy with foresight: the node whose load above HOT grows least while the job runs, then the fullest.

    It knows the background to come, what every job will use, and when it will end if nothing slows it.
    """

    def __init__(self, fleet: Fleet, workload: Workload, background: Array) -> None:
        super().__init__()
        self._capacity = fleet.capacity.astype(float)
        self._workload, self._background = workload, background

    def scores(self, question: Question) -> Array:
        work, number, now = self._workload, question.ask.number, question.view.now
        longest = max(work.work[number], float(STEPS[0]) * STEP_SECONDS)
        lasts = longest >= STEPS * STEP_SECONDS
        ahead = STEPS[lasts] * STEP_SECONDS
        before = self._loads(question, now + ahead)
        ramp = np.clip((ahead - work.lag[number]) / RAMP_SECONDS, 0.0, 1.0)
        own = ramp[:, None] * work.used[number, CPU] / self._capacity[:, CPU]
        growth = np.maximum(before + own - HOT, 0.0) - np.maximum(before - HOT, 0.0)
        left = (question.view.free[:, GPUS] - question.ask.asked[GPUS]) / np.maximum(
            self._capacity[:, GPUS], 1.0
        )
        return np.asarray(-growth.mean(axis=0) - FRAGMENTATION * left)

    def _loads(self, question: Question, times: Array) -> Array:
        """CPU loads without the job, shape (times, nodes)."""
        work = self._workload
        steps = (times // STEP_SECONDS).astype(np.int64) % len(self._background)
        loads = self._background[steps].copy()
        for number, bound in question.view.bound.items():
            age = times - bound.at
            ramp = np.clip((age - work.lag[number]) / RAMP_SECONDS, 0.0, 1.0) * (age < work.work[number])
            for row in bound.rows:
                loads[:, row] += ramp * work.used[number, CPU] / self._capacity[row, CPU]
        return loads
