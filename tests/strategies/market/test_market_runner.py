"""The vectorised runner does what a plain loop over one market does."""

from dataclasses import replace

import numpy as np
import pytest

from strategies.auction import solve, tie_keys
from strategies.market import SET_B, MarketError, device_episode, device_types, simulate_market
from strategies.market.world import user_visits
from strategies.reputation import faded

SMALL = replace(SET_B, devices=9, users=6, channels=9, episodes=2, steps=15)


def _plain_loop(settings, seed):
    """Run one market from the definitions: loops, direct sums and no shared code but draws."""
    kinds = device_types(settings, seed)
    names = [str(i) for i in range(settings.devices)]
    praise, blame = [], []
    wins, reputations = [], []
    constants = settings.reputation
    for step in range(settings.rounds):
        episode, t = divmod(step, settings.steps)
        parts = [
            device_episode(settings, seed, i, int(kinds[i]), episode) for i in range(len(names))
        ]
        visits = [user_visits(settings, seed, j, episode)[t] for j in range(settings.users)]
        standing = np.full(settings.devices, constants.base_rate)
        if step:
            standing = faded(praise, blame, constants).reputation(constants).mean(axis=1)
        able = [i for i in range(len(names)) if standing[i] >= constants.threshold - 1e-9]
        outcome = solve(
            [int(parts[i].values[t]) for i in able],
            [int(parts[i].costs[t]) for i in able],
            [int(parts[i].channels[t]) for i in able],
            settings.channels,
            ties=tie_keys(seed, "auction", step, [names[i] for i in able]),
        )
        won = {able[k] for k in np.flatnonzero(outcome.winners)}
        spoiled = {(i, int(parts[i].spoiled[t])) for i in won}
        keys = tie_keys(seed, "blame", step, names)
        guilty = {}
        for k in range(settings.cubes):
            there = [i for i in won if parts[i].covers[t, k]]
            if any((i, k) in spoiled for i in there) and any(v[k] for v in visits):
                guilty[k] = _suspect(there, k, spoiled, standing, keys)
        good, bad = np.zeros((2, settings.devices, settings.users))
        for j, visit in enumerate(visits):
            for i in won:
                bad[i, j] = any(visit[k] and who == i for k, who in guilty.items())
                good[i, j] = not bad[i, j] and (visit & parts[i].covers[t]).any()
        praise.append(good)
        blame.append(bad)
        wins.append([i in won for i in range(settings.devices)])
        reputations.append(standing)
    return np.array(wins), np.array(reputations)


def _suspect(there, cube, spoiled, standing, keys):
    """Return whom Algorithm 1 blames."""

    def score(i):
        if len(there) == 2:
            return round(standing[i], 9)
        intact = [n for n in there if n != i and (n, cube) not in spoiled]
        return 0 if (i, cube) in spoiled else len(intact)

    return min(there, key=lambda i: (score(i), keys[i]))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_runner_equals_the_plain_loop(seed):
    """Winners of every step exactly, reputations to rounding."""
    run = simulate_market(SMALL, [seed + 10, seed], "filtered")
    wins, reputations = _plain_loop(SMALL, seed)
    np.testing.assert_array_equal(run.wins[1], wins)
    np.testing.assert_allclose(run.reputations[1], reputations, rtol=0, atol=1e-12)
    assert run.blamed[1] > 0


@pytest.mark.parametrize("mode", ["none", "unfiltered", "filtered"])
def test_seeds_do_not_touch_each_other(mode):
    """A seed's market is the same to the bit alone and among others, and when run again."""
    alone = simulate_market(SMALL, [4], mode)
    among = simulate_market(SMALL, [3, 4, 5], mode)
    for name in ("wins", "payments", "reputations", "attacks"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(among, name)[1])


def test_figures_by_hand():
    """Recompute each figure of a short run from its raw arrays by plain sums."""
    run = simulate_market(SMALL, [6], "unfiltered")
    won = [(t, i) for t in range(SMALL.rounds) for i in range(SMALL.devices) if run.wins[0, t, i]]
    first = sum(run.types[0, i] == 1 for _, i in won) / len(won)
    assert run.shares[0, 0] == pytest.approx(first)
    assert run.shares.sum() == pytest.approx(1)
    welfare = sum(int(run.values[0, t, i] - run.costs[0, t, i]) for t, i in won) / SMALL.rounds
    assert run.welfare[0] == pytest.approx(welfare)
    tampered = [(t, i) for t, i in won if run.attacks[0, t, i]]
    assert tampered
    assert run.attack_rate[0] == pytest.approx(len(tampered) / len(won))
    lost = sum(int(run.values[0, t, i]) for t, i in tampered) / SMALL.rounds
    assert run.adjusted_welfare[0] == pytest.approx(welfare - lost)
    honest = run.reputations[0][:, run.types[0] == 1]
    assert run.honest_excluded[0] == pytest.approx((honest < 0.5 - 1e-9).mean())
    assert run.surplus[0] + run.paid[0] == pytest.approx(
        sum(int(run.values[0, t, i]) for t, i in won) / SMALL.rounds
    )


def test_discount_weighs_values_by_reputation():
    """With values discounted the auction prefers the reputable: fewer attacks than without."""
    plain = simulate_market(SET_B, range(4), "filtered")
    discounted = simulate_market(replace(SET_B, discount=True), range(4), "filtered")
    assert (plain.wins != discounted.wins).any()
    assert discounted.attack_rate.mean() < plain.attack_rate.mean()


def test_unknown_mode_and_no_seeds_are_refused():
    """One line each."""
    with pytest.raises(MarketError, match="unknown market mode 'magic'"):
        simulate_market(SMALL, [1], "magic")
    with pytest.raises(MarketError, match="at least one"):
        simulate_market(SMALL, [])
