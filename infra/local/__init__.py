"""The whole stack on one machine, without containers: S3, PostgreSQL, MLflow, a Ray cluster.

Real servers, each on loopback, with authentication on: for trying out a cluster, and for the tests.
`make up`, `make down`.
"""
