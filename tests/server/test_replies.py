"""Reading a peer's bytes: nothing but the one good form passes, and nothing else is raised."""

from io import BytesIO
from math import exp, log, sqrt

import numpy as np
import pytest
from flwr.app import Array
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.replies import ReplyRejected, noised_norm_bound, read_vector
from strategies.wrappers.vectors import NUMPY, to_array

VECTORS = arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=True))


def claiming(data: bytes, dimension: int) -> Array:
    return Array("float64", (dimension,), NUMPY, data)


@given(VECTORS)
def test_a_vector_as_flower_writes_it_is_read_to_the_last_bit(vector: np.ndarray) -> None:
    assert read_vector(Array(vector), len(vector)).tobytes() == vector.tobytes()
    assert read_vector(to_array(vector), len(vector)).tobytes() == vector.tobytes()


@given(VECTORS, st.sampled_from([(2, 0), (3, 0)]))
def test_other_versions_of_the_format_are_read_too(
    vector: np.ndarray, version: tuple[int, int]
) -> None:
    buffer = BytesIO()
    np.lib.format.write_array(buffer, vector, version=version)
    read = read_vector(claiming(buffer.getvalue(), len(vector)), len(vector))
    assert read.tobytes() == vector.tobytes()


@given(
    st.data(),
    st.integers(1, 12),
    st.lists(
        st.tuples(st.integers(0, 250), st.binary(min_size=1, max_size=3)), min_size=1, max_size=4
    ),
)
def test_mangled_bytes_are_rejected_or_are_what_numpy_reads(
    data: st.DataObject, dimension: int, edits: list[tuple[int, bytes]]
) -> None:
    """Fuzz: overwrite, insert or cut; an accepted vector is the one np.load gives the strategy."""
    good = bytearray(to_array(np.arange(float(dimension))).data)
    for at, new in edits:
        end = at + data.draw(st.sampled_from([0, len(new), 5]))
        good[at:end] = new
    array = claiming(bytes(good), dimension)
    try:
        read = read_vector(array, dimension)
    except ReplyRejected:
        return
    assert read.shape == (dimension,)
    assert read.tobytes() == array.numpy().tobytes()


@given(st.binary(max_size=400), st.integers(1, 40))
def test_arbitrary_bytes_raise_nothing_but_a_rejection(noise: bytes, dimension: int) -> None:
    with pytest.raises(ReplyRejected):
        read_vector(claiming(noise, dimension), dimension)


def test_the_norm_bound_is_the_stated_formula_and_fails_as_rarely_as_it_says() -> None:
    """B + sigma (sqrt d + t) with exp(-t^2 / 2) = 1e-6; at 1e-2 in its place, 1 % would be over."""
    bound = noised_norm_bound(0.5, 2.0, 10)
    t = sqrt(2 * log(1e6))
    assert bound == pytest.approx(0.5 + 2.0 * (sqrt(10) + t))
    assert exp(-(t**2) / 2) == pytest.approx(1e-6)
    norms = np.linalg.norm(np.random.default_rng(0).standard_normal((100_000, 10)), axis=1)
    assert norms.max() < sqrt(10) + t
    assert noised_norm_bound(0.5, 0.0, 10) == 0.5
