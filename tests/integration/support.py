"""The real programs, started on loopback in a folder of their own, and what it takes to talk to them.

Nothing here waits for time to pass: every wait polls for what it waits for, and ends with an error after PATIENCE.
"""
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PATIENCE = 90  # seconds; far beyond what any step takes, even under a sanitizer on a busy machine
POLL = 0.02
TERMINAL = ("WorkflowRunCompleted", "WorkflowRunFailed", "WorkflowRunCancelled")

BIN = pathlib.Path()  # set by main()
LAYOUT = "serve"  # or "split": fabro-core and fabro-gateway


def binary(program):
    return BIN / program


def eventually(what, look, patience=PATIENCE):
    """The first true thing that look() returns."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(POLL)


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict  # names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def detail(self):
        return self.json["errors"][0]["detail"]


class Process:
    """One program, its log in a file."""

    def __init__(self, command, log, environment):
        with open(log, "ab") as out:
            self.start_of_log = out.tell()
            self.log = log
            self.popen = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env=environment)

    @property
    def pid(self):
        return self.popen.pid

    def said(self):
        return pathlib.Path(self.log).read_bytes()[self.start_of_log:].decode(errors="replace")

    def find(self, pattern):
        """The first match in what it wrote so far; fails when it has ended without."""
        ended = self.popen.poll()
        if found := re.search(pattern, self.said()):
            return found
        if ended is not None:
            raise AssertionError(f"{self.popen.args[0]} ended with {ended}: {self.said()[-3000:]}")
        return None

    def wait(self):
        return self.popen.wait(PATIENCE)

    def signal(self, number):
        if self.popen.poll() is None:
            self.popen.send_signal(number)


class Server:
    """`fabro serve`, or a core with gateways, over one storage folder that outlives restarts."""

    def __init__(self, layout=None, args=(), environment=None):
        self.layout = layout or LAYOUT
        self.args = list(args)
        # Short, because a unix socket's path must be. A home of its own: nobody's configuration is part of a test.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="fabro-it-"))
        self.storage = self.home / "storage"
        self.environment = os.environ | {"HOME": str(self.home)} | (environment or {})
        for name in ("FABRO_CONFIG", "FABRO_SERVER", "FABRO_TOKEN"):
            self.environment.pop(name, None)
        self.port = 0
        self.core = None  # the process that holds the runs
        self.gateway = None
        self.tls = None  # an ssl.SSLContext where HTTPS is spoken
        self.credentials = {}  # headers of every request

    # Life

    def start(self):
        self.start_core()
        if self.layout == "split":
            self.start_gateway()
        self.await_ready()
        return self

    def start_core(self):
        common = ["--storage-dir", self.storage, "--log-format", "json", *self.args]
        if self.layout == "serve":
            command = [BIN / "fabro", "serve", "--host", "127.0.0.1", "--port", self.port, *common]
            self.core = Process(command, self.home / "server.log", self.environment)
            self.port = self.announced(self.core)
        else:
            self.core = Process([BIN / "fabro-core", *common], self.home / "core.log", self.environment)
        return self.core

    def start_gateway(self):
        self.gateway = self.new_gateway(self.port)
        self.port = self.announced(self.gateway)
        return self.gateway

    def new_gateway(self, port=0):
        command = [BIN / "fabro-gateway", "--host", "127.0.0.1", "--port", port, "--storage-dir", self.storage, "--log-format", "json"]
        return Process(command, self.home / "gateway.log", self.environment)

    @staticmethod
    def announced(process):
        return int(eventually("a port in the log", lambda: process.find(r'"port":"?(\d+)'))[1])

    def await_ready(self, port=None):
        def ready():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.get("/health/ready", port=port).status == 200
            return False
        eventually("readiness", ready)

    def processes(self):
        return [process for process in (self.gateway, self.core) if process]

    def kill9(self):
        """All of it, the core first, as when the power goes."""
        for process in reversed(self.processes()):
            process.signal(signal.SIGKILL)
        for process in self.processes():
            process.wait()
        self.core = self.gateway = None

    def kill9_core(self):
        self.core.signal(signal.SIGKILL)
        self.core.wait()
        self.core = None

    def stop(self):
        """By SIGTERM; the exit codes, the core's last."""
        codes = []
        for process in self.processes():
            process.signal(signal.SIGTERM)
            codes.append(process.wait())
        self.core = self.gateway = None
        return codes

    def close(self):
        for process in self.processes():
            process.signal(signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.show_logs()
            self.close()
            raise

    def __exit__(self, kind, *_):
        if kind:
            self.show_logs()
        self.close()

    def show_logs(self):
        for log in sorted(self.home.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}", file=sys.stderr)

    # HTTP

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, body=None, headers=None, port=None):
        if self.tls:
            connection = http.client.HTTPSConnection("localhost", port or self.port, timeout=PATIENCE, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE)
        headers = self.credentials | (headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        try:
            with contextlib.suppress(BrokenPipeError):  # refused before all of it was sent; the answer is there
                connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path, headers=None, port=None):
        return self.request("GET", path, headers=headers, port=port)

    def post(self, path, body=None, headers=None, port=None):
        return self.request("POST", path, body, headers, port)

    def raw(self, data, leave=True):
        """All that comes back for these bytes until the server closes or falls silent. Who says that nothing more follows (`leave`) may
        be taken for somebody who has left, if an answer takes long."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as link:
            link.sendall(data)
            if leave:
                link.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := link.recv(65536):
                    received += piece
            return received

    def metric(self, name):
        """The sum over its labels."""
        lines = [line for line in self.get("/metrics").body.decode().splitlines() if line.startswith((name + " ", name + "{"))]
        assert lines, f"no metric is called {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    # Runs

    def create(self, source, **more):
        reply = self.post("/runs", {"dot_source": source, **more})
        assert reply.status == 201, (reply.status, reply.body)
        return reply.json["id"]

    def run(self, run):
        return self.get(f"/runs/{run}").json

    def await_status(self, run, *wanted):
        return eventually(f"run {run} being {wanted}", lambda: (now := self.run(run))["status"] in wanted and now)

    def await_question(self, run):
        return eventually("a question", lambda: self.get(f"/runs/{run}/questions").json["data"])[0]

    def answer(self, run, question, **answer):
        return self.post(f"/runs/{run}/questions/{question}/answer", answer)

    def events(self, run):
        """All events that are stored, page by page."""
        found = []
        while True:
            page = self.get(f"/runs/{run}/events?page[limit]=100&page[offset]={len(found)}", {"Accept": "application/json"}).json
            found += page["data"]
            if not page["meta"]["has_more"]:
                return found

    def await_event(self, run, kind, node=None):
        def look():
            return next((event for event in self.events(run) if event["event"] == kind and node in (None, event.get("node_id"))), None)
        return eventually(f"{kind} {node or ''} in run {run}", look)

    def follow(self, run, after=None):
        """All (id, data) frames up to the stream's end."""
        with self.stream(run, after) as stream:
            assert stream.status == 200, (stream.status, stream.rest())
            return list(stream)

    def stream(self, run, after=None):
        return EventStream(self.port, run, after, tls=self.tls, credentials=self.credentials)

    def work_dir(self, run):
        return self.storage / "runs" / run / "work"


