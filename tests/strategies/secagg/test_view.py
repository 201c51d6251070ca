"""The server's whole view of one clinic beside random bytes.

What a clinic sends is compared with uniform bytes by chi-square over 256 values. A p-value below
1e-7 fails, so that a right implementation fails one run in millions, whatever its random keys;
that the test can fail is shown on what the masks hide.
"""

import numpy as np
from scipy import stats

from strategies.secagg.masks import Words, expand, pack, reduce
from strategies.secagg.member import Member, self_mask_seed
from strategies.secagg.shamir import PRIME, combine
from strategies.secagg.terms import terms_for

N, SIZE, BITS = 5, 4000, 40
TERMS = terms_for(N, bits=BITS)
LEAST_P = 1e-7


def p_of(data: bytes) -> float:
    """Return the p-value of uniform bytes."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    return float(stats.chisquare(counts).pvalue)


class View:
    """One session, and all that the server is sent by and about clinic 0 but its mask key."""

    def __init__(self, inputs: Words) -> None:
        members = {m: Member(m, b"session", TERMS) for m in range(N)}
        adverts = [member.advertise() for member in members.values()]
        shared = {m: member.share(adverts) for m, member in members.items()}
        letters = {m: {v: shared[v][0][m] for v in range(N) if v != m} for m in range(N)}
        self.masked = {m: members[m].mask(inputs, letters[m], range(N)) for m in range(N)}
        revealed = {m: members[m].open(range(N)) for m in range(N)}
        # X25519 keys have 255 bits and shares are below a prime above 2^256: whole bytes of each
        keys = adverts[0].cipher_key[:31] + adverts[0].mask_key[:31]
        shares = b"".join((v % 2**248).to_bytes(31, "big") for v in revealed[0].values())
        self.sent = keys + b"".join(shared[0][0].values()) + shared[0][1] + shares
        secret = combine({m + 1: revealed[m][0] for m in range(N)}, TERMS.threshold)
        seed = self_mask_seed(secret, b"session")
        self.stripped = reduce(self.masked[0] - expand(seed, SIZE, BITS), BITS)


ZEROS = np.zeros(SIZE, dtype=np.uint64)


def test_everything_a_clinic_sends_looks_random_though_its_input_is_zero() -> None:
    views = [View(ZEROS) for _ in range(12)]
    assert p_of(b"".join(view.sent for view in views)) > LEAST_P
    assert p_of(b"".join(pack(view.masked[0], BITS) for view in views)) > LEAST_P


def test_with_its_self_mask_taken_off_the_pairwise_masks_still_hide_it() -> None:
    """The server learns the self mask of every survivor: what is left must look random too."""
    view = View(ZEROS)
    assert p_of(pack(view.stripped, BITS)) > LEAST_P
    assert np.count_nonzero(view.stripped) > SIZE - 5


def test_two_inputs_as_far_apart_as_possible_look_the_same() -> None:
    far = reduce(ZEROS - np.uint64(1), BITS)
    one, other = (
        np.concatenate([View(values).stripped for _ in range(3)]) for values in (ZEROS, far)
    )
    assert stats.ks_2samp(one, other).pvalue > LEAST_P


def test_a_masked_vector_says_nothing_of_its_input_without_the_others() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1 << 20, SIZE, dtype=np.uint64)
    view = View(values)
    # 5.5 standard deviations of a correlation of independent vectors
    assert abs(np.corrcoef(values, view.stripped.astype(float))[0, 1]) < 5.5 / np.sqrt(SIZE)


def test_the_comparison_can_fail() -> None:
    rng = np.random.default_rng(0)
    noise = np.rint(rng.normal(scale=1 << 20, size=SIZE)).astype(np.int64)
    unmasked = reduce(noise.astype(np.uint64), BITS)  # an input with its noise and no mask
    assert p_of(pack(unmasked, BITS)) < LEAST_P
    biased = expand(b"k" * 32, SIZE, BITS) & np.uint64((1 << BITS) - 2)  # one bit of 40 is stuck
    assert p_of(pack(biased, BITS)) < LEAST_P


def test_shares_below_the_threshold_look_random_too() -> None:
    """Of a zero secret, t - 1 shares: elements of the field, uniform."""
    from strategies.secagg.shamir import split

    shares = [s for _ in range(400) for s in list(split(bytes(32), range(1, 6), 4).values())[:3]]
    assert all(0 <= share < PRIME for share in shares)
    assert p_of(b"".join((share % 2**248).to_bytes(31, "big") for share in shares)) > LEAST_P
