"""The command line in the test's own process, over a workspace of its choice."""

import signal
import sys

import pytest

from core.__main__ import main


@pytest.fixture
def command_line(monkeypatch, capsys):
    """Workspace -> a function of words that gives (exit code, output, errors); tracebacks come through."""
    kept = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def over(ws):
        monkeypatch.setenv("WINNOW_WORKSPACE", str(ws.root))

        def run(*words):
            monkeypatch.setattr(sys, "argv", ["core", *map(str, words)])
            with pytest.raises(SystemExit) as ended:
                main()
            told = capsys.readouterr()
            return ended.value.code or 0, told.out, told.err

        return run

    yield over
    for number, handler in kept.items():
        signal.signal(number, handler)
