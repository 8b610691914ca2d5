"""Packs that are trained in this process, without Ray."""

import threading

from service.worker.pack_run import pack_rounds


def run_pack(job, report=lambda progress: None):
    """Train what is left of a pack to its end, and hand on what it reports."""
    for progress in pack_rounds(job, threading.Event()):
        report(progress)
