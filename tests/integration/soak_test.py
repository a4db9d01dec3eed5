#!/usr/bin/env python3
"""A day's work in an hour, under everything that happens to a server in a day: restarts by SIGTERM and by kill -9, settings and
certificates that change, logs that are rotated. At the end memory, descriptors and threads must be what they were after the
first minute.

Only with FABRO_SOAK=1; FABRO_SOAK_MINUTES says how long (60)."""
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

from security_test import CERTS, TlsServer
from support import GATE, PATIENCE, SHORT, TERMINAL, chain, command, eventually, graph, main

TOKEN = CERTS.with_name("make_token.sh")
MINUTES = float(os.environ.get("FABRO_SOAK_MINUTES", "60"))

BRANCHES = graph("fan [shape=component]; join [shape=tripleoctagon]; s -> fan; join -> e;" +
                 "".join(command(name, f"echo {name}; sleep 0.2") + f"fan -> {name} -> join;" for name in "abc"))
INNER = graph(command("work", "echo work") + "s -> work -> e", "inner")
PARENT = graph(f"kid [shape=house, manager.poll_interval=2s, stack.child_dot_source={json.dumps(INNER)}]; s -> kid -> e")
WAIT = graph("nap [shape=insulator, duration=2s]; s -> nap -> e")
LONG = graph(command("c", "setsid -f sleep 3000; sleep 3000") + chain("c"))
CHATTY = graph(command("c", "for i in $(seq 200); do echo line $i; done") + chain("c"))

# What a restart does to whoever is asking at that moment: no answer, or one without what was asked for.
PASSING = (OSError, http.client.HTTPException, AssertionError, KeyError)


