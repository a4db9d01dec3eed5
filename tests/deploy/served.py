"""A `fabro serve` of the test's own, on a free port and in a temporary folder."""
import contextlib
import os
import pathlib
import re
import select
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PATIENCE = 60  # seconds; far beyond what any step takes, even under a sanitizer


@contextlib.contextmanager
def served(fabro):
    """Yields (url, storage folder); afterwards the server must end by SIGTERM with exit code 0."""
    with tempfile.TemporaryDirectory() as storage:
        # A configuration of its own: what lies in the home directory is no part of the test.
        environment = os.environ | {"HOME": storage}
        environment.pop("FABRO_CONFIG", None)
        log = open(pathlib.Path(storage, "server.log"), "wb")
        command = [fabro, "serve", "--host", "127.0.0.1", "--port", "0", "--storage-dir", storage]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        try:
            yield announced(server), pathlib.Path(storage)
        except BaseException:
            print(pathlib.Path(storage, "server.log").read_text(errors="replace")[-4000:])
            raise
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(PATIENCE)
            log.close()
        assert code == 0, f"fabro serve ended with {code}"


def announced(server):
    """The URL that the server prints once it listens."""
    seen, deadline = b"", time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        if select.select([server.stdout], [], [], 1)[0]:
            seen += os.read(server.stdout.fileno(), 4096)
            if found := re.search(rb"http://[\w.:\[\]]+:(\d+)", seen):
                return f"http://127.0.0.1:{int(found[1])}"
    raise AssertionError(f"no URL in what fabro serve printed: {seen!r}")
