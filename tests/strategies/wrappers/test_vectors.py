"""Vectors in Flower Arrays: the bytes Flower writes, read as Flower reads them."""

from io import BytesIO

import numpy as np
import pytest
from flwr.app import Array
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strategies.wrappers.vectors import npy_header, to_array, to_vector


@given(arrays(np.float64, st.integers(0, 300)))
def test_vectors_are_written_and_read_as_flower_does(vector: np.ndarray) -> None:
    ours, flowers = to_array(vector), Array(vector)
    assert (ours.dtype, ours.shape, ours.stype) == (flowers.dtype, flowers.shape, flowers.stype)
    assert ours.data == flowers.data
    assert to_vector(flowers).tobytes() == flowers.numpy().tobytes() == vector.tobytes()


@given(st.integers(0, 10**6))
def test_headers_are_numpys(dimension: int) -> None:
    buffer = BytesIO()
    shape = (
        np.lib.stride_tricks.as_strided(np.zeros(1), (dimension,), (0,))
        if dimension
        else np.zeros(0)
    )
    np.lib.format.write_array_header_1_0(buffer, np.lib.format.header_data_from_array_1_0(shape))
    assert npy_header(dimension) == buffer.getvalue()


def test_a_header_for_more_values_than_memory_holds_is_just_a_header() -> None:
    assert len(npy_header(10**15)) == 128


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(4, dtype=np.float32),
        np.arange(4, dtype=">f8"),
        np.arange(4),
        np.float64(3.0),
    ],
    ids=lambda v: f"{v.dtype}{v.shape}",
)
def test_other_arrays_are_read_by_flower(values: np.ndarray) -> None:
    array = Array(np.asarray(values))
    assert to_vector(array).dtype == values.dtype
    np.testing.assert_array_equal(to_vector(array), values)


def test_an_array_that_lies_about_its_length_is_not_trusted() -> None:
    array = to_array(np.arange(3.0))
    array.shape = (10**15,)
    np.testing.assert_array_equal(to_vector(array), np.arange(3.0))


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros(3, dtype=np.float32)], ids=str)
def test_only_float64_vectors_are_written(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected a float64 vector, got"):
        to_array(wrong)
