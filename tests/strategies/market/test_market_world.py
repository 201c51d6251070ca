"""The synthetic world: distributions as stated, streams that do not touch each other."""

from dataclasses import replace

import numpy as np
import pytest

from strategies.market import (
    SET_A,
    MarketError,
    MarketSettings,
    attack_schedule,
    device_episode,
    device_types,
    draw_world,
    spoiled_cubes,
    synthetic_similarity,
    user_visits,
)


def test_types_are_even_and_rotate_with_the_seed():
    """7/7/6 each time; over three seeds every type has 20 devices."""
    counts = np.array([np.bincount(device_types(SET_A, s), minlength=4)[1:] for s in range(3)])
    assert np.sort(counts, axis=1).tolist() == [[6, 7, 7]] * 3
    assert counts.sum(axis=0).tolist() == [20, 20, 20]
    assert (device_types(SET_A, 0) != device_types(SET_A, 3)).any()


def test_attack_schedules_follow_their_type():
    """p = .05 and .5 a step, .5 a whole episode; tolerance of four standard deviations."""
    for kind, share, trials in ((1, 0.05, 20_000), (2, 0.5, 20_000), (3, 0.5, 400)):
        runs = np.array([attack_schedule(SET_A, 1, 0, kind, e) for e in range(400)])
        assert abs(runs.mean() - share) < 4 * np.sqrt(share * (1 - share) / trials)
        if kind == 3:
            assert (runs == runs[:, :1]).all()


def test_draws_follow_the_stated_ranges():
    """Costs U(.1, .5), values U(.5, 1.5), channels 1..4, coverage p = .3."""
    parts = [device_episode(SET_A, s, 2, 2, 0) for s in range(100)]
    values = np.concatenate([p.values for p in parts]) / 1e6
    costs = np.concatenate([p.costs for p in parts]) / 1e6
    channels = np.concatenate([p.channels for p in parts])
    assert values.min() >= 0.5 and values.max() < 1.5 and abs(values.mean() - 1.0) < 0.02
    assert costs.min() >= 0.1 and costs.max() < 0.5 and abs(costs.mean() - 0.3) < 0.01
    assert np.bincount(channels).nonzero()[0].tolist() == [1, 2, 3, 4]
    assert abs(np.mean([p.covers for p in parts]) - 0.3) < 0.01
    assert abs(np.mean([user_visits(SET_A, s, 0, 0) for s in range(100)]) - 0.5) < 0.01


def test_an_attack_spoils_one_covered_cube():
    """Only attacks spoil, and only what the device covers; all such cubes are reachable."""
    reached = set()
    for episode in range(10):
        part = device_episode(SET_A, 5, 3, 2, episode)
        spoils = part.spoiled >= 0
        np.testing.assert_array_equal(spoils, part.attacks & part.covers.any(axis=1))
        assert part.covers[spoils, part.spoiled[spoils]].all()
        reached |= set(part.spoiled[spoils].tolist())
    assert reached == set(range(8))


def test_streams_are_independent():
    """More users, cubes visited or channels on offer change nothing a device draws."""
    wide = replace(SET_A, users=50, channels=99, visit=0.9, episodes=3)
    one, two = device_episode(SET_A, 9, 4, 1, 2), device_episode(wide, 9, 4, 1, 2)
    for name in ("values", "costs", "channels", "covers", "attacks", "spoiled"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert (one.values != device_episode(SET_A, 9, 5, 1, 2).values).any()
    assert (one.values != device_episode(SET_A, 9, 4, 1, 3).values).any()
    assert (one.values != device_episode(SET_A, 8, 4, 1, 2).values).any()


def test_the_runner_draws_what_a_client_draws():
    """Row by row, the stacked world is made of the clients' own draws."""
    settings = replace(SET_A, devices=4, users=3, episodes=2, steps=5)
    world = draw_world(settings, [7, 8])
    assert world.covers.shape == (2, 10, 8, 4)
    assert world.visits.shape == (2, 10, 3, 8)
    for s, seed in enumerate((7, 8)):
        kinds = device_types(settings, seed)
        part = device_episode(settings, seed, 2, int(kinds[2]), 1)
        np.testing.assert_array_equal(world.values[s, 5:, 2], part.values)
        np.testing.assert_array_equal(world.covers[s, 5:, :, 2], part.covers)
        np.testing.assert_array_equal(world.attacks[s, 5:, 2], part.attacks)
        np.testing.assert_array_equal(world.visits[s, 5:, 1], user_visits(settings, seed, 1, 1))


def test_similarity_of_intact_and_spoiled():
    """One cube, three devices: two intact, one spoiled; a fourth elsewhere."""
    covers = np.array([[True, True, True, False]])
    spoils = spoiled_cubes(np.array([-1, -1, 0, -1]), 1)
    assert synthetic_similarity(covers, spoils)[0].tolist() == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"devices": -1}, "devices is -1"),
        ({"cover": 1.5}, "probabilities lie in 0..1"),
        ({"attack": (0.1, 0.2, float("nan"))}, "probabilities lie in 0..1"),
        ({"attack": (0.1, 0.2)}, "one per type"),
        ({"pair_rule": "dice"}, "pair_rule is 'dice'"),
        ({"value_range": (5, 5)}, "value_range is 5..5"),
        ({"cost_range": (-2, 5)}, "cost_range is -2..5"),
        ({"size_range": (0, 4)}, "size_range"),
    ],
)
def test_bad_settings_are_refused_in_one_line(change, message):
    """What, why, what to do."""
    with pytest.raises(MarketError, match=message) as caught:
        MarketSettings(**change)
    assert "\n" not in str(caught.value)
