"""A parser of command lines whose errors are one line."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that names what was wrong, and the flag that was probably meant, instead
    of a screen of usage."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"unrecognized arguments: (--[^\s=]+)", message)
        if unknown:
            near = difflib.get_close_matches(unknown[1], self._option_string_actions, 1, 0.75)
            message = f"unknown flag {unknown[1]}" + (f"; did you mean {near[0]}?" if near else "")
        message = " ".join(message.split())
        program = self.prog.split()[0]  # without the command
        print(f"{program}: {message} (--help says more)", file=sys.stderr)
        sys.exit(2)
