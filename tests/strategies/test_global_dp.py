"""The paper's clip and noise formulas: hand-worked cases, exact thresholds, edge cases."""

from fractions import Fraction
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strategies.privacy.global_dp import READINGS, GlobalDP, clip

DELTA_WITH_C_2 = 1.25 * exp(-2)  # c = sqrt(2 ln(1.25 / delta)) = 2
SIZES = st.lists(st.integers(1, 10**9), min_size=1, max_size=30)


def protocol(epsilon=1.0, clip_norm=1.0, rounds=3, exposures=1, reading="std") -> GlobalDP:
    return GlobalDP(epsilon, DELTA_WITH_C_2, clip_norm, rounds, exposures, reading)


def test_equal_shards_by_hand() -> None:
    """V=4, m=10, B=.5, T=5, E=2, eps=1, c=2: S=.1, sigma_1=.4, sigma_2=2Bc sqrt(25-16)/40=.15."""
    case = protocol(clip_norm=0.5, rounds=5, exposures=2)
    assert case.constant == pytest.approx(2.0, abs=1e-12)
    assert case.claimed_sensitivity(10) == pytest.approx(0.1, abs=1e-12)
    assert case.upload_noise_std(10) == pytest.approx(0.4, abs=1e-12)
    assert case.broadcast_noise_std(10, [10] * 4) == pytest.approx(0.15, abs=1e-12)


def test_unequal_shards_by_hand() -> None:
    """|D| = 10, 30, B=1, T=3, E=1, eps=2, c=2: sigma=.45, sigma_1=.2, sum pi^2=.625."""
    case = protocol(epsilon=2.0)
    assert case.upload_noise_std(10) == pytest.approx(0.2, abs=1e-12)
    expected = sqrt(0.45**2 - 0.2**2 * 0.625)
    assert case.broadcast_noise_std(10, [10, 30]) == pytest.approx(expected, abs=1e-12)


def test_variance_reading_by_hand() -> None:
    """The same numbers read as variances: .2, and .45 - .2 * .625 = .325."""
    case = protocol(epsilon=2.0, reading="variance")
    assert case.upload_noise_std(10) == pytest.approx(sqrt(0.2), abs=1e-12)
    assert case.broadcast_noise_std(10, [10, 30]) == pytest.approx(sqrt(0.325), abs=1e-12)


def test_the_main_job_by_hand() -> None:
    """paper-std at eps 30, V=20, m=27: c = sqrt(2 ln 125) = 3.1075; sigma_1 = c (1/27)/30."""
    case = GlobalDP(30.0, 1e-2, 0.5, 100, 1)
    c = sqrt(2 * np.log(125))
    assert case.upload_noise_std(27) == pytest.approx(c / 27 / 30, rel=1e-12)
    equal = c * sqrt(100**2 - 20) / (20 * 27 * 30)
    assert case.broadcast_noise_std(27, [27] * 20) == pytest.approx(equal, rel=1e-12)


@given(
    st.integers(1, 40),
    st.integers(1, 10**6),
    st.integers(1, 60),
    st.integers(1, 60),
    st.floats(0.1, 100),
    st.floats(1e-9, 0.9),
)
def test_equal_shards_are_eq_13(
    v: int, m: int, t: int, e: int, epsilon: float, delta: float
) -> None:
    assume(e <= t)
    case = GlobalDP(epsilon, delta, 0.5, t, e)
    inside = t * t - e * e * v
    expected = 2 * 0.5 * case.constant * sqrt(inside) / (v * m * epsilon) if inside > 0 else 0.0
    assert case.broadcast_noise_std(m, [m] * v) == pytest.approx(expected, rel=1e-12)


@given(SIZES, st.integers(1, 10**4), st.integers(1, 10**4), st.sampled_from(READINGS))
def test_general_form_is_the_difference_of_variances(
    sizes: list[int], t: int, e: int, reading: str
) -> None:
    """Oracle: sigma^2 - sigma_1^2 sum pi^2 in exact rational arithmetic over c S / eps."""
    assume(e <= t)
    case = protocol(rounds=t, exposures=e, reading=reading)
    m, total = min(sizes), sum(sizes)
    shares = [Fraction(size, total) for size in sizes]
    squares = sum(share * share for share in shares)
    if reading == "std":
        inside = (t * max(shares)) ** 2 - e * e * squares
        expected = case.constant * 2 / m * sqrt(max(inside, 0))
    else:
        inside = t * max(shares) - e * squares
        expected = sqrt(case.constant * 2 / m * max(inside, 0))
    assert case.broadcast_noise_std(m, sizes) == pytest.approx(expected, rel=1e-12)


