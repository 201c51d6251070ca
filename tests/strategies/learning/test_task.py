"""The task of a run: what is held out, who holds what, and that the seed decides it."""

import numpy as np

from strategies.learning.task import federation_of
from strategies.settings import Settings


def test_records_are_held_out_once_and_belong_to_one_clinic() -> None:
    parts = federation_of(Settings())
    rows = np.concatenate([parts.test, *parts.shards])
    assert sorted(rows.tolist()) == list(range(683))
    assert (len(parts.test), len(parts.train)) == (137, 546)
    assert sorted(set(parts.sizes)) == [27, 28]


def test_another_seed_is_another_cut_and_the_same_seed_the_same() -> None:
    first, again = federation_of(Settings(seed=4)), federation_of(Settings(seed=4, rounds=50))
    other = federation_of(Settings(seed=5))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_the_unit_patient_keeps_everyone_in_one_place() -> None:
    parts = federation_of(Settings(unit="patient"))
    places = [set(parts.table.groups[rows].tolist()) for rows in (parts.test, *parts.shards)]
    assert sum(map(len, places)) == len(set().union(*places))
    by_record = federation_of(Settings(split="record"))
    leaked = set(by_record.table.groups[by_record.test].tolist()) & set(
        by_record.table.groups[by_record.train].tolist()
    )
    assert leaked  # random splits leak, and the docs say so
