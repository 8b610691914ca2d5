"""MLflow, the window on a sweep: the calls (`client`), their sending in the background
(`publisher`), marks in the store of what it lacks (`marks`) and the sending of that (`outbox`).
The driver alone calls MLflow; workers only mark. Nobody waits for a tracking server.

Uses: store, tables. Used by: worker, analysis, schedule, health, cli.
"""
