"""Commands of `grok`, run in this process."""

import pytest

from sweeps import grok


@pytest.fixture
def run_on(capsys):
    """Makes what runs a command on a store; that gives exit code, output and errors."""

    def make(store):
        def run(*words, place=store.url):
            try:
                code = grok.main([*words, "--store", place])
            except SystemExit as ended:  # of the parser
                code = ended.code
            return code, *capsys.readouterr()

        return run

    return make
