"""One random stream per purpose, the same for a seed on every machine."""

import numpy as np

from datasets.seeding import Purpose, generator


def test_streams_of_two_purposes_differ() -> None:
    held_out = generator(1, Purpose.HOLDOUT).integers(2**60, size=4)
    cut = generator(1, Purpose.PARTITION).integers(2**60, size=4)
    assert not np.isin(held_out, cut).any()


def test_purposes_are_words() -> None:
    words = {purpose.value.to_bytes(4) for purpose in Purpose}
    assert words == {b"hold", b"part", b"publ"}
