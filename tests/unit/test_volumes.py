"""Where claims can be mounted: what a requirement means, what stands in the way of a gang, and what is said of it."""

from dataclasses import replace

import pytest

from loadstar.core.volumes import Operator, Presence, Requirement, Term, Volume, obstacle, places

NODE = {"kubernetes.io/hostname": "node-a", "zone": "eu-1", "generation": "7"}


def on(*values: str, key: str = "kubernetes.io/hostname") -> Term:
    return (Requirement(key, Operator.IN, values),)


def local(*terms: Term, claim: str = "data") -> Volume:
    return Volume(claim, places=terms)


REQUIREMENTS = [
    ("In", "zone", ("eu-1", "eu-2"), True),
    ("In", "zone", ("eu-2",), False),
    ("In", "rack", ("",), False),
    ("NotIn", "zone", ("eu-1", "eu-2"), False),
    ("NotIn", "zone", ("eu-2",), True),
    ("NotIn", "rack", ("r1",), True),
    ("Exists", "zone", (), True),
    ("Exists", "rack", (), False),
    ("DoesNotExist", "zone", (), False),
    ("DoesNotExist", "rack", (), True),
    ("Gt", "generation", ("6",), True),
    ("Gt", "generation", ("7",), False),
    ("Gt", "rack", ("-1",), False),
    ("Gt", "zone", ("0",), False),
    ("Gt", "generation", ("six",), False),
    ("Lt", "generation", ("8",), True),
    ("Lt", "generation", ("7",), False),
    ("Lt", "rack", ("8",), False),
    ("Lt", "generation", (), False),
]


@pytest.mark.parametrize(("operator", "key", "values", "holds"), REQUIREMENTS)
def test_a_requirement_holds_as_kubernetes_says(
    operator: str, key: str, values: tuple[str, ...], holds: bool
) -> None:
    assert Requirement(key, Operator(operator), values).holds(NODE) is holds


def test_one_term_is_enough_and_all_of_it_has_to_hold() -> None:
    both = (*on("node-a"), *on("eu-2", key="zone"))
    assert not local(both).reaches("node-a", NODE)
    assert local(both, on("node-a")).reaches("node-a", NODE)


@pytest.mark.parametrize("terms", [(), ((),)])
def test_terms_without_requirements_hold_nowhere(terms: tuple[Term, ...]) -> None:
    volume = local(*terms)
    assert not volume.reaches("node-a", NODE)
    assert volume.where.startswith("nowhere")


def test_a_volume_without_terms_is_mounted_anywhere() -> None:
    assert Volume("data").reaches("node-a", {})
    assert places([Volume("data")]) == ""


def test_a_volume_being_made_for_a_node_is_there_whatever_the_labels_say() -> None:
    volume = Volume("data", node="node-b")
    assert volume.reaches("node-b", NODE)
    assert not volume.reaches("node-a", NODE)


def test_places_are_told_in_words_for_volumes_that_have_one() -> None:
    zonal = (*on("eu-1", "eu-2", key="zone"), Requirement("spot", Operator.DOES_NOT_EXIST))
    volumes = [local(on("node-a"), zonal), Volume("anywhere"), Volume("new", node="node-b")]
    assert places(volumes) == (
        "PersistentVolumeClaim data can be mounted where kubernetes.io/hostname is node-a "
        "or zone is eu-1 or eu-2 and spot is not set; "
        "PersistentVolumeClaim new can be mounted on node node-b"
    )


OBSTACLES = {
    Presence.MISSING: (
        "ClaimNotFound",
        "create PersistentVolumeClaim data in namespace research; the job starts by itself then",
    ),
    Presence.DELETING: (
        "ClaimNotFound",
        "PersistentVolumeClaim data in namespace research is being deleted: "
        "create it anew when it is gone; the job starts by itself then",
    ),
    Presence.LOST: (
        "ClaimLost",
        "the volume of PersistentVolumeClaim data in namespace research does not exist: "
        "create the claim anew; the job starts by itself then",
    ),
}


@pytest.mark.parametrize("presence", OBSTACLES)
def test_a_claim_that_is_not_there_is_asked_for(presence: Presence) -> None:
    assert obstacle([Volume("ok"), Volume("data", presence)], 1, "research") == OBSTACLES[presence]


def test_a_gang_cannot_share_a_claim_of_one_node() -> None:
    alone = Volume("data", shared=False)
    assert obstacle([alone], 1, "research") is None
    assert obstacle([replace(alone, shared=True)], 2, "research") is None
    assert obstacle([alone], 2, "research") == (
        "ClaimNotShared",
        "PersistentVolumeClaim data can be mounted on one node at a time, and the job's 2 ranks run on a node each: "
        "use a claim with access mode ReadWriteMany, or set spec.trainer.numNodes to 1",
    )
