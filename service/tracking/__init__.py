"""MLflow, the window on a sweep: the calls (`client`), their sending in the background
(`publisher`) and what MLflow does not have yet (`outbox`). Nobody waits for a tracking server.

Uses: store, tables. Used by: worker, analysis, schedule, health, cli.
"""
