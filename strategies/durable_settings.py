"""The settings of waiting and signing: how long a server waits, and whose word it takes."""

from dataclasses import dataclass

from strategies.setting_fields import LONGEST_WAIT, setting

GROUP = "separate machines"


@dataclass(frozen=True)
class DurableFields:
    """Settings of runs whose messages travel."""

    signatures: str = setting(
        "auto",
        GROUP,
        "replies are signed by who sent them and checked before use; auto: where machines have "
        "keys, on: also in a simulation, with keys made from the seed",
        choices=("auto", "on", "off"),
    )
    node_wait: float = setting(
        60.0,
        GROUP,
        "seconds to wait for clients to appear before a run",
        above=0.0,
        maximum=LONGEST_WAIT,
    )
    round_timeout: float = setting(
        600.0,
        GROUP,
        "seconds a client may take to answer; then the round goes on",
        above=0.0,
        maximum=LONGEST_WAIT,
    )
