"""What the simulator takes from outside: configuration, loads, faults; and its words about what it does not take."""

from pathlib import Path
from typing import Any

import pytest

from dcgm_simulator.config import read_config
from dcgm_simulator.fields import Fields, InvalidField
from dcgm_simulator.load import read_load

HERE = Path("/nowhere")


def _load_error(written: Any, traces: Path = HERE) -> str:
    with pytest.raises(InvalidField) as caught:
        read_load(Fields.of("node-a", written), traces)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (0.5, "node-a: must be a mapping of fields, but is 0.5"),
        ({}, "node-a.kind: is required"),
        ({"kind": "wave"}, "node-a.kind: must be one of constant, ramp, csv, silent, but is 'wave'"),
        ({"kind": "constant"}, "node-a.value: is required"),
        (
            {"kind": "constant", "value": 1.5},
            "node-a.value: must be a number from 0 to 1, but is 1.5",
        ),
        (
            {"kind": "constant", "value": float("nan")},
            "node-a.value: must be a number from 0 to 1, but is nan",
        ),
        (
            {"kind": "constant", "value": True},
            "node-a.value: must be a number from 0 to 1, but is True",
        ),
        (
            {"kind": "constant", "value": 1, "vaule": 1},
            "node-a.vaule: is not a known field here; the known ones are kind, value",
        ),
        ({"kind": "ramp", "from": 0, "to": 1}, "node-a.overSeconds: is required"),
        ({"kind": "csv"}, "node-a.path: give exactly one of path and inline for a csv load"),
        ({"kind": "csv", "inline": "seconds,load\n"}, "node-a.inline: has no rows; each row is"),
        (
            {"kind": "csv", "inline": "0,0.5\n60"},
            "node-a.inline row 2: must be two numbers, seconds,load, but is '60'",
        ),
        ({"kind": "csv", "inline": "0,2"}, "node-a.inline row 1: the load must be from 0 to 1, but is 2"),
        (
            {"kind": "csv", "inline": "9,0\n9,1"},
            "node-a.inline row 2: the seconds must be at least 0 and grow",
        ),
        ({"kind": "csv", "path": "../secret"}, "node-a.path: must stay below the configuration's folder"),
        ({"kind": "csv", "path": "gone.csv"}, "node-a.path: cannot be read:"),
    ],
)
def test_a_load_that_cannot_be_used_is_refused_by_the_name_of_its_field(written: Any, sentence: str) -> None:
    assert _load_error(written).startswith(sentence)


def test_a_csv_load_is_read_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("seconds,load\n0,0.2\n100,0.4\n")

    load = read_load(Fields.of("a", {"kind": "csv", "path": "trace.csv"}), tmp_path)

    assert load.series.at(50) == pytest.approx(0.3)


def test_a_csv_load_can_be_given_inline() -> None:
    load = read_load(Fields.of("a", {"kind": "csv", "inline": "0,0\n\n10,1"}), HERE)

    assert load.series.points == ((0.0, 0.0), (10.0, 1.0))


def _config_error(text: str) -> str:
    with pytest.raises(InvalidField) as caught:
        read_config(text, HERE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nodes: [", "the document: is not YAML"),
        ("[]", "the document: must be a mapping of fields, but is []"),
        ("nodes: []", "nodes: must list at least one node"),
        ("nodes: {a: 1}", "nodes: must be a list, but is {'a': 1}"),
        ("nodes: [{gpus: 2}]", "nodes[0].name: is required"),
        ("nodes: [{name: a}, {name: a}]", "nodes[1].name: 'a' is there twice"),
        ("nodes: [{name: a, gpus: 0}]", "nodes[0].gpus: must be a whole number from 1 to 64, but is 0"),
        (
            "nodes: [{name: a, hostnameLabel: host}]",
            "nodes[0].hostnameLabel: must be one of Hostname, hostname, but is 'host'",
        ),
        ("nodes: [{name: a, load: {kind: constant, value: -1}}]", "nodes[0].load.value: must be a number"),
        (
            "nodes: [{name: a, faults: {xids: [{gpu: 1, code: 79}]}}]",
            "nodes[0].faults.xids[0].gpu: must be a whole number from 0 to 0, but is 1",
        ),
        (
            "nodes: [{name: a, faults: {xids: [{gpu: 0, code: 0}]}}]",
            "nodes[0].faults.xids[0].code: must be a whole number from 1 to 999, but is 0",
        ),
        (
            "nodes: [{name: a, faults: {unsupported: [TEMP]}}]",
            "nodes[0].faults.unsupported[0]: must be the name of a metric served here, but is 'TEMP'",
        ),
        ("nodes: [{name: a, workloads: [{gpu: 0, pod: p}]}]", "nodes[0].workloads[0].namespace: is required"),
        ("node: []", "node: is not a known field here; the known ones are nodes"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_by_the_name_of_its_field(
    text: str, sentence: str
) -> None:
    assert _config_error(text).startswith(sentence)


def test_a_node_needs_nothing_but_a_name() -> None:
    (node,) = read_config("nodes: [{name: a}]", HERE)

    assert (node.gpus, node.hostname_label, node.load.series.at(0)) == (1, "Hostname", 0.0)
