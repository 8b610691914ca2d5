"""How a sweep runs: plan, packs, Ray Tune, MLflow, analyses, Parquet, figures.

settings    where things are: the only module that reads the environment
text, colors, retry, reachable, ray_tasks, provenance    small things that several packages need
store       objects in a folder or in S3: keys, manifest, heartbeat
tables      rows in Parquet: schema, reading, compaction, what tables say in words
data        image banks and decoders of a process, snapshots
tracking    MLflow
report      figures for paper, drawn from tables        page      the page of a sweep, likewise
analysis    which analyses are missing, and the Ray tasks that do them
worker      what happens in a Ray worker: one pack
schedule    what happens in the driver: plan, Ray, Tune, the order of a sweep
results     a sweep opened in Python: tables, trials as models, samples
boundary    the search for a phase boundary        reproduction    the paper's claims
health      status, doctor, garbage                cli             the commands of `grok`
"""
