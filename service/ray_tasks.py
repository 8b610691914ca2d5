"""What Ray tasks come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

from grokmodel.errors import UserError


def results(tasks: Sequence[Any]) -> list[Any]:
    """What the tasks return, once all have ended.

    Raises:
        UserError: as the first of the tasks that fail raised it. Ray's own, of the same class, says
            its host and a traceback.
    """
    try:
        return list(ray.get(list(tasks)))
    except UserError as error:
        raise getattr(error, "cause", error) from None
