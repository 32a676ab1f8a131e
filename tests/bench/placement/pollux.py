"""Track C: Pollux' workloads, rigid jobs, against Tiresias"""

from loadstar.simulator.pollux.contest import ORACLE, OURS, TIRESIAS, Contest, Entry
from loadstar.simulator.traces import trace_file
from tests.bench.placement.figure import Figure, Section, at_most, seen

_PUBLISHED_FOR_ALL = 4038.2
"""Tiresias' mean over all eight workloads."""


def measure() -> Section:
    """Every order on every workload at hand."""
    contest = Contest(trace_file("pollux"))
    entries = {entry.name: entry for entry in contest.entries()}
    return Section(list(_figures(contest, entries)), _text(contest, list(entries.values())))


def _figures(contest: Contest, entries: dict[str, Entry]) -> list[Figure]:
    published = contest.published("tiresias")
    there = sum(published) / len(published)
    ours, tiresias, oracle = entries[OURS].mean, entries[TIRESIAS].mean, entries[ORACLE].mean
    dear = next(contest.entries([OURS], restart=120.0)).mean
    return [
        at_most("mean JCT, loadstar with the order shortestExpected", ours, _PUBLISHED_FOR_ALL, "s"),
        at_most("the same over Tiresias' published, same workloads", ours / there, 1.0, "ratio"),
        seen("mean JCT where a start costs 120 s instead of 30", dear, "s"),
        seen("mean JCT, best without preemption", _without_preemption(entries), "s"),
        seen("mean JCT, run times known (no scheduler can)", oracle, "s"),
        seen("Tiresias published, same workloads", there, "s"),
        seen("Tiresias replayed over published", tiresias / there, "ratio"),
        seen(
            "jobs' replayed times off the published, of the mean",
            contest.apart(entries[TIRESIAS], "tiresias"),
            "ratio",
        ),
    ]


def _without_preemption(entries: dict[str, Entry]) -> float:
    return min(entry.mean for entry in entries.values() if not entry.restarts)


def _text(contest: Contest, entries: list[Entry]) -> str:
    names = list(contest.workloads)
    rows = [
        f"| order | {' | '.join(names)} | mean | p50 | p95 | restarts |",
        f"|---|{'---:|' * (len(names) + 4)}",
    ]
    for policy in ("pollux", "tiresias", "optimus"):
        means = contest.published(policy)
        cells = " | ".join(f"{mean:.0f}" for mean in means)
        rows.append(f"| {policy.capitalize()}, published | {cells} | {sum(means) / len(means):.0f} | | | |")
    for entry in entries:
        cells = " | ".join(f"{mean:.0f}" for mean in entry.means)
        rows.append(
            f"| {entry.name} | {cells} | {entry.mean:.0f} | {entry.quantile(0.5):.0f} "
            f"| {entry.quantile(0.95):.0f} | {entry.restarts} |"
        )
    return "\n".join(
        [
            "Mean seconds from arrival to end. Pollux is elastic (it chooses GPUs and batch size); all others run jobs "
            "as their users sized them, Tiresias with GPUs split over nodes as it likes, the others in ranks of one "
            "size. `loadstar` is the operator's own cycle (queue, reservations, preemption, placement); the other "
            "orders are simple loops over the queue. The oracle knows each job's run time.",
            "",
            *rows,
        ]
    )
