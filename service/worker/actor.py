"""A pack as Ray Tune sees it: an actor that is stepped from evaluation to evaluation."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.result import DONE

from service.settings import without_password
from service.store.store import StoreError
from service.worker.pack_run import PackJob, PreemptedError, Progress, pack_rounds
from service.worker.recorder import News

log = logging.getLogger("grok")

PASSING = (OSError, StoreError, torch.AcceleratorError, torch.OutOfMemoryError)
"""Errors after which another process may succeed, so that Tune tries again. What else a pack raises
is a function of its configs and would be raised again."""
STEP_S = 2.0
"""Seconds after which an actor reports, once the round is over that it is at."""


class PackTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains the packs it is given one after another, and saves when its node is to go away.

    Kubernetes and spot markets announce themselves by SIGTERM. The pack in training is then saved
    at its next evaluation, and the process ends; Tune starts the pack again somewhere else.
    """

    def setup(self, config: dict[str, Any], jobs: Sequence[PackJob]) -> None:
        self.jobs, self.stopping = jobs, threading.Event()
        self.is_training = False
        # methods of an actor run in the main thread, the only one that may do this
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        job = self.jobs[new_config["pack"]]
        # what Ray gives to this worker may differ from the plan on another node
        cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", job.cpus)
        job = dataclasses.replace(job, cpus=float(cpus))
        self.rounds: Generator[Progress] = pack_rounds(job, self.stopping)
        self.last = Progress(0, 0, {})
        return True

    def step(self) -> dict[str, Any]:
        """Rounds of evaluations for STEP_S, at least one: short ones must not wait for the driver
        each time."""
        self.is_training = True
        until, news = time.monotonic() + STEP_S, list[News]()
        ending: dict[str, Any] = {}
        try:
            while time.monotonic() < until:
                self.last = next(self.rounds)
                news += self.last.news
        except StopIteration:
            ending = {DONE: True}
        except PreemptedError:
            sys.exit(1)
        except PASSING:
            raise
        except Exception as error:
            log.exception("a pack cannot be trained")
            said = without_password(f"{type(error).__name__}: {error}")
            ending = {"error": said, DONE: True}
        finally:
            self.is_training = False
        return vars(self.last) | {"news": tuple(news)} | ending

    def cleanup(self) -> None:
        self.rounds.close()

    def _on_sigterm(self, number: int, frame: object) -> None:
        if not self.is_training:
            sys.exit(1)
        log.warning("SIGTERM: saving the pack at its next evaluation")
        self.stopping.set()
