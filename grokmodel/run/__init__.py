"""Trains a plan file on a machine that has torch, numpy and safetensors only: a borrowed GPU, a
SLURM node. What it leaves is imported into a store by `grok import-results`.

    python -m grokmodel.run plan.zip --out DIR --minutes 12

Uses: core, data, image, families. Used by: the service, which exports plans and imports results.
"""

import time

STARTED = time.monotonic()
"""Before torch is loaded, which takes seconds: they count."""
