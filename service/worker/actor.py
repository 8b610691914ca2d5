"""A pack as Ray Tune sees it: an actor that is stepped from evaluation to evaluation."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.result import DONE

from service.settings import without_password
from service.store.store import StoreError
from service.worker.pack_run import PackJob, PreemptedError, Progress, pack_rounds

log = logging.getLogger("grok")

PASSING = (OSError, StoreError, torch.AcceleratorError, torch.OutOfMemoryError)
"""Errors after which another process may succeed, so that Tune tries again. What else a pack raises
is a function of its configs and would be raised again."""


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
        """One round of evaluations."""
        self.is_training = True
        self.last = dataclasses.replace(self.last, news=())  # it has been told
        try:
            self.last = next(self.rounds)
        except StopIteration:
            return vars(self.last) | {DONE: True}
        except PreemptedError:
            sys.exit(1)
        except PASSING:
            raise
        except Exception as error:
            log.exception("a pack cannot be trained")
            said = without_password(f"{type(error).__name__}: {error}")
            return vars(self.last) | {"error": said, DONE: True}
        finally:
            self.is_training = False
        return dict(vars(self.last))

    def cleanup(self) -> None:
        self.rounds.close()

    def _on_sigterm(self, number: int, frame: object) -> None:
        if not self.is_training:
            sys.exit(1)
        log.warning("SIGTERM: saving the pack at its next evaluation")
        self.stopping.set()
