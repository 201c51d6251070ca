"""``audit privacy``: a white-box attack on a mechanism, with a verdict on its claim."""

import argparse
import sys
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from federation.commands import out_from, print_result
from federation.flags import UsageError
from federation.results import to_json, write_text
from strategies.privacy.audit import AuditResult, Game, play
from strategies.privacy.audit_games import (
    TRAINERS,
    dp_sgd_game,
    global_dp_game,
    own_game,
    shared_noise_game,
)
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.global_dp import GlobalDP
from strategies.privacy.shared_noise import SharedNoise
from strategies.settings import nearest

AUDITED = ("global-dp", "certified", "dp-gd", "dp-sgd", "shared-noise")
MAX_RUNS = 10_000_000
CRAFTED_CLIP = 0.3  # B of the crafted shard, m = 27, T = 1
CRAFTED_DIMENSION = 10
LARGEST_CLAIM = 1e15
PURPOSE = 4001


def audit_privacy(options: argparse.Namespace) -> int:
    """Play the canary game, print bounds and verdict, and draw the two score distributions."""
    game = _game(options)
    runs = _whole(options.runs, "--runs", 4, MAX_RUNS)
    seed = _whole(options.seed, "--seed", 0, 2**63)
    out = out_from(options, f"audit-{options.privacy}")
    rng = np.random.default_rng(np.random.SeedSequence((seed, PURPOSE)))
    result = play(game, rng, runs)
    out.mkdir(parents=True, exist_ok=True)
    entry = {"mechanism": options.privacy, "trainer": _trainer(options), **result.as_dict()}
    entry["membership"] = _membership(options.privacy, game.claimed_epsilon, game.delta, seed)
    write_text(out / "audit.json", to_json(entry))
    picture = draw_scores(result, out / "audit.png")
    print_result(options, entry, partial(_print, entry, picture, out))
    return 0


def draw_scores(result: AuditResult, path: Path) -> Path:
    """Draw the score distributions of both worlds with the threshold between them."""
    from federation.drawing import BLUE, ORANGE, canvas, save

    figure, axes = canvas(1, 1, (8.0, 4.4))
    axis = axes[0, 0]
    both = np.concatenate([result.scores_without, result.scores_with])
    bins = np.linspace(both.min(), both.max(), 120).tolist()
    axis.hist(result.scores_without, bins, color=BLUE, alpha=0.6, label="canary says healthy")
    axis.hist(result.scores_with, bins, color=ORANGE, alpha=0.6, label="canary says diseased")
    axis.axvline(result.bounds.threshold, color="black", ls=":", label="the test's threshold")
    axis.set_xlabel("sum of the uploads along the canary (model units)")
    axis.set_ylabel("runs")
    axis.legend(fontsize=8)
    verdict = "refuted" if result.refuted else "not refuted"
    title = (
        f"{result.name}: claims \u03b5 = {result.claimed_epsilon:g}, at least "
        f"{result.bounds.epsilon:.2f} proven (95 %), claim {verdict}"
    )
    return save(figure, path, title)


def _game(options: argparse.Namespace) -> Game:
    name = options.privacy
    if name not in AUDITED:
        raise UsageError(f"--privacy: unknown mechanism {name!r}{nearest(name, AUDITED)}")
    epsilon, delta = _number(options.epsilon, "--epsilon"), _number(options.delta, "--delta")
    if not epsilon > 0:
        raise UsageError(f"--epsilon must be a finite number above 0, got {options.epsilon}")
    if not 0 < delta < 1:
        raise UsageError(f"--delta must lie strictly between 0 and 1, got {options.delta}")
    if options.trainer not in TRAINERS:
        raise UsageError(
            f"--trainer: unknown value {options.trainer!r}{nearest(options.trainer, TRAINERS)}"
        )
    if name == "global-dp":
        return global_dp_game(GlobalDP(epsilon, delta, CRAFTED_CLIP, 1, 1), options.trainer)
    if max(epsilon, 1 / delta) > LARGEST_CLAIM:
        raise UsageError(f"--epsilon and 1/--delta must be at most {LARGEST_CLAIM:g}")
    if name == "shared-noise":
        return shared_noise_game(SharedNoise(epsilon, delta, 1, 1.0, CRAFTED_DIMENSION))
    if name == "dp-sgd":
        return dp_sgd_game(DPSGD(epsilon, delta))
    mechanism = DPGradientDescent if name == "dp-gd" else CertifiedRelease
    return own_game(mechanism(epsilon, delta))


def _membership(name: str, epsilon: float, delta: float, seed: int) -> dict[str, Any]:
    """Attack the final model of whole runs on BCWD: the AUC of telling members from others."""
    from datasets.federated import cut, load
    from strategies.privacy.contenders import CONTENDERS
    from strategies.privacy.membership import attack_auc, summarise
    from strategies.privacy.shared_contenders import SHARED_CONTENDERS
    from strategies.privacy.sweep import cohort_of

    table = load("", "", "drop")
    contender = (CONTENDERS | SHARED_CONTENDERS)["paper-std" if name == "global-dp" else name]
    aucs = []
    for run in range(seed, seed + MEMBERSHIP_RUNS):
        parts = cut(table, clients=20, seed=run)
        cohort, others = cohort_of(parts, contender, run)
        model = contender.run(cohort, [epsilon], delta)[0]
        aucs.append(attack_auc(model, cohort.flat[0][cohort.flat[0].any(axis=-1)], others))
    return summarise(aucs).as_dict()


MEMBERSHIP_RUNS = 10


def _trainer(options: argparse.Namespace) -> str | None:
    return options.trainer if options.privacy == "global-dp" else None


def _print(entry: dict[str, Any], picture: Path, out: Path) -> None:
    claim, bound = entry["claimed_epsilon"], entry["epsilon_lower_bound"]
    gdp, member = entry["epsilon_lower_bound_gdp"], entry["membership"]
    lines = [
        f"{entry['mechanism']} claims epsilon {claim:g} at delta {entry['delta']:g}, one record, "
        "replace-one, curious server",
        f"{entry['runs']:,} runs in each of two worlds prove epsilon of at least {bound:.3f} "
        "(Clopper-Pearson, 95 %)",
        f"assuming Gaussian releases: at least {'-' if gdp is None else format(gdp, '.3f')} "
        "(Gaussian DP, 95 %)",
        f"the most this many runs could prove: {entry['largest_possible_bound']:.2f}",
        f"verdict: the claim is {entry['verdict']}",
        f"membership inference on the final model: AUC {member['auc']:.3f} "
        f"[{member['low']:.3f}, {member['high']:.3f}], 0.5 is guessing ({member['runs']} runs)",
        f"result: {out / 'audit.json'}",
        f"picture: {picture}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _number(text: str, flag: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise UsageError(f"{flag} must be a finite number, got {text!r}")
    return value


def _whole(text: str, flag: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise UsageError(f"{flag} must be a whole number from {low} to {high}, got {text!r}")
    return value
