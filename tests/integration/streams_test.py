#!/usr/bin/env python3
"""A hundred clients of one run's stream, each cut off ten times, the server killed among them."""
import contextlib
import http.client
import json
import threading
import unittest

from support import EventStream, PATIENCE, Server, TERMINAL, chain, command, eventually, graph, in_threads, main

CLIENTS = 100
RECONNECTS = 10
# Each stage says a little, takes a moment, says a little more.
STAGES = 30
LONG = graph("".join(command(f"c{n}", f"echo stage {n}; sleep 0.1; echo done; echo careful >&2") for n in range(STAGES)) + chain(*(f"c{n}" for n in range(STAGES))))


class Client:
    """Keeps what it was sent; leaves after every `share` events, `leaves` times, and comes back behind the last."""

    def __init__(self, server, run, share, leaves):
        self.server, self.run, self.share, self.leaves = server, run, share, leaves
        self.held = []  # (id, data)
        self.left = self.lost = 0

    def last(self):
        return self.held[-1][0] if self.held else None

    def over(self):
        return bool(self.held) and json.loads(self.held[-1][1])["event"] in TERMINAL

    def read(self):
        def once():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.connect()
                return self.over()
            self.lost += 1
            return False
        eventually(f"the end of the stream; at {self.last()}", once)
        return self

    def connect(self):
        with EventStream(self.server.port, self.run, self.last()) as stream:
            if stream.status == 503:  # the core is away
                return
            assert stream.status == 200, (stream.status, stream.rest())
            began = len(self.held)
            for frame in stream:
                self.held.append(frame)
                if self.left < self.leaves and len(self.held) - began >= self.share:
                    self.left += 1
                    return


class Streams(unittest.TestCase):
    def follow(self, server, disturb):
        run = server.create(LONG)
        clients = [Client(server, run, 8 + index % 5, RECONNECTS) for index in range(CLIENTS)]
        disturber = threading.Thread(target=disturb, args=(server, clients[0]))
        disturber.start()
        in_threads(CLIENTS, lambda index: clients[index].read())
        disturber.join()
        self.assertEqual(server.await_status(run, "completed", "failed", "cancelled")["status"], "completed")
        stored = server.events(run)
        self.assertGreater(len(stored), STAGES * 4)
        for client in clients:
            self.assertEqual([number for number, _ in client.held], list(range(1, len(stored) + 1)))
            self.assertEqual([json.loads(data) for _, data in client.held], stored)
            self.assertEqual(client.left, RECONNECTS)
        # Not a byte of it differs from reader to reader.
        self.assertEqual(len({tuple(client.held) for client in clients}), 1)
        return clients, stored

    def test_clients_that_come_and_go(self):
        with Server() as server:
            self.follow(server, lambda *_: None)

    def test_the_server_is_killed_in_the_middle(self):
        def kill(server, client):
            eventually("the middle of the run", lambda: len(client.held) > 60, PATIENCE)
            server.kill9()
            server.start()

        with Server() as server:
            clients, stored = self.follow(server, kill)
            self.assertTrue(any(client.lost for client in clients))
            resumed = [event for event in stored if event["event"] == "WorkflowRunResumed"]
            self.assertEqual(len(resumed), 1)
            self.assertEqual(resumed[0]["after"], resumed[0]["id"] - 1)

    def test_the_core_alone_is_killed(self):
        def kill(server, client):
            eventually("the middle of the run", lambda: len(client.held) > 60, PATIENCE)
            server.kill9_core()
            server.start_core()

        with Server("split") as server:
            _, stored = self.follow(server, kill)
            self.assertEqual(sum(event["event"] == "WorkflowRunResumed" for event in stored), 1)

    def test_a_reader_that_stops_reading_misses_nothing(self):
        # Far more than any buffer between server and client holds.
        noisy = graph(command("noisy", "head -c 6000000 /dev/zero | tr '\\0' x | fold -w 1000") + chain("noisy"))
        with Server() as server:
            run = server.create(noisy)
            with EventStream(server.port, run) as slow:
                frames = iter(slow)
                first = next(frames)
                server.await_status(run, "completed")
                held = [first, *frames]
            stored = server.events(run)
            self.assertEqual([number for number, _ in held], list(range(1, len(stored) + 1)))
            self.assertEqual([json.loads(data) for _, data in held], stored)


if __name__ == "__main__":
    main()
