"""What happens in a Ray worker: a pack is restored, trained and recorded, while the store and
MLflow are written in the background.

Uses: data, report, store, tables, tracking. Used by: schedule.
"""
