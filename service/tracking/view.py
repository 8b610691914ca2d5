"""A view of MLflow's table of runs: phase, strict accuracy, the best first, what the sweep varies.

MLflow keeps views that are shared in tags of the experiment, and shows the one that an address
names by `viewStateShareKey` (`service/tables/summary.py: ui_address`). The content of the tag is
read off MLflow's pages: a name, times in ms, and the state of the page as JSON in a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from service.tables.summary import VIEW

VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
NAME = "phases and strict accuracy"
"""By which MLflow's pages list it."""
STRICT = "metrics.`val_acc_strict`"


def view_state(axes: Iterable[str], made_ms: int) -> str:
    """The content of the tag.

    Args:
        axes: params that have a column.
        made_ms: when the view was made.
    """
    # the axes last: many of them would push what else there is out of the window
    columns = ["tags.`phase`", STRICT, *(f"params.`{name}`" for name in axes)]
    state = {
        "selectedColumns": columns,
        "columnOrder": columns,
        "orderByKey": STRICT,
        "orderByAsc": False,
        "searchFilter": "",
    }
    text = json.dumps(state, separators=(",", ":"))
    return json.dumps({"name": NAME, "createdAt": made_ms, "updatedAt": made_ms, "state": text})
