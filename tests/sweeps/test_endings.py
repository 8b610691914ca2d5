"""However a sweep ends, MLflow and the heartbeat say so."""

import pytest

from tests.sweeps.scripts import run_script

SWEEPS = """
from functools import partial
from service.report import phase_figures
from service.schedule.driver import analyze_sweep
from service.store.heartbeat import heartbeats
from service.tracking import outbox
from tests.service.tiny import tiny_config
from tests.sweeps.parents import parent_run

settings = Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", str(folder))
store, wish = Store(settings), Wish(("heads",))

def when(words, act):
    return lambda line: act() if words in line else None

def interrupt(pid):
    os.kill(pid, signal.SIGINT)

def no_room():
    "A file where the figures are to go."
    shutil.rmtree(store.path("figures"), ignore_errors=True)
    Path(store.path("figures")).write_text("")

def interrupted_trainer(pid, *args):
    time.sleep(1)
    interrupt(pid)
    time.sleep(600)
    yield

def broken_trainer(*args):
    time.sleep(1)  # by then MLflow has been told that the sweep is running
    raise RuntimeError("no light")
    yield

found, said = {}, {}
def end(name, seed, run=None, say=when("nothing", None), **options):
    configs = [tiny_config(seed=seed)]
    try:
        (run or (lambda: run_sweep(name, configs, settings, say, wish, **options)))()
        raised = ""
    except BaseException as error:
        raised, said[name] = type(error).__name__, str(error)
    _, parent = parent_run(settings, name)
    state = heartbeats(store, name)[0].beat.state
    found.setdefault(name, []).append([raised, parent.info.status, state])

plain, phase_figures.phase_diagram = phase_figures.phase_diagram, lambda *_: 1 / 0
end("figure", 0)
phase_figures.phase_diagram = plain
end("stopped", 1, say=when("analyses of", partial(interrupt, os.getpid())))
end("stopped", 1)
end("store", 2, say=when("analyses of", no_room))
Path(store.path("figures")).unlink()
end("store", 2, run=lambda: outbox.publish(settings, "store", print))
end("store", 2, run=lambda: analyze_sweep("store", settings, wish, print))
end("training", 3, trainer=partial(interrupted_trainer, os.getpid()))
end("broken", 4, trainer=broken_trainer)
print(json.dumps({"found": found, "broken": said["broken"]}))
"""


@pytest.mark.cluster
def test_however_a_sweep_ends_mlflow_and_the_heartbeat_say_so(tmp_path):
    ended = run_script(SWEEPS, tmp_path)
    found = ended["found"]
    assert found["figure"] == [["", "FINISHED", "ended"]]
    assert found["stopped"] == [
        ["KeyboardInterrupt", "KILLED", "stopped"],
        ["", "FINISHED", "ended"],
    ]
    assert found["store"] == [
        ["StoreError", "FAILED", "failed"],
        ["", "FAILED", "failed"],  # what is sent of it later does not make it finished
        ["", "FINISHED", "ended"],
    ]
    assert found["training"] == [["SweepStoppedError", "KILLED", "stopped"]]
    assert found["broken"] == [["SweepError", "FAILED", "failed"]]
    assert "1 of 1 trials are not done" in ended["broken"]
    assert "no light" in ended["broken"]
