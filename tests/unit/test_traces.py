"""Traces of nodes and jobs: both kinds of columns, what is wrong with a file, and jobs for a fuller cluster."""

from pathlib import Path

import pytest

from loadstar.core.mix import MILLI, Ask
from loadstar.simulator.traces import (
    MIB,
    TraceError,
    TraceJob,
    TraceNode,
    TracesMissing,
    in_whole_gpus,
    inflated,
    read_jobs,
    read_nodes,
    trace_file,
)

OPENB_PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,"
    "creation_time,deletion_time,scheduled_time\n"
)


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_openb_nodes_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = written(tmp_path, "sn,cpu_milli,memory_mib,gpu,model\nb,96000,8,8,G2\na,64000,4,2,P100\n")
    assert read_nodes(path) == (
        TraceNode("a", 64000, 4 * MIB, 2, "P100"),
        TraceNode("b", 96000, 8 * MIB, 8, "G2"),
    )


def test_openb_pods_are_read_with_their_gpus_products_and_times(tmp_path: Path) -> None:
    path = written(tmp_path, OPENB_PODS + "p,6000,12,1,460,V100M16|V100M32,LS,Running,10,110,20\n")
    ask = Ask(6000, 12 * MIB, 1, 460, frozenset({"V100M16", "V100M32"}))
    assert read_jobs(path) == (TraceJob("p", ask, submitted=10.0, duration=90.0),)


def test_an_openb_pod_that_was_never_scheduled_has_no_duration(tmp_path: Path) -> None:
    path = written(tmp_path, OPENB_PODS + "p,6000,12,0,0,,LS,Pending,10,110,\n")
    assert read_jobs(path)[0] == TraceJob("p", Ask(6000, 12 * MIB), submitted=10.0)


def test_own_nodes_and_jobs_need_only_their_main_columns(tmp_path: Path) -> None:
    nodes = written(tmp_path, "name,cpu_milli,memory_mib,gpus\nn,8000,16,4\n")
    assert read_nodes(nodes) == (TraceNode("n", 8000, 16 * MIB, 4),)
    jobs = written(tmp_path, "name,gpus\nj,2\n")
    assert read_jobs(jobs) == (TraceJob("j", Ask(gpus=2)),)


def test_own_jobs_may_tell_all_that_a_simulation_can_use(tmp_path: Path) -> None:
    header = (
        "name,submit_seconds,duration_seconds,ranks,cpu_milli,memory_mib,"
        "gpus,gpu_milli,gpu_products,family,queue,priority"
    )
    path = written(tmp_path, f"{header}\nj,1.5,60,4,500,1,1,250,A100|H100,bert,team-a,-3\n")
    ask = Ask(500, MIB, 1, 250, frozenset({"A100", "H100"}))
    assert read_jobs(path) == (TraceJob("j", ask, 1.5, 60.0, 4, "bert", "team-a", -3),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: there is no column name; its columns are none"),
        ("name,cpu_milli\nj,1\n", "line 1: there is no column gpus; its columns are cpu_milli, name"),
        ("name,gpus\nj,two\n", "line 2, column gpus: is 'two': write a whole number"),
        ("name,gpus\nj,\n", "line 2, column gpus: is '': write a whole number"),
        ("name,gpus\nj,-1\n", "line 2, column gpus: is -1: write a number of at least 0"),
        ("name,gpus\n,1\n", "line 2, column name: is empty"),
        ("name,gpus\nj,1\nj,1\n", "the name j is there twice"),
        ("name,gpus,gpu_milli\nj,1,1001\n", "column gpu_milli: is 1001 with 1 GPUs"),
        ("name,gpus,gpu_milli\nj,2,500\n", "column gpu_milli: is 500 with 2 GPUs"),
        ("name,gpus,ranks\nj,1,0\n", "column ranks: is 0: write a number of at least 1"),
        ("name,gpus,submit_seconds\nj,1,soon\n", "column submit_seconds: is 'soon': write seconds"),
        ("name,gpus,duration_seconds\nj,1,nan\n", "column duration_seconds: is 'nan': write seconds"),
        ("name,gpus,priority\nj,1,high\n", "column priority: is 'high': write a whole number"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line_and_column(
    tmp_path: Path, text: str, says: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TraceError) as told:
        read_jobs(path)
    assert str(told.value).startswith(str(path))
    assert says in str(told.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(TraceError, match="can't be read as a csv file"):
        read_nodes(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TracesMissing, match="name a csv file of nodes or jobs"):
        read_jobs(tmp_path / "none.csv")


def test_missing_traces_say_which_variable_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADSTAR_TRACES", str(tmp_path))
    with pytest.raises(TracesMissing, match="set LOADSTAR_TRACES to their folder"):
        trace_file("openb", "none.csv")


def jobs(*gpus: int) -> tuple[TraceJob, ...]:
    return tuple(TraceJob(f"j{number}", Ask(gpus=count)) for number, count in enumerate(gpus))


def test_inflation_keeps_all_jobs_and_draws_more_up_to_the_wanted_gpus() -> None:
    known = jobs(1, 1, 1, 1, 0)
    more = inflated(known, 10 * MILLI, seed=1)
    assert sum(job.milli for job in more) == 10 * MILLI
    assert sorted(job.name for job in more[:5]) == [job.name for job in known]


def test_inflation_takes_jobs_away_where_there_are_too_many() -> None:
    fewer = inflated(jobs(1, 1, 1, 1), 2 * MILLI, seed=1)
    assert sum(job.milli for job in fewer) == 2 * MILLI


def test_inflation_is_the_same_for_the_same_seed_only() -> None:
    known = jobs(*[1] * 50)
    assert inflated(known, 60 * MILLI, 1) == inflated(known, 60 * MILLI, 1)
    assert inflated(known, 60 * MILLI, 1) != inflated(known, 60 * MILLI, 2)


def test_jobs_without_gpus_can_not_fill_them() -> None:
    with pytest.raises(TraceError, match="no job asks for a GPU"):
        inflated(jobs(0), MILLI, 1)


def test_in_whole_gpus_who_asks_for_a_part_gets_all() -> None:
    shared = TraceJob("j", Ask(gpus=1, share=300))
    assert in_whole_gpus([shared])[0].milli == MILLI
