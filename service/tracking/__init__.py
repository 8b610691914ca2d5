"""MLflow, the window on a sweep: an experiment and its runs (`experiment`), what they are told
(`client`: numbers of `metrics`, source and images of `inputs`, columns of `view`), when, in the
background (`publisher`), marks in the store of what it lacks (`marks`), their sending (`outbox`).
The driver alone calls MLflow; workers only mark. Nobody waits for a tracking server.

Uses: store, tables. Used by: worker, analysis, schedule, health, cli.
"""
