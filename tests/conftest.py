"""Before numpy is loaded: tiny matrices lose from threads, much so on a busy machine."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
