"""The stack on this machine: `python -m infra.local up`, `status`, `down`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path

from infra.local.process import ServerError
from infra.local.stack import Stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("command", choices=("up", "status", "down"))
    parser.add_argument("--folder", default=".stack", help="data, logs, passwords (.stack)")
    parser.add_argument("--nodes", type=int, default=2, help="Ray nodes besides the head")
    parser.add_argument("--wipe", action="store_true", help="with down: remove the data as well")
    args = parser.parse_args()
    folder = Path(args.folder).resolve()
    if args.command != "up" and not (folder / "secrets.json").exists():
        print(f"no stack in {folder}; start one: python -m infra.local up", file=sys.stderr)
        return 2
    cpus = max(1, (os.cpu_count() or 1) // args.nodes)
    stack = Stack(folder, args.nodes, cpus, preferred=True)
    if args.command == "down":
        stack.down()
        if args.wipe:
            shutil.rmtree(folder)
        return 0
    if args.command == "up":
        print(f"starting S3, PostgreSQL, MLflow and Ray with {args.nodes} nodes in {folder}")
        try:
            stack.up()
        except ServerError as error:
            stack.down()
            print(f"infra.local: {error}", file=sys.stderr)
            return 1
    return show(stack)


def show(stack: Stack) -> int:
    """Who runs, and where; 0 if all do."""
    servers = stack.servers()
    for server in servers:
        process = server.process()
        state = f"running, pid {process.pid}" if process else "down"
        print(f"  {server.name:<14}{state:<22}{server.log}")
    if any(server.process() is None for server in servers):
        return 1

    env, python = shlex.quote(f"{stack.folder}/env"), shlex.quote(sys.executable)
    print(f"""
  S3       {stack.s3.endpoint}, store {stack.store}
  MLflow   {stack.mlflow.uri}, user and password in {stack.folder}/env
  Ray      {stack.ray.address}, dashboard {stack.ray.dashboard}

  . {env}
  ray job submit --working-dir . -- {python} sweeps/grok_phase.py --preset smoke
  grok status
""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
