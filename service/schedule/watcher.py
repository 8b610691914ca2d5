"""What is called by Tune while it trains, for as long as this process lives."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback


class Watcher(Callback):  # type: ignore[misc]
    """A callback that is not kept: Tune pickles its callbacks for a resumption of which we make no
    use, and neither a store nor a bar on a terminal can be pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {}
