#!/usr/bin/env python3
"""Every message that a user can cause, as the built programs say it, in one golden file: messages.golden. Each says what is
wrong, where, and what to do about it; where it does not, mend it in the product. What a workflow's diagnostics say is in
tests/core/workflow/golden.

usage: messages_test.py BIN_FOLDER; UPDATE_GOLDEN=1 in the environment rewrites the golden file."""
import difflib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import support  # noqa: E402
from support import GATE, SHORT, Server, command, graph  # noqa: E402

GOLDEN = HERE / "messages.golden"


class Book:
    """What was said, with everything that differs from run to run replaced."""

    def __init__(self):
        self.lines, self.names = [], []

    def call(self, value, name):
        self.names.append((str(value), name))

    def plain(self, text):
        for value, name in sorted(self.names, key=lambda entry: -len(entry[0])):
            text = text.replace(value, name)
        text = re.sub(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", "ID", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", text)
        return re.sub(r"(?m)[ \t]+$", "", text)

    def chapter(self, title):
        self.lines += ["", f"== {title}"]

    def note(self, deed, said):
        self.lines += ["", self.plain(deed), *("  " + line for line in self.plain(said).splitlines())]

    def text(self):
        return "\n".join(self.lines).strip() + "\n"


def rest(book, server):
    def ask(method, path, body=None, headers=None, shown=None):
        reply = server.request(method, path, body, headers)
        said = []
        if reply.body[:1] == b"{" and "errors" in reply.json:
            said = [f"{error['status']} {error['detail']}" for error in reply.json["errors"]]
        deed = f"{method} {path}"
        if body is not None:
            deed += " " + (shown or (json.dumps(body) if isinstance(body, (dict, list)) else body))
        for name, value in (headers or {}).items():
            deed += f"  {name}: {value if len(value) < 40 else f'{len(value)} characters'}"
        book.note(deed, "\n".join(said) or f"{reply.status} {reply.body[:300].decode(errors='replace')}")

    done = server.create(SHORT)
    server.await_status(done, "completed")
    asking = server.create(GATE)
    question = server.await_question(asking)["id"]
    paused = server.create(GATE)
    server.await_question(paused)
    server.post(f"/runs/{paused}/pause")
    working = server.create(graph(command("c", "sleep 3000") + "s -> c -> e"))
    server.await_event(working, "StageStarted", "c")
    queued = server.create(SHORT)
    for run, name in ((done, "DONE"), (asking, "ASKING"), (paused, "PAUSED"), (working, "WORKING"), (queued, "QUEUED")):
        book.call(run, name)
    json_type = {"Content-Type": "application/json"}

    book.chapter("Paths and methods")
    ask("GET", "/nothing")
    ask("PUT", "/runs", {})
    ask("GET", f"/runs/{done}/cancel")

    book.chapter("Unknown things")
    for method, rest_of_path in (("GET", ""), ("GET", "/events"), ("GET", "/graph"), ("GET", "/questions"), ("GET", "/checkpoint"), ("GET", "/context"),
                                 ("GET", "/stages"), ("GET", "/settings"), ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/unpause"), ("DELETE", "")):
        ask(method, f"/runs/abc123{rest_of_path}")

    book.chapter("Bodies that are not right")
    for body in ("", "{", "[]", "null", '"x"', '{"dot_source": 5}', '{"dot_source": "a", "dot_source": "b"}', '{"dot_source": "x"} trailing', '{"title": "a"}',
                 '{"dot_source": null}', '{"dot_source": "digraph {", "labels": []}', '{"dot_source": "x", "labels": {"a": 1}}', '{"dot_source": "x", "vars": 1}',
                 '{"dot_source": "x", "priority": "high"}', '{"dot_source": "x", "priority": 1.5}', '{"dot_source": "x", "priority": 99999999999}',
                 '{"dot_source": "\\ud800"}', '{"dot_source": nul}', "{'dot_source': 1}"):
        ask("POST", "/runs", body, json_type)
    ask("POST", "/runs", '{"a":' * 70 + "1" + "}" * 70, json_type, '{"a": 70 times}')
    ask("POST", "/runs", b'{"dot_source": "\xff"}', json_type, "not UTF-8")
    ask("POST", "/runs", "<a/>", {"Content-Type": "text/xml"})
    ask("POST", "/runs", {"dot_source": SHORT, "title": "t" * 5000}, shown="a title of 5,000 characters")
    ask("POST", "/runs", " " * 5_000_000, json_type, "5,000,000 bytes")
    ask("POST", "/runs", {"dot_source": SHORT}, {"Idempotency-Key": "k" * 300}, "a workflow")

    book.chapter("Workflows that are not right")
    for source in ("", "hello", "digraph x {", "graph x {}", "digraph x { s [shape=Mdiamond]; a; s -> a }",
                   "digraph x { s [shape=Mdiamond]; e [shape=Msquare]; c [shape=parallelogram]; s -> c -> e; c -> e [condition=\"a ==\"] }"):
        ask("POST", "/runs", {"dot_source": source})
    server.post("/runs", {"dot_source": SHORT}, {"Idempotency-Key": "taken"})
    ask("POST", "/runs", {"dot_source": GATE}, {"Idempotency-Key": "taken"}, "the key of another request")

    book.chapter("Lists")
    for query in ("page[limit]=many", "page[limit]=1.5", "page[offset]=-1", "page[offset]=x", "sort=name", "filter[status]=busy", "filter[parent]=abc"):
        ask("GET", f"/runs?{query}")
    ask("GET", f"/runs/{done}/stages?page[limit]=x")

    book.chapter("States that forbid it")
    ask("POST", f"/runs/{done}/cancel")
    ask("POST", f"/runs/{done}/pause")
    ask("POST", f"/runs/{done}/unpause")
    ask("POST", f"/runs/{asking}/unpause")
    ask("POST", f"/runs/{paused}/pause")
    ask("POST", f"/runs/{queued}/pause")
    ask("DELETE", f"/runs/{working}")

    book.chapter("Answers that do not fit")
    for answer in ({}, {"selected_option_key": "Z"}, {"selected_option_keys": ["Y", "N"]}, {"selected_option_keys": ["Z"]}, {"value": "maybe"}, {"value": ""},
                   {"selected_option_key": 5}):
        ask("POST", f"/runs/{asking}/questions/{question}/answer", answer)
    ask("POST", f"/runs/{asking}/questions/q-99/answer", {"selected_option_key": "Y"})
    ask("POST", f"/runs/{done}/questions/q-1/answer", {"selected_option_key": "Y"})
    ask("POST", f"/runs/{queued}/questions/q-1/answer", {"selected_option_key": "Y"})

    book.chapter("Event streams")
    ask("GET", f"/runs/{done}/events", headers={"Accept": "text/event-stream"})
    ask("GET", f"/runs/{asking}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "last"})
    ask("GET", f"/runs/{done}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "9999"})

    book.chapter("Callers from elsewhere")
    ask("GET", "/runs", headers={"Host": "evil.example"})
    ask("GET", "/runs", headers={"Origin": "https://evil.example"})

    book.chapter("HTTP")
    for name, raw in (("no host", b"GET /health HTTP/1.1\r\n\r\n"), ("a space in a name", b"GET /health HTTP/1.1\r\nHost: localhost\r\nA B: c\r\n\r\n"),
                      ("two lengths", b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
                      ("a length and chunks", b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
                      ("a length that is none", b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"),
                      ("an unknown encoding", b"POST /runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: zip\r\n\r\n"),
                      ("a bare carriage return", b"GET /health HTTP/1.1\rX\r\nHost: localhost\r\n\r\n"), ("no request line", b"hello\r\n\r\n"),
                      ("HTTP/2", b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n"), ("HTTP/3.7", b"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n"),
                      ("a long line", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                      ("long headers", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000 + b"\r\n\r\n"),
                      ("a bad escape", b"GET /runs/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                      ("a bad chunk", b"POST /runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")):
        answer = server.raw(raw)
        head, _, body = answer.partition(b"\r\n\r\n")
        details = [error["detail"] for error in json.loads(body)["errors"]] if body[:1] == b"{" else [body.decode(errors="replace")]
        book.note(name, f"{head.split()[1].decode() if head else 'closed'} {' | '.join(details)}")
    return done, asking


class Shell:
    def __init__(self, book, home):
        self.book = book
        self.environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

    def run(self, *words, shown=None, hidden=None, **variables):
        done = subprocess.run([str(support.BIN / words[0]), *map(str, words[1:])], env=self.environment | variables, capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL, check=False)
        # A configuration that is good but for a warning is printed whole, which is no message.
        said = (done.stderr + (done.stdout if done.returncode else "")).strip()
        deed = " ".join(map(str, words)) + (f"   # {shown}" if shown else "")
        if hidden:
            deed = deed.replace(hidden, "--port PORT")
        self.book.note("$ " + " ".join(f"{name}={value}" for name, value in variables.items()) + " " * bool(variables) + deed, said + f"\n[exit code {done.returncode}]")


def client(book, shell, server, done, asking):
    book.chapter("The client")
    url = ("--server", server.url)
    for words in (("dance",), ("show",), ("show", "abc123", *url), ("events", "abc123", *url), ("cancel", done, *url), ("pause", done, *url),
                  ("unpause", asking, *url), ("answer", done, "Y", *url), ("answer", asking, "Z", *url), ("delete", asking, *url), ("run", "/nowhere.fabro", *url),
                  ("validate", "/nowhere.fabro", *url), ("ps", "--server", "http://127.0.0.1:1"), ("ps", "--server", "nonsense"), ("ps", "--server", "ftp://x"),
                  ("ps", "--fast"), ("graph", "abc123", *url)):
        shell.run("fabro", *words)
    broken = server.home / "broken.fabro"
    broken.write_text("digraph x { s [shape=Mdiamond]; a [shape=parallelogram]; s -> a }")
    shell.run("fabro", "validate", broken, *url)
    shell.run("fabro", "run", broken, *url)


def configuration(book, shell, home):
    book.chapter("Configuration files")
    file = home / "server.toml"
    for text in ("[api", "api = 5", "[api]\nport = 70000", '[api]\nport = "many"', "max_concurrent_runs = 0", 'stop_grace = "soon"', "[api]\nhots = \"x\"",
                 "nonsense = 1", '[log]\nlevel = "loud"', '[log]\nformat = "xml"', "[limits]\nmax_body_bytes = 1", '[api]\ncors_origins = "x"',
                 '[core]\nsocket_mode = "0777"', '[api]\nauthentication_strategies = ["magic"]',
                 '[api]\nauthentication_strategies = ["jwt"]', '[api.tls]\ncert = "/nowhere/crt"\nkey = "/nowhere/key"', "max_concurrent_runs = 1\nmax_concurrent_runs = 2",
                 '[access]\nadmins = "alice"'):
        file.write_text(text + "\n")
        shell.run("fabro", "config", "check", file, shown=text.replace("\n", " | "))
    shell.run("fabro", "config", "check", home / "missing.toml")
    shell.run("fabro", "config", "check", home, shown="a folder")

    book.chapter("Starts that are refused")
    file.unlink()
    serve = ("fabro", "serve", "--storage-dir", home / "other")
    shell.run(*serve, "--host", "0.0.0.0")
    shell.run(*serve, "--port", "x")
    shell.run(*serve, "--port", "99999")
    shell.run(*serve, "--host", "not an address", "--port", "0")
    shell.run(*serve, "--host", "192.0.2.1", "--port", "0")
    shell.run(*serve, "--log-level", "loud")
    shell.run(*serve, "--sandbox", "moon")
    shell.run(*serve, "--grace", "soon")
    shell.run(*serve, "--config", home / "missing.toml")
    shell.run(*serve, "--fast")
    shell.run("fabro", "serve", "--storage-dir", "/proc/nowhere", "--port", "0")
    shell.run(*serve, FABRO_LOG="loud")
    shell.run("fabro-core", "--storage-dir", home / "other", "--fast")
    shell.run("fabro-gateway", "--storage-dir", home / "other", "--fast")
    file.write_text('[core]\nlisten = "0.0.0.0:7000"\n')
    shell.run("fabro-core", "--storage-dir", home / "other", "--config", file, shown="core.listen = 0.0.0.0:7000")
    file.write_text('[core]\nlisten = "somewhere"\n')
    shell.run("fabro-core", "--storage-dir", home / "other", "--config", file, shown="core.listen = somewhere")
    file.write_text('[gateway]\ncore = "10.0.0.1:7000"\n')
    shell.run("fabro-gateway", "--storage-dir", home / "other", "--config", file, shown="gateway.core = 10.0.0.1:7000")
    (home / "torn").mkdir()
    (home / "torn" / "fabro.db").write_bytes(b"this is no database, whatever its name says\n" * 100)
    shell.run("fabro", "serve", "--storage-dir", home / "torn", "--port", "0", shown="fabro.db is no database")


def main():
    support.BIN, support.LAYOUT = pathlib.Path(sys.argv[1]).resolve(), "serve"
    book = Book()
    book.lines = ["Generated by messages_test.py; UPDATE_GOLDEN=1 rewrites it."]
    with Server(args=("--max-concurrent-runs", 1)) as server:
        book.call(server.home, "HOME")
        book.call(server.url, "http://127.0.0.1:PORT")
        book.call(f":{server.port}", ":PORT")
        book.call(f"process {server.core.pid} on {socket.gethostname()} ", "process PID on THIS_HOST ")
        shell = Shell(book, server.home)
        done, asking = rest(book, server)
        client(book, shell, server, done, asking)
        book.chapter("A server beside another")
        shell.run("fabro", "serve", "--storage-dir", server.storage, "--port", "0")
        shell.run("fabro", "serve", "--storage-dir", server.home / "elsewhere", "--port", server.port, hidden=f"--port {server.port}")
        configuration(book, shell, server.home)
    text = book.text()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
        return 0
    known = GOLDEN.read_text() if GOLDEN.exists() else ""
    difference = list(difflib.unified_diff(known.splitlines(), text.splitlines(), "messages.golden", "what is said now", lineterm=""))
    print("\n".join(difference) or f"{text.count(chr(10) * 2)} messages are as they were")
    if difference:
        print("\nIf they are as they should be (what, where, what to do), rewrite the file: UPDATE_GOLDEN=1.")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
