"""How many examples: `HYPOTHESIS_PROFILE=long` tries fifty times as many, other ones every time."""

import os

from hypothesis import HealthCheck, settings

UNHURRIED = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("short", max_examples=100, derandomize=True, **UNHURRIED)
settings.register_profile("long", max_examples=5000, print_blob=True, **UNHURRIED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
