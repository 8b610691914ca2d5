"""What MLflow says of a sweep as a whole."""

from mlflow import MlflowClient


def parent_run(settings, sweep):
    """A client, and the run of the sweep itself."""
    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_experiment_by_name(sweep)
    (run,) = client.search_runs([experiment.experiment_id], "tags.`grok.kind` = 'sweep'")
    return client, run
