"""Figures of the privacy room, measured in one run: accuracy over eps, audits, times.

    python -m benchmarks.privacy [--splits 100] [--quick]

Everything printed here that the docs quote is in docs/guarantees.md with the machine it ran on.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from datasets.federated import cut, load
from strategies.privacy.accounting import mu_of_epsilon
from strategies.privacy.audit import Game, play
from strategies.privacy.audit_games import dp_sgd_game, global_dp_game, own_game
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.contenders import CONTENDERS
from strategies.privacy.discrete_accounting import gap
from strategies.privacy.discrete_gaussian import STEPS_PER_STD, sample_discrete_gaussian
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.global_dp import GlobalDP
from strategies.privacy.gradients import merge
from strategies.privacy.membership import attack_auc, summarise
from strategies.privacy.sweep import DELTA, EPSILONS, cohort_of, sweep

CLAIMS = (1.0, 2.0, 5.0)


def timed(label: str, action: Callable[[], str]) -> None:
    start = time.perf_counter()
    text = action()
    print(f"{label:32s} {text}   [{time.perf_counter() - start:.2f} s]", flush=True)


def accuracy(splits: int) -> None:
    table = load("", "", "drop")
    print(f"\nheld-out accuracy, %: mean (std) over {splits} splits, eps {EPSILONS}, V = 20")
    start = time.perf_counter()
    for unit in ("record", "patient"):
        for name in CONTENDERS:

            def row(name: str = name, unit: str = unit) -> str:
                cells = sweep(table, [name], unit=unit, splits=splits)
                return "  ".join(f"{100 * cell.mean:.2f} ({100 * cell.std:.1f})" for cell in cells)

            timed(f"{unit} {name}", row)
    print(f"all of it: {time.perf_counter() - start:.1f} s")


def opacus(splits: int) -> None:
    from strategies.privacy.opacus_clinic import train_round

    table = load("", "", "drop")
    print(f"\ndp-sgd through Opacus' PrivacyEngine, {splits} splits, 20 clinics x 10 rounds")
    for epsilon in (1.0, 5.0):

        def run(epsilon: float = epsilon) -> str:
            mechanism, hits = DPSGD(epsilon, DELTA), []
            for seed in range(splits):
                parts = cut(table, clients=20, seed=seed)
                cohort, test = cohort_of(parts, CONTENDERS["dp-sgd"], seed)
                rng, model = np.random.default_rng(seed), np.zeros(test.shape[-1])
                for _ in range(mechanism.rounds):
                    uploads = [
                        train_round(
                            mechanism,
                            model,
                            cohort.signed[clinic, :size],
                            rng.standard_normal,
                            int(rng.integers(1 << 60)),
                        )
                        for clinic, size in enumerate(cohort.count)
                    ]
                    model = merge(np.stack(uploads), cohort.shares)
                hits.append(np.mean(test @ model > 0))
            opacus_epsilon = mechanism.opacus_epsilon()
            return (
                f"{100 * np.mean(hits):.2f} ({100 * np.std(hits, ddof=1):.1f}); eps by PLD, "
                f"replace-one {mechanism.spent(10):.4f}; Opacus, add-remove {opacus_epsilon:.4f}"
            )

        timed(f"eps {epsilon:g}", run)


def audits(quick: bool) -> None:
    print("\naudits at delta 1e-5: CP and GDP lower bounds, error rate 5 % each")
    rng = np.random.default_rng(0)
    paper = GlobalDP(1.0, DELTA, 0.3, 1, 1)
    games: list[tuple[Game, int]] = [
        (global_dp_game(paper, "converged"), 20_000),
        (global_dp_game(paper, "paper-std"), 20_000),
    ]
    for epsilon in CLAIMS:
        games += [
            (own_game(DPGradientDescent(epsilon, DELTA)), 20_000),
            (own_game(DPGradientDescent(epsilon, DELTA)), 200_000),
            (own_game(CertifiedRelease(epsilon, DELTA)), 20_000),
            (dp_sgd_game(DPSGD(epsilon, DELTA)), 20_000),
        ]
    for game, runs in games:

        def verdict(game: Game = game, runs: int = runs) -> str:
            found = play(game, rng, runs).as_dict()
            gdp = found["epsilon_lower_bound_gdp"]
            return (
                f"claim {game.claimed_epsilon:g}, {runs:,} runs: "
                f"CP {found['epsilon_lower_bound']:.2f}"
                f" GDP {'-' if gdp is None else format(gdp, '.2f')} {found['verdict']}"
            )

        timed(game.name, verdict)
    if quick:
        return
    for epsilon in CLAIMS:

        def repeat(epsilon: float = epsilon) -> str:
            game = own_game(DPGradientDescent(epsilon, DELTA))
            found = [
                play(game, np.random.default_rng((1, i)), 200_000).bounds.epsilon_gdp
                for i in range(20)
            ]
            over = sum(bound > epsilon for bound in found)
            return (
                f"20 x 200,000: GDP {min(found):.2f} to {max(found):.2f}, above claim {over} of 20"
            )

        timed(f"dp-gd claim {epsilon:g}", repeat)


def membership(splits: int) -> None:
    table = load("", "", "drop")
    print(f"\nmembership inference on the broadcast model, AUC with 95 % interval, {splits} splits")
    for name, epsilon in (("none", 1.0), ("paper-std", 30.0), ("certified", 1.0), ("dp-gd", 1.0)):

        def attack(name: str = name, epsilon: float = epsilon) -> str:
            aucs = []
            for seed in range(splits):
                cohort, test = cohort_of(cut(table, clients=20, seed=seed), CONTENDERS[name], seed)
                (model,) = CONTENDERS[name].run(cohort, [epsilon], DELTA)
                rows, count = cohort.flat
                members = np.concatenate([rows[i, :size] for i, size in enumerate(count)])
                aucs.append(attack_auc(model, members, test))
            found = summarise(aucs)
            return f"{found.auc:.3f} [{found.low:.3f}, {found.high:.3f}]"

        timed(f"{name} eps {epsilon:g}", attack)


def discrete() -> None:
    print("\ndiscrete Gaussian: proven eps over exact continuous eps, 10 releases, d = 10")
    for epsilon in EPSILONS:
        mu = mu_of_epsilon(epsilon, DELTA) / np.sqrt(10)
        found = gap(float(mu), 1.0, 10, 10, DELTA)
        print(f"  {epsilon:g}: {found.proven:.4f}, {100 * (found.ratio - 1):.1f} % more")
    timed("200,000 draws", lambda: str(len(sample_discrete_gaussian(STEPS_PER_STD, 200_000))))
    timed("one upload of 10", lambda: str(len(sample_discrete_gaussian(STEPS_PER_STD, 10))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="leave out the 20 repetitions")
    arguments = parser.parse_args()
    accuracy(arguments.splits)
    audits(arguments.quick)
    membership(min(arguments.splits, 100))
    discrete()
    opacus(min(arguments.splits, 10))


if __name__ == "__main__":
    main()
