"""The command ``reproduce shared-noise``."""

import argparse
from functools import partial

from federation.commands import Interrupted, out_from, print_result, seeds_from
from federation.console import share_bar
from federation.flags import UsageError, given
from federation.results import to_json, write_text
from federation.shared_noise_table import missed, shared_noise, table_of


def reproduce_shared_noise(options: argparse.Namespace) -> int:
    """Measure shared noise over eps and splits; 1 when a target is missed.

    Raises
    ------
    UsageError
        For settings: each mechanism has one configuration.
    Interrupted
        On Ctrl-C; nothing is written then.
    """
    if given(options) or options.preset or options.config:
        raise UsageError(
            "reproduce shared-noise has one configuration for each mechanism: it takes --seeds, "
            "--workers and --out only"
        )
    seeds, out = seeds_from(options, 1), out_from(options, "shared-noise")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with share_bar(f"shared-noise, {len(seeds)} splits", options.quiet or options.json) as show:
            result = shared_noise(seeds, out, options.workers, show)
    except KeyboardInterrupt:
        raise Interrupted("shared-noise interrupted: nothing was written") from None
    write_text(out / "result.json", to_json(result))
    write_text(out / "table.md", table_of(result))
    lines = [table_of(result), *(f"below target: {text}" for text in missed(result))]
    lines += [f"result: {out / 'result.json'}", f"picture: {result['figures'][0]}"]
    print_result(options, result, partial(print, "\n".join(lines)))
    return 1 if missed(result) else 0
