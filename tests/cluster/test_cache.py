"""What several clusters take care of at a time: the nodes' image stores, and the archives of images."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.cache import remove_all_but

pytestmark = pytest.mark.engine


def test_clusters_that_start_side_by_side_remove_older_stores_together(tmp_path: Path) -> None:
    for number in range(6):
        store = tmp_path / f"a{number}"
        for blob in range(200):
            (store / f"layer-{blob}").mkdir(parents=True)
        os.utime(store, (number, number))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remove_all_but, [2] * 4, [tmp_path] * 4, ["a*"] * 4))
    assert sorted(path.name for path in tmp_path.glob("a*")) == ["a4", "a5"]


def test_archives_that_others_remove_meanwhile_are_no_failure(tmp_path: Path) -> None:
    for number in range(400):
        archive = tmp_path / f"operator-{number:03}.tar"
        archive.touch()
        os.utime(archive, (number, number))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remove_all_but, range(8, 0, -1), [tmp_path] * 8, ["operator-*.tar"] * 8))
    assert [path.name for path in tmp_path.glob("*.tar")] == ["operator-399.tar"]