class Load:
    """Clients of every kind, until they are told to stop. What a restart breaks is begun anew; what was accepted must be there."""

    def __init__(self, server):
        self.server, self.over, self.wrong = server, threading.Event(), []
        self.accepted, self.lock = [], threading.Lock()
        self.done = dict.fromkeys(("runs", "answers", "cancels", "pauses", "events", "lists", "deletes"), 0)
        self.threads = [threading.Thread(target=self.repeat, args=(work,)) for work in (
            self.short, self.short, self.gate, self.wait, self.cancel, self.branches, self.parent, self.read, self.leave, self.look)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def repeat(self, work):
        chance = random.Random(work.__name__)
        while not self.over.is_set():
            try:
                work(chance)
            except PASSING:
                self.over.wait(0.2)
            except Exception as error:  # pylint: disable=broad-except  # told by the test
                self.wrong.append((work.__name__, repr(error)))
            self.over.wait(0.05)

    def create(self, source):
        reply = self.server.post("/runs", {"dot_source": source})
        if reply.status != 201:
            raise ConnectionError(reply.status)  # draining
        run = reply.json["id"]
        with self.lock:
            self.accepted.append(run)
            self.done["runs"] += 1
        return run

    def ends(self, run):
        eventually("an end", lambda: self.over.is_set() or self.server.run(run).get("status") in ("completed", "failed", "cancelled"), 60)

    def short(self, _):
        run = self.create(SHORT)
        self.ends(run)
        with self.lock:  # before it is asked for: the answer may be lost on its way
            self.accepted.remove(run)
        if self.server.request("DELETE", f"/runs/{run}").status == 204:
            self.done["deletes"] += 1

    def gate(self, chance):
        run = self.create(GATE)
        question = eventually("a question", lambda: self.over.is_set() or self.server.get(f"/runs/{run}/questions").json["data"], 60)
        if question is True:
            return
        if chance.random() < 0.3 and self.server.post(f"/runs/{run}/pause").status == 200:
            self.done["pauses"] += 1
            self.server.post(f"/runs/{run}/unpause")
        if self.server.answer(run, question[0]["id"], selected_option_key="Y").status == 204:
            self.done["answers"] += 1
        self.ends(run)

    def wait(self, _):
        self.ends(self.create(WAIT))

    def cancel(self, _):
        run = self.create(LONG)
        if self.server.post(f"/runs/{run}/cancel").status == 200:
            self.done["cancels"] += 1

    def branches(self, _):
        self.ends(self.create(BRANCHES))

    def parent(self, _):
        self.ends(self.create(PARENT))

    def read(self, _):
        """To the end of a chatty run; every event once, whatever happens in between."""
        run, seen = self.create(CHATTY), []
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                with self.server.stream(run, seen[-1] if seen else None) as stream:
                    if stream.status == 410:
                        break
                    if stream.status == 200:
                        for number, data in stream:
                            seen.append(number)
                            if json.loads(data)["event"] in TERMINAL:
                                break
                        else:
                            continue
                        break
            self.over.wait(0.2)
        if seen != list(range(1, len(seen) + 1)):
            self.wrong.append(("read", f"events {seen}"))
        self.done["events"] += len(seen)

    def leave(self, chance):
        """Readers that go in the middle."""
        run = self.create(CHATTY)
        with self.server.stream(run) as stream:
            for _ in zip(range(chance.randrange(30)), stream):
                pass

    def look(self, chance):
        for path in ("/runs?page[limit]=100", "/runs?filter[status]=completed&page[offset]=50", "/metrics", "/openapi.json", "/health/ready", "/audit"):
            self.server.get(path)
            self.done["lists"] += 1
        if chance.random() < 0.1:
            self.server.get("/runs/nobody")


class Soaked(TlsServer):
    """Core and gateway over mutual TLS, HTTPS with tokens in front, with settings, certificates and logs that change while they run."""

    def __init__(self):
        super().__init__()
        self.make_certs("--jwt", "--user", "carol")
        self.environment["FABRO_JWT_PUBLIC_KEY"] = (self.certs / "jwt.pub").read_text()
        self.changes = 0
        self.settings("info")
        self.log_in()

    def settings(self, level):
        """Another user each time is let in beside ours."""
        self.more = f"""[log]
level = "{level}"
[api]
authentication_strategies = ["jwt", "mtls"]
[api.tls]
cert = "{self.certs}/api.crt"
key = "{self.certs}/api.key"
ca = "{self.certs}/ca.crt"
[web.auth]
allowed_usernames = ["alice", "bob{self.changes}"]
"""

    def log_in(self):
        """Other tokens each time, and the files that there are now."""
        self.credentials = {"Authorization": "Bearer " + subprocess.run(
            [TOKEN, "--key", self.certs / "jwt.key", "--user", "alice", "--ttl", f"{7200 + self.changes}"],
            check=True, capture_output=True, text=True, timeout=60).stdout.strip()}
        self.tls = ssl.create_default_context(cafile=self.certs / "ca.crt")

    def reload(self):
        self.changes += 1
        self.settings("info" if self.changes % 2 else "debug")
        self.config()
        self.log_in()

    def renew(self):
        """Certificates and keys of all three: the core's, the gateway's and the API's."""
        shown = self.shown()
        self.make_certs("--rekey")
        eventually("the API's new certificate", lambda: self.shown() != shown)

    def shown(self):
        """The certificate that a client is shown, DER."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as link, self.tls.wrap_socket(link, server_hostname="localhost") as tls:
            return tls.getpeercert(binary_form=True)

    def rotate(self):
        """As logrotate's copytruncate does."""
        for log in self.home.glob("*.log"):
            shutil.copy(log, f"{log}.1")
            os.truncate(log, 0)

    def restart_core(self, how):
        self.core.signal(how)
        self.core.wait()
        self.start_core()
        self.await_ready()

    def restart_gateway(self, how):
        self.gateway.signal(how)
        self.gateway.wait()
        self.start_gateway()
        self.await_ready()

    def sizes(self):
        """Of both processes: memory in MiB, descriptors, threads."""
        return {f"{name} {what}": self.metric(f"{prefix}_{metric}") / unit
                for name, prefix in (("core", "process"), ("gateway", "fabro_gateway_process"))
                for what, metric, unit in (("MiB", "resident_memory_bytes", 1 << 20), ("descriptors", "open_fds", 1), ("threads", "threads", 1))}


# What a core keeps for good and fills slowly: the rows of the runs that were used last (core/storage/row_cache.h). As many are
# read before the first look, else they would seem to be a leak until there are that many.
KEPT = 8192

# Memory may grow by SQLite's pages (16 MiB for the writer, filled as the database grows) and malloc's arenas. These
# have bounds, so an hour's leak of a few bytes a request is far beyond them. Descriptors: connections come and go.
ROOM = {"MiB": lambda before: before * 1.15 + 10, "descriptors": lambda before: before + 10, "threads": lambda before: before + 2}


class Soak(unittest.TestCase):
    @unittest.skipUnless("FABRO_SOAK" in os.environ, "takes an hour")
    def test_a_day_in_an_hour(self):
        with Soaked() as server:
            deeds = [server.reload, server.rotate, server.renew, lambda: server.restart_core(signal.SIGTERM), server.reload,
                     lambda: server.restart_gateway(signal.SIGTERM), lambda: server.restart_core(signal.SIGKILL), lambda: server.restart_gateway(signal.SIGKILL)]
            runs = self.work(server, MINUTES / 2, deeds)
            # From here on both live to the end, and are asked after a minute and at the end, with nobody beside.
            server.restart_core(signal.SIGTERM)
            server.restart_gateway(signal.SIGTERM)
            warm = min(1.0, MINUTES / 8)
            for run in runs[-KEPT:]:
                server.run(run)
            self.work(server, warm, deeds[:3])
            before = self.quiet(server)
            self.work(server, MINUTES / 2 - warm, deeds[:3])
            after = self.quiet(server)
            print()
            for what, value in before.items():
                print(f"{what:22} after {warm:.1f} min {value:8.1f}   at the end {after[what]:8.1f}")
            for what, value in before.items():
                self.assertLessEqual(after[what], ROOM[what.split()[1]](value), what)
            self.assertEqual(set(server.stop()), {0})

    def work(self, server, minutes, deeds):
        """Load for so long, and a deed every few seconds."""
        until = time.monotonic() + 60 * minutes
        pause = max(3.0, min(30.0, minutes * 4))
        with Load(server) as load:
            for number in range(1_000_000):
                if load.over.wait(min(pause, max(0.0, until - time.monotonic()))) or time.monotonic() >= until:
                    break
                deeds[number % len(deeds)]()
        self.assertEqual(load.wrong, [])
        print(f"{minutes:.1f} min: {load.done}", flush=True)
        for kind, count in load.done.items():
            self.assertGreater(count, 0, kind)
        for run in load.accepted:
            if server.run(run)["status"] not in ("completed", "failed", "cancelled"):
                self.assertIn(server.post(f"/runs/{run}/cancel").status, (200, 409))
            self.assertIn(server.await_status(run, "completed", "cancelled")["status"], ("completed", "cancelled"))
        # A run whose id was lost with the answer to its creation goes on, unknown to any client: whoever looks after a server stops it.
        for status in ("queued", "starting", "running", "paused"):
            for run in server.get(f"/runs?filter[status]={status}&page[limit]=100").json["data"]:
                server.post(f"/runs/{run['id']}/cancel")
        return load.accepted

    def quiet(self, server):
        eventually("every slot being back", lambda: server.metric("fabro_slots_held") == 0)
        self.assertEqual(server.metric("fabro_queue_length"), 0)
        eventually("no run being in memory", lambda: server.metric("fabro_actors") == 0)
        return server.sizes()


if __name__ == "__main__":
    main()
