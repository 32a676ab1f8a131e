"""Built-in data: what is loaded, how it is split and scaled."""

import numpy as np
import pytest
import sklearn.datasets

from loadstar_trainer.data import Samples, prepare
from loadstar_trainer.data.builtin import draw, load
from loadstar_trainer.data.fingerprint import fingerprint
from loadstar_trainer.data.scaling import fit
from loadstar_trainer.data.splitting import split
from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Dataset, Split, Synthetic

LOADERS = {
    "iris": sklearn.datasets.load_iris,
    "digits": sklearn.datasets.load_digits,
    "breast-cancer": sklearn.datasets.load_breast_cancer,
    "wine": sklearn.datasets.load_wine,
}


@pytest.mark.parametrize("name", LOADERS)
def test_the_data_are_those_of_scikit_learn(name: str) -> None:
    features, targets = LOADERS[name](return_X_y=True)
    samples = load(name)
    assert np.array_equal(samples.features.reshape(len(features), -1), features)
    assert np.array_equal(samples.targets, targets)


def test_digits_are_images() -> None:
    assert load("digits").features.shape == (1797, 1, 8, 8)


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_class_has_its_share_of_each_part(name: str, seed: int) -> None:
    samples = load(name)
    rows = split(samples.targets, Split(0.1, 0.2, seed))
    parts = [samples.take(part) for part in (rows.training, rows.validation, rows.test)]
    assert sum(map(len, parts)) == len(samples)
    overall = np.bincount(samples.targets) / len(samples)
    for part in parts:
        counts = np.bincount(part.targets, minlength=len(overall))
        assert np.all(np.abs(counts - overall * len(part)) <= 1.5)


def test_no_sample_is_in_two_parts() -> None:
    rows = split(np.zeros(97, np.int64), Split(0.1, 0.2, 3))
    assert sorted([*rows.training, *rows.validation, *rows.test]) == list(range(97))


def test_the_seed_decides_the_split() -> None:
    tests = [split(load("iris").targets, Split(0.1, 0.2, seed)).test for seed in (0, 0, 1)]
    assert np.array_equal(tests[0], tests[1])
    assert not np.array_equal(tests[0], tests[2])


def test_a_share_of_less_than_one_sample_is_refused() -> None:
    with pytest.raises(Refused, match=r"dataset\.split\.validation 0\.001 of 150 samples"):
        split(load("iris").targets, Split(0.001, 0.2, 0))


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_scaling_is_fitted_on_the_training_part_alone(scale: str) -> None:
    data = prepare(Dataset("iris", None, scale, Split(0.1, 0.2, 0)))
    training, test = data.training.features, data.test.features
    if scale == "standard":
        assert training.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
        assert training.std(axis=0) == pytest.approx(np.ones(4))
    else:
        assert (training.min(), training.max()) == (0, 1)
    assert test.mean(axis=0) != pytest.approx(training.mean(axis=0), abs=1e-3)


def test_a_constant_column_is_not_divided_by_zero() -> None:
    scaling = fit(np.array([[1.0, 5.0], [3.0, 5.0]]), "standard")
    assert (scaling.shift.tolist(), scaling.width.tolist()) == ([[2.0, 5.0]], [[1.0, 1.0]])


def test_images_are_scaled_by_channel_not_by_pixel() -> None:
    assert fit(np.zeros((5, 3, 8, 8)), "standard").shift.shape == (1, 3, 1, 1)


def test_a_linear_target_is_the_weighted_sum_of_the_features() -> None:
    samples = draw(Synthetic(samples=50, features=2, coefficients=(3.0, 2.0), noise=0.0))
    assert samples.targets == pytest.approx(samples.features @ np.array([3.0, 2.0]))


def test_noise_has_the_given_deviation() -> None:
    samples = draw(Synthetic(samples=20_000, features=1, coefficients=(1.0,), noise=0.5))
    assert (samples.targets - samples.features[:, 0]).std() == pytest.approx(0.5, rel=0.03)


def test_the_fingerprint_changes_with_any_value() -> None:
    samples = load("iris")
    changed = Samples(samples.features.copy(), samples.targets)
    changed.features[149, 3] += 1e-9
    assert fingerprint(samples) == fingerprint(load("iris"))
    assert fingerprint(changed) != fingerprint(samples)
