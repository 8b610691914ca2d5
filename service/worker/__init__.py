"""What happens in a Ray worker: a pack is restored, trained and recorded, while the store is
written in the background. What MLflow is to show is reported to the driver.

Uses: data, report, store, tables, tracking. Used by: schedule.
"""
