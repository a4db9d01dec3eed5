#!/usr/bin/env python3
"""Clients that mean harm, or are badly written, beside one that is neither: each is refused in the way that fits, the other
is answered all the while, and nothing of them stays.

FABRO_SOAK=1: with 10,000 idle connections, and those attacks whose end takes a minute."""
import contextlib
import os
import pathlib
import resource
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

from security_test import CERTS
from support import GATE, PATIENCE, Server, binary, eventually, graph, in_threads, main

SOAK = "FABRO_SOAK" in os.environ
IDLE = 10_000 if SOAK else 1_000
# What AddressSanitizer keeps of freed memory, 256 MiB by default, must not hide what the server keeps.
SANITIZED = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + " quarantine_size_mb=16"}
MEMORY = 200 << 20  # what the server may grow by; the attacks below would make it many times that if it kept what they send


def most_descriptors():
    """This test's own limit, as far up as it goes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def limits_of(pid):
    line = next(line for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max open files"))
    return tuple(int(number) for number in line.split()[3:5])


def descriptors(server):
    return server.metric("process_open_fds")


def memory(server):
    return server.metric("process_resident_memory_bytes")


class Quiet(threading.Thread):
    """The client that is none of them. Goes on until it is told to stop; keeps whatever was wrong."""

    def __init__(self, server, run):
        super().__init__()
        self.server, self.run_id, self.wrong, self.answers = server, run, [], 0
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            try:
                for path in ("/health", f"/runs/{self.run_id}", "/runs?page[limit]=1"):
                    reply = self.server.get(path)
                    if reply.status != 200:
                        self.wrong.append((path, reply.status, reply.body[:200]))
                    self.answers += 1
            except OSError as error:
                self.wrong.append(error)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Beside(unittest.TestCase):
    """Every test of these has the quiet client beside it, and a look at what the server keeps behind it."""

    @classmethod
    def make_server(cls):
        server = Server(layout="serve", environment=SANITIZED)
        config = server.home / "server.toml"
        config.write_text(f"[limits]\nmax_connections = {IDLE + 1_000}\n")  # by default 10,000, with the quiet client's
        server.environment["FABRO_CONFIG"] = str(config)
        return server

    @classmethod
    def setUpClass(cls):
        if cls is Beside:
            raise unittest.SkipTest("a base")
        cls.hard = most_descriptors()
        cls.server = cls.make_server().__enter__()
        cls.addClassCleanup(lambda: cls.server.close())
        cls.run_id = cls.server.create(GATE)
        cls.server.await_question(cls.run_id)

    def setUp(self):
        self.server.get("/health")
        self.before = (memory(self.server), descriptors(self.server))
        self.quiet = Quiet(self.server, self.run_id).__enter__()

    def tearDown(self):
        answered = self.quiet.answers
        eventually("answers for the quiet client", lambda: self.quiet.answers > answered + 3 or self.quiet.wrong)
        self.quiet.__exit__()
        self.assertEqual(self.quiet.wrong, [])
        was, open_before = self.before
        self.assertLess(memory(self.server), was + MEMORY)
        eventually("every connection being closed", lambda: descriptors(self.server) <= open_before + 2)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE)

    def send(self, *pieces):
        """What comes back for these bytes, read until the server closes; a reset counts as that."""
        with self.connect() as link:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    link.sendall(piece)
            return self.receive(link)

    @staticmethod
    def receive(link):
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := link.recv(65536):
                received += piece
        return received

    def refused(self, answer, status):
        self.assertTrue(answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:300])
        self.assertIn(b'{"errors":[', answer)


class Hostile(Beside):
    def test_heads_that_are_too_large(self):
        line = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
        self.refused(self.send(line + b"X-Long: " + b"a" * 40_000 + b"\r\n\r\n"), 431)
        self.refused(self.send(line + b"X-Many: 1\r\n" * 5_000 + b"\r\n"), 431)
        self.refused(self.send(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414)
        in_threads(8, lambda _: [self.send(line + b"X-Long: " + b"a" * 1_000_000) for _ in range(5)])

    def test_bodies_that_are_too_large(self):
        head = b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.refused(self.send(head + b"Content-Length: 1000000000000\r\n\r\n"), 413)
        self.refused(self.send(head + b"Content-Length: 5000000\r\n\r\n" + b" " * 5_000_000), 413)
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        self.refused(self.send(head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 200), 413)
        # Each a little below what is allowed, and none ever whole.
        links = [self.connect() for _ in range(20)]
        for link in links:
            link.sendall(head + b"Content-Length: 4000000\r\n\r\n" + b" " * 3_000_000)
        for link in links:
            link.close()

    def test_garbage(self):
        for garbage in (os.urandom(4096), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500), b"\0" * 100 + b"\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            answer = self.send(garbage, b"\r\n\r\n")
            self.assertRegex(answer, rb"\AHTTP/1.1 (400|505|414|431) ", garbage[:40])

    def test_garbage_behind_a_good_request(self):
        answer = self.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3 + os.urandom(200).replace(b"\n", b"") + b"\r\n\r\n")
        self.assertEqual(answer.count(b"HTTP/1.1 200 "), 3)
        self.assertEqual(answer.count(b"HTTP/1.1 400 "), 1, answer[-600:])
        self.assertEqual(answer.count(b"HTTP/1.1 "), 4)

    def test_a_head_that_arrives_byte_by_byte(self):
        links = [self.connect() for _ in range(50)]
        answers = {}
        deadline = time.monotonic() + PATIENCE
        for link in links:
            link.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
            link.setblocking(False)
        while len(answers) < len(links) and time.monotonic() < deadline:
            for link in links:
                if link not in answers:
                    with contextlib.suppress(BlockingIOError):
                        try:
                            answers[link] = link.recv(4096)
                            continue
                        except ConnectionResetError:
                            answers[link] = b""
                    with contextlib.suppress(OSError):
                        link.send(b"x")
            time.sleep(0.2)
        for link, answer in answers.items():
            self.refused(answer, 408)
        for link in links:
            link.close()
        self.assertEqual(len(answers), len(links))

    @unittest.skipUnless(SOAK, "the limits are 30 s and 60 s")
    def test_a_body_that_never_comes_and_a_connection_that_says_nothing(self):
        head = b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        late, silent = self.connect(), self.connect()
        late.sendall(head)
        self.refused(self.receive(late), 408)
        self.assertEqual(self.receive(silent), b"")
        late.close()
        silent.close()

    def test_readers_that_do_not_read(self):
        links = []
        for _ in range(50):
            link = socket.socket()
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.settimeout(PATIENCE)
            link.connect(("127.0.0.1", self.server.port))
            link.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(500):
                    link.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            links.append(link)
        answered = self.quiet.answers
        eventually("the quiet client being answered meanwhile", lambda: self.quiet.answers > answered + 30)
        self.assertLess(memory(self.server), self.before[0] + MEMORY)
        for link in links:
            link.close()

    def test_connections_that_end_early(self):
        def one(number):
            for turn in range(100):
                link = self.connect()
                if turn % 4 == 0:
                    link.sendall(b"GET /runs HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if turn % 4 == 1:
                    link.sendall(f"GET /runs/{self.run_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                if turn % 4 == 2:
                    link.shutdown(socket.SHUT_WR)
                if turn % 2 == number % 2:  # a reset instead of an end
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                link.close()

        in_threads(8, one)

    def test_half_open_connections_are_closed(self):
        links = [self.connect() for _ in range(200)]
        for link in links:
            link.shutdown(socket.SHUT_WR)
        for link in links:
            self.assertEqual(self.receive(link), b"")
            link.close()

    def test_many_idle_connections(self):
        self.assertGreater(self.hard, IDLE + 500, "ulimit -Hn is too low for this test")
        links = [self.connect() for _ in range(IDLE)]
        try:
            eventually("all of them being taken", lambda: descriptors(self.server) >= IDLE)
            answered = self.quiet.answers
            eventually("the quiet client being answered meanwhile", lambda: self.quiet.answers > answered + 30)
        finally:
            for link in links:
                link.close()


class HostileToTls(Beside):
    @classmethod
    def make_server(cls):
        server = Server(layout="serve", environment=SANITIZED)
        certs = server.home / "certs"
        subprocess.run([CERTS, certs], check=True, capture_output=True, timeout=120)
        config = server.home / "server.toml"
        config.write_text(f'[api.tls]\ncert = "{certs}/api.crt"\nkey = "{certs}/api.key"\n')
        server.environment["FABRO_CONFIG"] = str(config)
        server.tls = ssl.create_default_context(cafile=certs / "ca.crt")
        return server

    def dial(self):
        return self.server.tls.wrap_socket(self.connect(), server_hostname="localhost")

    def hello(self):
        """The first flight of a client, as bytes."""
        out = ssl.MemoryBIO()
        client = self.server.tls.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        return out.read()

    def s_client(self, *options, typed=""):
        """What openssl s_client says, to its end."""
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}", *options], input=typed, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        return done.stdout + done.stderr

    def test_handshakes_that_never_end(self):
        hello = self.hello()
        links = []
        for number in range(200):
            link = self.connect()
            link.sendall((b"\x16", hello[:len(hello) // 2], hello)[number % 3])
            links.append(link)
        for link in links:  # cut off after limits of their own
            self.receive(link)
            link.close()

    def test_clients_that_go_in_the_middle(self):
        hello = self.hello()

        def one(number):
            for turn in range(60):
                if turn % 3 == 0:
                    link = self.connect()
                    link.sendall(hello[:(turn * 37) % len(hello)] or hello)
                else:
                    link = self.dial()
                    link.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * (turn % 3))
                    if turn % 2:
                        link.recv(100)  # and not the rest
                if turn % 2 == number % 2:
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                link.close()  # without a close_notify

        in_threads(8, one)

    def test_renegotiation_is_refused(self):
        request = "GET /health HTTP/1.1\nHost: localhost\nConnection: close\n\n"
        self.assertIn("HTTP/1.1 200 OK", self.s_client("-tls1_2", "-crlf", "-ign_eof", typed=request))
        said = in_threads(4, lambda _: [self.s_client("-tls1_2", typed="R\n") for _ in range(5)])
        for text in (text for texts in said for text in texts):
            self.assertIn("RENEGOTIATING", text)
            self.assertIn("no renegotiation", text)
            self.assertEqual(text.count("SSL handshake has read"), 1, text)

    def test_old_versions_and_weak_ciphers_are_refused(self):
        weak = ("-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
        for options in (("-tls1", *weak), ("-tls1_1", *weak), ("-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"),
                        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"), ("-tls1_2", "-cipher", "NULL:aNULL:@SECLEVEL=0")):
            said = self.s_client(*options)
            self.assertIn("Cipher is (NONE)", said, options)
            self.assertRegex(said, "alert (protocol version|handshake failure)", options)

    def test_garbage(self):
        record = b"\x16\x03\x01"
        for garbage in (os.urandom(4096), record + b"\xff\xff" + b"\0" * 70_000, record + b"\x40\0\x01\x00\x3f\xfc" + os.urandom(16_380),
                        b"\x15\x03\x03\x00\x02\x02\x28", b"\x17\x03\x03\x00\x05hello", b"\x80\x2e\x01\x00\x02" + b"\0" * 60, self.hello() + os.urandom(500)):
            answer = self.send(garbage)
            self.assertNotIn(b"HTTP/1.1 200", answer)
        self.refused(self.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400)

    def test_many_idle_connections(self):
        links = [self.dial() for _ in range(IDLE // 5)]
        try:
            answered = self.quiet.answers
            eventually("the quiet client being answered meanwhile", lambda: self.quiet.answers > answered + 30)
            self.assertLess(memory(self.server), self.before[0] + MEMORY)
        finally:
            for link in links:
                link.close()


class Bounds(unittest.TestCase):
    """What the server does about its own limits."""

    def test_connections_beyond_the_limit_are_told_so_and_closed(self):
        most_descriptors()
        server = Server(layout="serve", environment=SANITIZED)
        config = server.home / "server.toml"
        config.write_text("[limits]\nmax_connections = 50\n")
        server.environment["FABRO_CONFIG"] = str(config)
        with server:
            address = ("127.0.0.1", server.port)
            links = [socket.create_connection(address, timeout=PATIENCE) for _ in range(50)]
            refused = 0
            for _ in range(400):
                with socket.create_connection(address, timeout=PATIENCE) as link:
                    answer = b""
                    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                        link.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        answer = Hostile.receive(link)
                    self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 503 "), answer[:200])
                    refused += answer != b""
            self.assertGreater(refused, 300)
            links[0].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(links[0].recv(4096).startswith(b"HTTP/1.1 200 "))
            for link in links:
                link.close()
            eventually("room again", lambda: server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 "))

    def test_the_limit_of_descriptors_is_raised_and_a_low_one_is_told_of(self):
        hard = most_descriptors()
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            with Server(layout="serve", environment=SANITIZED) as server:
                self.assertEqual(limits_of(server.core.pid), (hard, hard))
        finally:
            most_descriptors()
        server = Server(layout="serve", environment=SANITIZED)
        script = f'ulimit -n 300; exec "{binary("fabro")}" serve --port 0 --storage-dir "{server.storage}" --log-format json'
        with subprocess.Popen(["bash", "-c", script], env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as low:
            line = next(line for line in low.stdout if "descriptors" in line or '"port"' in line)
            self.assertRegex(line, r"limits.max_connections.*ulimit -n|ulimit -n.*limits.max_connections")
            low.kill()
        server.close()


if __name__ == "__main__":
    main()
