"""Work on all cores: what an interrupt leaves behind, which is nothing."""

import time
from multiprocessing import active_children

import pytest

from federation.parallel import map_parallel


@pytest.mark.timeout(120)
def test_an_interrupt_ends_workers_that_would_go_on_for_an_hour() -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_parallel(time.sleep, [0.0, 3600.0], 2, interrupt)
    assert not active_children()
