"""Kubernetes quantities as exact integers."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstar.api.quantities import LARGEST, InvalidQuantity, byte_count, devices, exact, millicores

UNITS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


@pytest.mark.parametrize("suffix", UNITS)
@given(whole=st.integers(0, 7), thousandths=st.integers(0, 999))
def test_each_suffix_scales_exactly(suffix: str, whole: int, thousandths: int) -> None:
    number = Fraction(whole) + Fraction(thousandths, 1000)
    assert exact(f"{whole}.{thousandths:03}{suffix}") == number * UNITS[suffix]


@given(mantissa=st.integers(-999, 999), exponent=st.integers(-12, 15), letter=st.sampled_from("eE"))
def test_an_exponent_scales_exactly(mantissa: int, exponent: int, letter: str) -> None:
    assert exact(f"{mantissa}{letter}{exponent}") == Fraction(mantissa) * Fraction(10) ** exponent


@given(st.integers(1, 2**63 - 1))
def test_a_plain_integer_is_itself(number: int) -> None:
    assert byte_count(number) == byte_count(str(number)) == number


@given(st.integers(1, 10**12))
def test_what_is_finer_than_a_millicore_is_rounded_up(nanocores: int) -> None:
    assert millicores(f"{nanocores}n") == -(-nanocores // 10**6)


@given(st.text(max_size=80) | st.text("0123456789.+-eEnumkMGTPi", max_size=12))
def test_any_text_is_a_quantity_or_an_invalid_quantity(text: str) -> None:
    with suppress(InvalidQuantity):
        assert abs(exact(text)) <= LARGEST


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2000), ("500m", 500), ("0.1", 100), (".5", 500), (4, 4000)]
)
def test_cpu_is_read_in_millicores(text: str | int, value: int) -> None:
    assert millicores(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512Mi", 512 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1E", 10**18),
        ("1e3", 1000),
        ("128974848", 128974848),
        ("1m", 1),
    ],
)
def test_memory_is_read_in_bytes(text: str, value: int) -> None:
    assert byte_count(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1GB",
        "1gi",
        "Mi",
        ".",
        "+",
        "0x10",
        "1e",
        "1e3m",
        "NaN",
        "Infinity",
        "١",
        "1\n",
        "1" * 65,
    ],
)
def test_what_is_no_quantity_is_an_error_with_an_example(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="is not a quantity: write a number such as"):
        exact(text)


@pytest.mark.parametrize("text", ["9Ei", "1e999", "9223372036854775808"])
def test_what_kubernetes_cannot_count_is_an_error(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="larger than Kubernetes can count"):
        exact(text)


@pytest.mark.parametrize("text", ["0", "-1", "-500m", "-0.0000001n"])
def test_a_request_of_nothing_is_an_error(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="cpu must be a quantity above zero"):
        millicores(text)


@pytest.mark.parametrize(("text", "value"), [("0", 0), (8, 8), ("2.0", 2), ("1k", 1000)])
def test_devices_are_counted(text: str | int, value: int) -> None:
    assert devices(text) == value


@pytest.mark.parametrize("text", ["0.5", "100m", "-1"])
def test_a_part_of_a_device_is_an_error(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="counts whole devices"):
        devices(text)