class EventStream:
    """One GET of a run's stream on a socket of its own. Iterates over (id, data) with the data as text."""

    def __init__(self, port, run, after=None, query="", tls=None, credentials=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.credentials = credentials or {}
        self.file = self.socket.makefile("rb")
        self.pings = 0
        self.headers = {}
        try:
            self.status = self.ask(run, after, query)
        except BaseException:
            self.close()
            raise

    def ask(self, run, after, query):
        more = self.credentials | ({"Last-Event-ID": after} if after is not None else {})
        head = [f"GET /runs/{run}/events{query} HTTP/1.1", "Host: localhost", "Accept: text/event-stream", *(f"{name}: {value}" for name, value in more.items())]
        self.socket.sendall("".join(line + "\r\n" for line in [*head, ""]).encode())
        status = self.file.readline().split()
        while (line := self.file.readline().strip()):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        if len(status) < 2:
            raise ConnectionError("no answer")
        return int(status[1])

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def rest(self):
        length = self.headers.get("content-length")
        return self.file.read(int(length)) if length else b"".join(self.chunks())

    def chunks(self):
        while True:
            head = self.file.readline()
            if not head.endswith(b"\n"):
                raise ConnectionError("the stream broke")
            size = int(head.split(b";")[0], 16)
            data = self.file.read(size + 2)
            if len(data) < size + 2:
                raise ConnectionError("the stream broke")
            if size == 0:
                return
            yield data[:size]

    def __iter__(self):
        waiting = b""
        for chunk in self.chunks():
            waiting += chunk
            *frames, waiting = waiting.split(b"\n\n")
            for frame in frames:
                if frame.startswith(b":"):
                    self.pings += 1
                    continue
                found = re.fullmatch(rb"id: (\d+)\ndata: (.*)", frame)
                if not found:
                    raise AssertionError(f"a malformed frame: {frame!r}")
                yield int(found[1]), found[2].decode()
        if waiting:
            raise AssertionError(f"half a frame at the end: {waiting!r}")


def graph(body, name="w"):
    """A workflow with its start and its end, called s and e."""
    return f"digraph {name} {{ s [shape=Mdiamond]; e [shape=Msquare]; {body} }}"


def command(name, script, attributes=""):
    return f"{name} [shape=parallelogram, script={json.dumps(script)} {attributes}];"


def chain(*names):
    return " -> ".join(("s", *names, "e"))


GATE = graph('gate [shape=hexagon, label="Ship it?"]; s -> gate; gate -> e [label="[Y] Yes"]; gate -> e [label="[N] No"]', "gate")
SHORT = graph("s -> e", "short")


def processes_of(run):
    """Who has this run's id in its environment."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if f"FABRO_RUN_ID={run}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def in_threads(count, work):
    """Runs work(0) .. work(count - 1) side by side; raises the first error."""
    errors, results = [], [None] * count

    def one(index):
        try:
            results[index] = work(index)
        except BaseException as error:  # shown to whoever waits below
            errors.append(error)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


class Case(unittest.TestCase):
    """A server for all tests of a class."""

    args = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(args=cls.args).__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def refused(self, reply, status, detail=None):
        """The error envelope, complete, with one entry; its detail."""
        self.assertEqual(reply.status, status, reply.body[:500])
        self.assertEqual(reply.headers["content-type"], "application/json")
        errors = reply.json["errors"]
        for error in errors:
            self.assertEqual(set(error), {"status", "title", "detail"})
            self.assertEqual(error["status"], str(status))
            self.assertEqual(error["title"], TITLES[status])
            self.assertTrue(error["detail"])
        if detail is not None:
            self.assertEqual(errors[0]["detail"], detail)
        return errors[0]["detail"]


TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
          408: "Request Timeout", 409: "Conflict", 410: "Gone", 413: "Content Too Large", 414: "URI Too Long",
          415: "Unsupported Media Type", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
          500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
          504: "Gateway Timeout", 505: "HTTP Version Not Supported"}


def main():
    """usage: FILE_test.py BIN_FOLDER serve|split [unittest arguments]"""
    here = sys.modules["support"]
    here.BIN, here.LAYOUT = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
