"""The figures of the privacy paper and the table of what reproduces, over many seeds.

M. Letafati and S. Otoum, "Global Differential Privacy for Distributed Metaverse Healthcare
Systems", section IV, figures 3 and 4; docs/reproduction.md says what holds of them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from federation import paper_figures
from federation.paper_runs import Run, Task, fig3_runs, fig4_runs
from federation.paper_table import markdown, privacy_table, replace_table
from federation.parallel import map_parallel
from federation.repeat import METRICS
from federation.statistics import pick, summarise
from strategies.settings import Settings

FIG3_FIXED = {"partition": "iid", "sizes": ""}
FIG4_DEFAULTS = {"epsilon": 25.0, "clients": 20}

Progress = Callable[[float], None]


def privacy_fig3(
    settings: Settings,
    seeds: Sequence[int],
    out: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Accuracy and loss over epsilon for 5, 10, 20 and 50 clinics, in two designs (figure 3).

    Parameters
    ----------
    settings : Settings
        Calibration, model and data; epsilon, clients, partition and seed are the figure's own.
    seeds : sequence of int
        One repetition of every cell for each.
    out : Path
        Existing directory that ``privacy-fig3.png`` is written to.
    workers : int, optional
        Processes; all available cores when None.
    progress : callable, optional
        Called with the share of seeds done, in (0, 1].

    Returns
    -------
    dict
        settings, seeds, floors, runs, summary (rows of strategy, cell, metric, mean, std,
        ci95_low, ci95_high, n; what is undefined is None) and figures (paths written).

    Raises
    ------
    SettingsError, DataError
        When the settings or the data do not allow the figure.
    """
    equal = settings.changed(**FIG3_FIXED)
    result = _collect(equal, seeds, fig3_runs, workers, progress)
    result["figures"] = [str(paper_figures.draw_fig3(result, out / "privacy-fig3.png"))]
    return result


def privacy_fig4(
    settings: Settings,
    seeds: Sequence[int],
    out: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Accuracy over rounds: private, non-private and centralised (figure 4).

    Parameters and result are those of :func:`privacy_fig3`; epsilon and clients are taken
    from ``settings``, the paper's being ``FIG4_DEFAULTS``.
    """
    result = _collect(settings, seeds, fig4_runs, workers, progress)
    result["figures"] = [str(paper_figures.draw_fig4(result, out / "privacy-fig4.png"))]
    return result


def _collect(
    settings: Settings,
    seeds: Sequence[int],
    work: Callable[[Task], list[Run]],
    workers: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    from federation.results import floors_of

    found_floors = floors_of(settings)  # refuses unreadable data before any work
    tasks = [Task(settings, seed) for seed in seeds]
    by_seed = map_parallel(work, tasks, workers, progress)
    runs = [run for of_seed in by_seed for run in of_seed]
    return {
        "settings": settings.shown(),
        "seeds": list(seeds),
        "floors": found_floors,
        "runs": [
            {"strategy": run.strategy, "cell": run.cell, "seed": run.seed, "final": run.final}
            for run in runs
        ],
        "summary": summary_rows(runs),
    }


def summary_rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Summarise runs of the same strategy and cell over their seeds, each metric by itself.

    A cell whose runs carry a curve has one row more for each round and metric of it, with
    ``round`` in its cell.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.strategy, repr(sorted(run.cell.items()))), []).append(run)
    rows = []
    for group in groups.values():
        strategy, cell = group[0].strategy, group[0].cell
        rows += _rows(strategy, cell, [run.final for run in group], METRICS)
        for index in range(len(group[0].curve)):
            at_round = {**cell, "round": index + 1}
            points = [run.curve[index] for run in group]
            rows += _rows(strategy, at_round, points, ("accuracy", "loss"))
    return rows


def _rows(
    strategy: str, cell: dict[str, Any], points: list[dict[str, float]], metrics: Sequence[str]
) -> list[dict[str, Any]]:
    return [
        {"strategy": strategy, "cell": cell, "metric": name}
        | summarise(pick(points, name)).as_dict()
        for name in metrics
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the reproduction table as Markdown, or put it into a document."""
    parser = argparse.ArgumentParser(prog="python -m federation.reproduce")
    parser.add_argument("what", choices=("table",))
    parser.add_argument("--seeds", type=int, default=100, help="seeds 1..N (default 100)")
    parser.add_argument("--update", type=Path, help="document whose marked table is replaced")
    parser.add_argument("--workers", type=int, help="processes (default: all cores)")
    options = parser.parse_args(arguments)
    document = options.update.read_text(encoding="utf-8") if options.update else None
    if document is not None:
        replace_table(document, "")  # refuses a document without markers before the work
    result = privacy_table(range(1, options.seeds + 1), options.workers, _percent)
    sys.stderr.write("\n")
    if document is None:
        sys.stdout.write(markdown(result))
    else:
        options.update.write_text(replace_table(document, markdown(result)), encoding="utf-8")
    return 0 if result["reproduces"] else 1


def _percent(share: float) -> None:
    sys.stderr.write(f"\r{share:4.0%}")


if __name__ == "__main__":
    sys.exit(main())
