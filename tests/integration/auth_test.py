#!/usr/bin/env python3
"""Who may come in: tokens, users that are taken off the list, and limits, by the real programs with the scripts of deploy/certs."""
import pathlib
import subprocess
import unittest

from support import Case, LAYOUT, Process, SHORT, Server, binary, eventually, main

DEPLOY = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy" / "certs"


class AuthServer(Server):
    """A server with a configuration of its own and the keys that make_certs.sh makes."""

    def __init__(self, api, usernames=("alice",), more="", environment=None):
        super().__init__()
        self.certs = self.home / "certs"
        subprocess.run([DEPLOY / "make_certs.sh", "--jwt", "--user", "carol", self.certs], check=True, capture_output=True, timeout=120)
        self.environment["FABRO_JWT_PUBLIC_KEY"] = (self.certs / "jwt.pub").read_text()
        self.environment |= environment or {}
        self.api, self.more = api, more
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


class Start(unittest.TestCase):
    def failing(self, server):
        try:
            program = [binary("fabro"), "serve"] if LAYOUT == "serve" else [binary("fabro-gateway")]
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


if __name__ == "__main__":
    main()
