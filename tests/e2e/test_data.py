"""Data of one's own on a real cluster: from a claim and from a ConfigMap, and the curves that come back."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.jobs import Jobs, iris_job
from tests.e2e.volumes import MOUNT, copy_to_claim, make_claim, run_on_claim
from tests.examples import job_of, named

pytestmark = pytest.mark.kind

SMALL_MNIST = f"""
import gzip, os, struct
import numpy as np
from sklearn.datasets import load_digits

def write(name, array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{{array.ndim}}I", *array.shape)
    with gzip.open(f"{MOUNT}/mnist/{{name}}.gz", "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())

os.makedirs("{MOUNT}/mnist")
digits = load_digits()
mixed = np.random.default_rng(0).permutation(1797)              # the last rows are of other writers
images, target = digits.images[mixed], digits.target[mixed]
images = np.kron(images * 15, np.ones((1, 3, 3)))      # 8×8 of 0 to 16 become 24×24 of 0 to 240
images = np.pad(images, ((0, 0), (2, 2), (2, 2)))             # and 28×28 with MNIST's black margin
write("train-images-idx3-ubyte", images[:1500])
write("train-labels-idx1-ubyte", target[:1500])
write("t10k-images-idx3-ubyte", images[1500:])
write("t10k-labels-idx1-ubyte", target[1500:])
"""
"""1797 small digits in MNIST's files and size."""

REAL_MNIST = "LOADSTAR_MNIST"
"""Names the folder with MNIST's own four files, which are not part of this project."""

SMALL_TABLE = f"""
rows = "".join(f"{{i}},{{-i}},{{i % 2}}\\n" for i in range(60))
open("{MOUNT}/data.csv", "w").write("a,b,kind\\n" + rows)
"""


def curve(jobs: Jobs, name: str, metric: str) -> list[float]:
    """A metric's history as the ConfigMap of a finished job keeps it."""
    jobs.wait_for("curves", lambda: "configMap" in jobs.status(name).get("curves", {}))
    found = json.loads(jobs.kubectl("get", "configmap", f"{name}-curves", "--output=json"))
    points = json.loads(found["data"]["curves.json"])["metrics"][metric]
    return [float(point[-1]) for point in points]


def mnist_accuracy(jobs: Jobs, seconds: float) -> float:
    """What the example's resource says, as the trainer recorded it, after it has ended within so much time."""
    jobs.apply_file(named("mnist-cnn"))
    status = jobs.wait_for_phase("mnist-cnn", "Succeeded", seconds=seconds)
    assert status["accuracy"] == jobs.record("mnist-cnn")["accuracy"]
    return float(status["accuracy"])


def test_the_mnist_example_learns_from_idx_files_on_a_claim(jobs: Jobs) -> None:
    make_claim(jobs, "mnist")
    run_on_claim(jobs, "mnist", SMALL_MNIST)
    assert mnist_accuracy(jobs, seconds=240) >= 0.9


@pytest.mark.skipif(
    REAL_MNIST not in os.environ,
    reason=f"{REAL_MNIST} names no folder with MNIST's own files; docs/training.md says where they are",
)
def test_of_the_real_mnist_99_digits_of_100_are_read(jobs: Jobs, tmp_path: Path) -> None:
    shutil.copytree(os.environ[REAL_MNIST], tmp_path / "mnist")
    make_claim(jobs, "mnist")
    copy_to_claim(jobs, "mnist", tmp_path)
    assert mnist_accuracy(jobs, seconds=1800) >= 0.99


def test_a_job_waits_for_its_claim_and_says_so(jobs: Jobs) -> None:
    jobs.apply(iris_job("early", dataset={"uri": "pvc://later/data.csv"}))
    jobs.wait_for("a reason", lambda: "ClaimNotFound" in str(jobs.condition("early", "Placed")))
    make_claim(jobs, "later")
    run_on_claim(jobs, "later", SMALL_TABLE)
    jobs.wait_for_phase("early", "Succeeded")


def test_bad_data_fails_the_job_at_once_and_the_message_names_file_column_and_row(jobs: Jobs) -> None:
    rows = "".join(f"{i},{i % 3},{i % 2}\n" for i in range(40))
    table = f"height,width,kind\n{rows}7,,1\n"
    jobs.kubectl("create", "configmap", "table", f"--from-literal=table.csv={table}")
    jobs.apply(iris_job("holes", dataset={"uri": "configmap://table/table.csv"}))
    jobs.wait_for_phase("holes", "Failed")
    failed = jobs.condition("holes", "Failed")
    assert all(word in failed["message"] for word in ("table.csv", "width", "dropMissing")), failed
    assert jobs.status("holes")["attempt"] == 1


def test_curves_and_the_matrix_of_a_binary_classifier_are_kept(jobs: Jobs) -> None:
    jobs.apply_file(named("binary-npy"))
    status = jobs.wait_for_phase("binary-npy", "Succeeded")
    matrix = status["result"]["confusionMatrix"]
    right, total = sum(matrix[i][i] for i in range(2)), sum(map(sum, matrix))
    assert total == 48
    assert right / total == pytest.approx(float(status["accuracy"]))
    assert right / total >= 0.75
    assert len(curve(jobs, "binary-npy", "validationAccuracy")) == 10


def test_the_language_models_perplexity_falls(jobs: Jobs) -> None:
    jobs.apply_file(named("text-transformer"))
    jobs.wait_for_phase("text-transformer", "Succeeded", seconds=240)
    perplexities = curve(jobs, "text-transformer", "validationPerplexity")
    assert perplexities[-1] < perplexities[0]
    assert perplexities[-1] < 40


def test_iris_is_learned_whatever_the_seed(jobs: Jobs) -> None:
    spec = job_of(named("iris-mlp"))["spec"]
    names = [f"seed-{seed}" for seed in range(5)]
    for seed, name in enumerate(names):
        jobs.apply(iris_job(name, **{**spec, "training": {**spec["training"], "seed": seed}}))
    accuracies = [float(jobs.wait_for_phase(name, "Succeeded", seconds=240)["accuracy"]) for name in names]
    assert sum(accuracies) / 5 >= 0.97, accuracies
