"""The environment of a user who has set nothing, for the commands that tests run."""

import os

SETTINGS = ("RAY_", "GROK_", "MLFLOW_")
PRIORITY = {"RAY_worker_niceness": "0"}
"""Ray runs its workers at a low priority, to keep a node in reach; beside the other tests they
would hardly run at all."""


def user_environment(**variables):
    """This process's environment without settings of Ray, MLflow and ours, and with some more."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
    return kept | PRIORITY | variables