@given(SIZES, st.integers(1, 10**4), st.integers(1, 10**4))
def test_no_noise_is_added_exactly_when_the_uploads_noise_suffices(
    sizes: list[int], t: int, e: int
) -> None:
    """sigma_2 == 0 iff T <= E sqrt(sum pi^2) / max pi, decided here in whole numbers."""
    assume(e <= t)
    enough = t * t * max(sizes) ** 2 <= e * e * sum(size * size for size in sizes)
    added = protocol(rounds=t, exposures=e).broadcast_noise_std(min(sizes), sizes)
    assert (added == 0.0) == enough


@given(st.integers(1, 100), st.integers(1, 30), st.integers(1, 10**9), st.integers(-1, 1))
def test_the_threshold_is_met_to_the_round(e: int, root: int, m: int, beside: int) -> None:
    """V = root^2 equal shards: sigma_2 is 0 up to T = E root and not at T = E root + 1."""
    t = e * root + beside
    assume(t >= e)
    added = protocol(rounds=t, exposures=e).broadcast_noise_std(m, [float(m)] * root**2)
    assert (added > 0.0) == (beside == 1)


def test_a_single_record_squared_decides_beyond_the_precision_of_floats() -> None:
    """T = 2, E = 1, shards M, M, M, a, b: a^2 + b^2 = M^2 + 1 is enough, M^2 - 1 is not."""
    case, k = protocol(rounds=2), 20_000
    enough = [2 * k * k] * 3 + [2 * k, 2 * k * k - 1]
    short = [2 * k * k + 1] * 3 + [2 * k * k, 2 * k]
    assert sum(n * n for n in enough) - 4 * max(enough) ** 2 == 1
    assert sum(n * n for n in short) - 4 * max(short) ** 2 == -1
    assert case.broadcast_noise_std(1, enough) == 0.0
    assert case.broadcast_noise_std(1, short) > 0.0


@given(SIZES, st.floats(0.1, 10))
def test_more_epsilon_is_less_noise_in_proportion(sizes: list[int], epsilon: float) -> None:
    one, other = protocol(), protocol(epsilon=epsilon)
    m = min(sizes)
    assert other.upload_noise_std(m) * epsilon == pytest.approx(one.upload_noise_std(m))
    assert other.broadcast_noise_std(m, sizes) * epsilon == pytest.approx(
        one.broadcast_noise_std(m, sizes)
    )


VECTORS = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=st.floats(-1e100, 1e100)
)


@given(VECTORS, st.floats(1e-6, 1e6))
def test_clip_is_the_projection_onto_the_ball(vectors: np.ndarray, bound: float) -> None:
    clipped = clip(vectors, bound)
    before, after = np.linalg.norm(vectors, axis=1), np.linalg.norm(clipped, axis=1)
    assert (after <= bound * (1 + 1e-12)).all()
    inside = before <= bound
    assert np.array_equal(clipped[inside], vectors[inside])
    # outside: on the sphere, in the same direction, which is the nearest point of the ball
    np.testing.assert_allclose(after[~inside], bound, rtol=1e-12)
    np.testing.assert_allclose(
        clipped[~inside] / bound, vectors[~inside] / before[~inside, None], atol=1e-12
    )


@given(
    st.integers(1, 6).flatmap(
        lambda d: st.tuples(*[arrays(np.float64, d, elements=st.floats(-1e3, 1e3))] * 2)
    ),
    st.floats(0.01, 100),
)
def test_clip_brings_no_two_points_further_apart(
    pair: tuple[np.ndarray, np.ndarray], bound: float
) -> None:
    first, second = pair
    apart = np.linalg.norm(clip(first, bound) - clip(second, bound))
    assert apart <= np.linalg.norm(first - second) * (1 + 1e-12) + 1e-12


def test_the_zero_vector_stays_zero() -> None:
    assert clip(np.zeros((2, 3)), 0.5).tolist() == np.zeros((2, 3)).tolist()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"epsilon": float("inf")}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"delta": float("nan")}, "delta"),
        ({"clip_norm": 0.0}, "clip norm"),
        ({"clip_norm": float("inf")}, "clip norm"),
        ({"exposures": 0}, "exposures"),
        ({"exposures": 4}, "exposures must lie between 1 and the rounds 3, got 4"),
        ({"rounds": 0}, "exposures"),
        ({"reading": "sigma"}, "reading"),
    ],
    ids=str,
)
def test_calibrations_that_mean_nothing_are_refused(change: dict, reason: str) -> None:
    good = {"epsilon": 1.0, "delta": 0.1, "clip_norm": 1.0, "rounds": 3, "exposures": 1}
    with pytest.raises(ValueError, match=reason):
        GlobalDP(**(good | change))


def test_sizes_that_mean_nothing_are_refused() -> None:
    for sizes in ([], [0], [3, -1]):
        with pytest.raises(ValueError, match="sizes must be"):
            protocol().broadcast_noise_std(1, sizes)
    with pytest.raises(ValueError, match="smallest shard must be at least 1"):
        protocol().upload_noise_std(0)
