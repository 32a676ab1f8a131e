"""The nodes' image stores, of which several clusters may take care at a time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.engine.stores import remove_all_but

pytestmark = pytest.mark.engine


def test_clusters_that_start_side_by_side_remove_older_stores_together(tmp_path: Path) -> None:
    for number in range(6):
        store = tmp_path / f"a{number}"
        for blob in range(200):
            (store / f"layer-{blob}").mkdir(parents=True)
        os.utime(store, (number, number))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remove_all_but, [2] * 4, [tmp_path] * 4))
    assert sorted(path.name for path in tmp_path.glob("a*")) == ["a4", "a5"]
