"""How a sweep runs: plan, packs, Ray Tune, MLflow and checkpoints, analyses, Parquet, figures."""
