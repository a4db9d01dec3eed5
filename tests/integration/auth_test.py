#!/usr/bin/env python3
"""Who may come in: tokens, certificates, users that are taken off the list, and limits, over HTTP and HTTPS, by the real programs with
the scripts of deploy/certs."""
import atexit
import contextlib
import functools
import http.client
import json
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import unittest

from support import Case, GATE, PATIENCE, Process, Reply, SHORT, Server, binary, eventually, main
import support

DEPLOY = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy" / "certs"


@functools.cache
def certificates():
    """Made once; every server has a copy."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fabro-it-certs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([DEPLOY / "make_certs.sh", "--jwt", "--user", "carol", folder], check=True, capture_output=True, timeout=120)
    return folder


class AuthServer(Server):
    """A server with a configuration of its own and the keys that make_certs.sh makes."""

    def __init__(self, api, usernames=("alice",), more="", environment=None):
        super().__init__()
        self.certs = self.home / "certs"
        shutil.copytree(certificates(), self.certs)
        self.environment["FABRO_JWT_PUBLIC_KEY"] = (self.certs / "jwt.pub").read_text()
        self.environment |= environment or {}
        self.api, self.more = api.replace("CERTS", str(self.certs)), more
        self.configure(usernames)
        self.args = ["--config", self.home / "server.toml"]

    def configure(self, usernames):
        names = ", ".join(f'"{name}"' for name in usernames)
        fresh = self.home / "server.toml.new"
        fresh.write_text(f"[api]\n{self.api}\n[web.auth]\nallowed_usernames = [{names}]\n{self.more}\n")
        fresh.rename(self.home / "server.toml")

    def new_gateway(self, port=0):
        command = [binary("fabro-gateway"), "--host", "127.0.0.1", "--port", port, "--storage-dir", self.storage, "--log-format", "json", *self.args]
        return Process(command, self.home / "gateway.log", self.environment)

    def token(self, user, *options):
        done = subprocess.run([DEPLOY / "make_token.sh", "--key", self.certs / "jwt.key", "--user", user, *options], check=True,
                              capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def bearer(self, user):
        return {"Authorization": f"Bearer {self.token(user)}"}

    def context(self, user=None):
        """How a client speaks TLS to it, with the certificate of a user if one is named."""
        context = ssl.create_default_context(cafile=self.certs / "ca.crt")
        if user:
            context.load_cert_chain(self.certs / "users" / f"{user}.crt", self.certs / "users" / f"{user}.key")
        return context

    def connect(self, user=None, port=None):
        return http.client.HTTPSConnection("localhost", port or self.port, timeout=PATIENCE, context=self.context(user))

    @staticmethod
    def ask(connection, path, headers=None, method="GET", body=None):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def door(self):
        """The process that listens for HTTP."""
        return self.gateway or self.core


class Tokens(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = AuthServer('authentication_strategies = ["jwt"]', ("alice", "bob")).__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def test_only_users_of_the_list_come_in(self):
        server = self.server
        alice = server.bearer("alice")
        self.assertEqual(server.get("/user", alice).json, {"login": "alice"})
        self.assertEqual(server.get("/api/v1/user", alice).json, {"login": "alice"})
        run = server.post("/runs", {"dot_source": SHORT}, alice).json["id"]
        self.assertEqual(server.get(f"/runs/{run}", alice).json["created_by"], "alice")
        reply = server.get("/user")
        self.refused(reply, 401, "Authentication required.")
        self.assertEqual(reply.headers["www-authenticate"], "Bearer")
        self.refused(server.get("/runs", server.bearer("mallory")), 403, "Access denied.")
        for path in ("/", "/health", "/health/live", "/health/ready", "/openapi.json"):
            self.assertEqual(server.get(path).status, 200, path)
        self.refused(server.get("/metrics"), 401)
        self.refused(server.get("/nowhere"), 404)
        self.assertIn('fabro_auth_refused_total{reason="not_allowed"} ', server.get("/metrics", alice).body.decode())

    def test_who_is_taken_off_the_list_is_refused_at_the_next_request(self):
        server = self.server
        bob = server.bearer("bob")
        self.assertEqual(server.get("/user", bob).status, 200)
        server.configure(["alice"])
        eventually("bob being refused", lambda: server.get("/user", bob).status == 403)
        server.configure(["alice", "bob"])
        eventually("bob being let in", lambda: server.get("/user", bob).status == 200)

    def test_no_token_is_logged(self):
        token = self.server.token("mallory")
        self.refused(self.server.get("/runs", {"Authorization": f"Bearer {token}"}), 403)
        eventually("the refusal in the log", lambda: "not_allowed" in self.server.door().said())
        self.assertNotIn(token.rsplit(".", 1)[-1], self.server.door().said())


TLS = """
[api.tls]
cert = "CERTS/api.crt"
key = "CERTS/api.key"
ca = "CERTS/ca.crt"
"""


class TlsServer(AuthServer):
    """The same over HTTPS; needs a strategy that lets probes without a certificate shake hands."""

    def __init__(self, strategies, **more):
        super().__init__(f"authentication_strategies = {json.dumps(strategies)}{TLS}", **more)

    def request(self, method, path, body=None, headers=None, port=None):
        connection = self.connect(self.user, port)
        try:
            headers = dict(headers or {})
            if isinstance(body, dict):
                body = json.dumps(body)
                headers["Content-Type"] = "application/json"
            return self.ask(connection, path, headers, method, body)
        finally:
            connection.close()

    user = None
    url = property(lambda self: f"https://localhost:{self.port}")


class Https(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = TlsServer(["jwt", "mtls"]).__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def fabro(self, *arguments, environment=None):
        return subprocess.run([binary("fabro"), *arguments, "--server", self.server.url], env=self.server.environment | (environment or {}),
                              capture_output=True, text=True, timeout=PATIENCE, check=False)

    def test_a_certificate_and_a_token_each_let_in(self):
        server = self.server
        carol = server.connect("carol")
        self.assertEqual(server.ask(carol, "/user").json, {"login": "carol"})
        reply = server.get("/user", server.bearer("alice"))
        self.assertEqual(reply.json, {"login": "alice"})
        self.assertIn("max-age=", reply.headers["strict-transport-security"])
        self.refused(server.get("/user"), 401, "Authentication required.")
        run = server.ask(carol, "/runs", {"Content-Type": "application/json"}, "POST", json.dumps({"dot_source": SHORT})).json["id"]
        self.assertEqual(server.ask(carol, f"/runs/{run}").json["created_by"], "cn:carol")
        metrics = server.ask(carol, "/metrics").body.decode()
        self.assertRegex(metrics, r'fabro_tls_handshakes_total\{kind="full"\} [1-9]')
        self.assertRegex(metrics, r'fabro_auth_accepted_total\{strategy="mtls"\} [1-9]')
        carol.close()

    def test_plain_http_is_told_to_use_tls(self):
        reply = Server.request(self.server, "GET", "/health")
        self.assertIn("HTTPS", self.refused(reply, 400))

    def test_the_client_speaks_tls_with_a_token_and_with_a_certificate(self):
        certs = self.server.certs
        done = self.fabro("ps")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--ca", done.stderr)
        done = self.fabro("ps", "--ca", certs / "ca.crt")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FABRO_TOKEN", done.stderr)
        done = self.fabro("ps", environment={"FABRO_CA": str(certs / "ca.crt"), "FABRO_TOKEN": self.server.token("alice")})
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.fabro("ps", "--ca", certs / "ca.crt", "--cert", certs / "users" / "carol.crt", "--key", certs / "users" / "carol.key")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.fabro("ps", "--cert", certs / "users" / "carol.crt").returncode, 2)
        self.assertEqual(self.fabro("health").returncode, 0)

    def test_new_certificates_are_taken_without_a_restart(self):
        server = self.server
        before = server.connect("carol")
        self.addCleanup(before.close)
        self.assertEqual(server.ask(before, "/user").status, 200)
        subprocess.run([DEPLOY / "make_certs.sh", "--rekey", server.certs], check=True, capture_output=True, timeout=120)
        eventually("the new files", lambda: server.door().find("new TLS files are in force"))
        self.assertEqual(server.ask(before, "/user").status, 200)
        with server.context().wrap_socket(support.socket.create_connection(("localhost", server.port)), server_hostname="localhost") as link:
            shown = ssl.DER_cert_to_PEM_cert(link.getpeercert(binary_form=True))
        self.assertIn(shown.strip().splitlines()[5], (server.certs / "api.crt").read_text())
        (server.certs / "api.key").write_text("rubbish")
        eventually("the bad file being refused", lambda: server.door().find("new TLS files are not taken"))
        self.assertEqual(server.get("/health").status, 200)
        subprocess.run([DEPLOY / "make_certs.sh", "--rekey", server.certs], check=False, capture_output=True, timeout=120)


class MtlsAlone(Case):
    @classmethod
    def setUpClass(cls):
        server = TlsServer(["mtls"])
        server.user = "carol"
        cls.server = server.__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def test_the_handshake_needs_a_certificate(self):
        self.assertEqual(self.server.get("/user").json, {"login": "carol"})
        with contextlib.closing(self.server.connect()) as nobody:
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                self.server.ask(nobody, "/health")

    def test_a_stream_follows_a_run_over_it(self):
        server = self.server
        run = server.create(GATE)
        connection = server.connect("carol")
        connection.request("GET", f"/runs/{run}/events")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        question = server.await_question(run)["id"]
        self.assertEqual(server.answer(run, question, selected_option_key="Y").status, 204)
        ids = [int(found) for found in re.findall(rb"^id: (\d+)$", answer.read(), re.MULTILINE)]
        self.assertEqual(ids, list(range(1, len(ids) + 1)))
        self.assertGreater(len(ids), 5)
        connection.close()


class Start(unittest.TestCase):
    def failing(self, server):
        try:
            program = [binary("fabro"), "serve"] if support.LAYOUT == "serve" else [binary("fabro-gateway")]
            done = subprocess.run([*program, "--config", server.home / "server.toml", "--storage-dir", server.storage, "--port", "0"],
                                  env=server.environment, capture_output=True, text=True, timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0, done.stderr)
            return done.stderr
        finally:
            server.close()

    def test_a_missing_or_wrong_key_stops_it(self):
        server = AuthServer('authentication_strategies = ["jwt"]', environment={"FABRO_JWT_PUBLIC_KEY": ""})
        self.assertIn("FABRO_JWT_PUBLIC_KEY is not set", self.failing(server))
        server = AuthServer('authentication_strategies = ["jwt"]')
        server.environment["FABRO_JWT_PUBLIC_KEY"] = (server.certs / "jwt.key").read_text()
        said = self.failing(server)
        self.assertIn("FABRO_JWT_PUBLIC_KEY is a private key", said)
        self.assertNotIn(server.environment["FABRO_JWT_PUBLIC_KEY"].splitlines()[1], said)

    def test_certificates_that_do_not_fit_stop_it(self):
        server = AuthServer(f'authentication_strategies = ["mtls"]{TLS}')
        (server.certs / "api.key").write_text((server.certs / "core.key").read_text())
        self.assertIn("api.key is not the key of the certificate", self.failing(server))
        self.assertIn("needs cert, key and ca", self.failing(AuthServer('authentication_strategies = ["mtls"]')))

    def test_no_authentication_on_the_network_stops_it(self):
        self.assertIn("api.host is 0.0.0.0", self.failing(AuthServer('host = "0.0.0.0"')))


class Limits(Case):
    @classmethod
    def setUpClass(cls):
        more = "[limits]\nrequests_per_second = 1\nburst = 20\n"
        cls.server = AuthServer('authentication_strategies = ["jwt"]', ("alice", "bob"), more).__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def test_each_user_and_each_address_has_its_own(self):
        server = self.server
        alice, bob = server.bearer("alice"), server.bearer("bob")
        self.assertEqual(server.get("/user", bob).status, 200)
        replies = [server.get("/user", alice) for _ in range(60)]
        limited = [reply for reply in replies if reply.status == 429]
        self.assertTrue(limited)
        self.refused(limited[0], 429)
        self.assertIn(int(limited[0].headers["retry-after"]), (1, 2))
        self.assertEqual(server.get("/user", bob).status, 200)
        guesses = [server.get("/user", {"Authorization": f"Bearer guess{i}"}).status for i in range(60)]
        self.assertEqual(set(guesses), {401, 429})
        self.assertEqual(server.get("/user", bob).status, 200)
        self.assertEqual(server.get("/health").status, 200)

    def test_they_change_while_the_server_runs(self):
        with AuthServer('authentication_strategies = ["jwt"]') as server:
            alice = server.bearer("alice")
            self.assertEqual({server.get("/user", alice).status for _ in range(100)}, {200})
            server.more = "[limits]\nrequests_per_second = 1\nburst = 2\n"
            server.configure(("alice",))
            eventually("a limit", lambda: server.get("/user", alice).status == 429)
            server.more = ""
            server.configure(("alice",))
            eventually("none again", lambda: {server.get("/user", alice).status for _ in range(20)} == {200})


if __name__ == "__main__":
    main()
