"""What Swift's gateway knows of accounts and buckets, for the time that it says it does.

Usually a memcached's part. Without one the gateway asks two other servers anew at every request.
There is one gateway here, so its own memory does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Cache:
    """As much of Swift's client of memcached as its gateway uses here."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, **_: Any) -> Any:
        value, until = self.kept.get(key, (None, 0.0))
        return value if monotonic() < until else None

    def set(self, key: str, value: Any, time: float = 0, **_: Any) -> None:
        self.kept[key] = value, monotonic() + time

    def delete(self, key: str, **_: Any) -> None:
        self.kept.pop(key, None)


def filter_factory(*_: Any, **__: Any) -> Callable[[App], App]:
    """For the gateway's pipeline."""
    cache = Cache()

    def around(app: App) -> App:
        def called(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return called

    return around
