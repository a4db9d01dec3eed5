#!/usr/bin/env python3
"""Core and gateway over mutual TLS with certificates made by deploy/certs, roles, and the audit: by the real programs."""
import pathlib
import subprocess
import unittest

from support import Case, EventStream, GATE, Process, SHORT, Server, binary, eventually, main

CERTS = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy" / "certs" / "make_certs.sh"


class TlsServer(Server):
    """A core and a gateway that find each other over TLS on a loopback port."""

    def __init__(self, more=""):
        super().__init__("split")
        self.certs = self.home / "certs"
        self.more = more
        self.core_port = 0
        self.make_certs()

    def make_certs(self, *options):
        subprocess.run([CERTS, "--gateway-cn", "gate", *options, self.certs], check=True, capture_output=True, timeout=120)

    def config(self):
        def tls(section, name):
            return f'[{section}.tls]\ncert = "{self.certs}/{name}.crt"\nkey = "{self.certs}/{name}.key"\nca = "{self.certs}/ca.crt"\n'
        path = self.home / "server.toml"
        path.write_text(f'[core]\nlisten = "localhost:{self.core_port}"\ntrusted_gateways = ["gate"]\n'
                        + tls("core", "core") + f'[gateway]\ncore = "localhost:{self.core_port}"\n' + tls("gateway", "gateway") + self.more)
        return path

    def start_core(self):
        self.args = ["--config", self.config()]
        super().start_core()
        self.core_port = int(eventually("the core's port", lambda: self.core.find(r'"address":"localhost:(\d+)"'))[1])
        return self.core

    def new_gateway(self, port=0):
        command = [binary("fabro-gateway"), "--config", self.config(), "--host", "127.0.0.1", "--port", port, "--storage-dir", self.storage,
                   "--log-format", "json"]
        return Process(command, self.home / "gateway.log", self.environment)


class MutualTls(unittest.TestCase):
    def test_runs_and_streams_over_tls(self):
        with TlsServer() as server:
            run = server.create(GATE)
            question = server.await_question(run)["id"]
            with EventStream(server.port, run, 0) as stream:
                self.assertEqual(server.answer(run, question, selected_option_key="Y").status, 204)
                self.assertTrue(list(stream))
            self.assertEqual(server.await_status(run, "completed")["created_by"], "local")

    def test_certificates_are_renewed_while_a_stream_is_open(self):
        with TlsServer() as server:
            run = server.create(GATE)
            question = server.await_question(run)["id"]
            with EventStream(server.port, run, 0) as stream:
                server.make_certs("--rekey")
                eventually("the new files", lambda: server.core.find("new TLS files are in force"))
                self.assertEqual(server.get("/runs").status, 200)  # over the connection that there is
                server.kill9_core()
                server.start_core()
                server.await_ready()  # over a new one
                self.assertEqual(server.answer(run, question, selected_option_key="Y").status, 204)
                self.assertEqual(server.await_status(run, "completed")["created_by"], "local")
                del stream

    def test_a_core_with_another_authority_is_not_spoken_to(self):
        with TlsServer() as server:
            stranger = TlsServer()
            try:
                server.certs, own = stranger.certs, server.certs
                gateway = server.new_gateway()
                port = server.announced(gateway)
                self.assertEqual(server.get("/runs", port=port).status, 503)
                gateway.signal(9)
                gateway.wait()
                server.certs = own
            finally:
                stranger.close()
            self.assertEqual(server.get("/runs").status, 200)

    def test_files_that_do_not_fit_stop_the_start(self):
        server = TlsServer()
        try:
            (server.certs / "core.key").write_text((server.certs / "gateway.key").read_text())
            for program, name in (("fabro-core", "core"), ("fabro-gateway", "gateway")):
                done = subprocess.run([binary(program), "--config", server.config(), "--storage-dir", server.storage], env=server.environment,
                                      capture_output=True, text=True, timeout=60, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(f"{name}.", done.stderr)
                (server.certs / "gateway.crt").write_text("rubbish")
        finally:
            server.close()


class Roles(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = TlsServer('[access]\nviewers = ["local"]\nadmins = ["anna"]\n').__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def test_a_viewer_may_look_only(self):
        self.assertEqual(self.server.get("/runs").status, 200)
        self.refused(self.server.post("/runs", {"dot_source": SHORT}), 403, "Access denied. This needs the role operator.")
        self.refused(self.server.get("/audit"), 403, "Access denied. This needs the role admin.")
        self.assertEqual(self.server.get("/health").status, 200)


class Audit(Case):
    def test_says_who_did_what(self):
        run = self.server.post("/runs", {"dot_source": GATE}, {"X-Request-Id": "first"}).json["id"]
        self.server.await_question(run)
        self.assertEqual(self.server.post(f"/runs/{run}/cancel").status, 200)
        self.server.await_status(run, "cancelled")
        self.assertEqual(self.server.request("DELETE", f"/runs/{run}").status, 204)
        page = self.server.get(f"/audit?filter[resource]=runs/{run}").json
        self.assertEqual([entry["action"] for entry in page["data"]], ["RunService/DeleteRun", "RunService/CancelRun", "RunService/StartRun"])
        self.assertEqual({(entry["principal"], entry["outcome"]) for entry in page["data"]}, {("local", "ok")})
        self.assertEqual(page["data"][-1]["request_id"], "first")
        self.assertFalse(page["meta"]["has_more"])
        one = self.server.get(f"/audit?filter[resource]=runs/{run}&page[limit]=1&page[offset]=1").json
        self.assertEqual([entry["action"] for entry in one["data"]], ["RunService/CancelRun"])
        self.assertTrue(one["meta"]["has_more"])
        self.assertEqual(self.server.get("/audit?filter[principal]=nobody").json["data"], [])


if __name__ == "__main__":
    main()
