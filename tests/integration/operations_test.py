#!/usr/bin/env python3
"""A server in operation: its configuration changes while it runs."""
import os
import signal
import unittest

from support import Case, GATE, SHORT, Server, eventually, main


class Configured(Server):
    """A server with a file of its own."""

    def __init__(self, text, layout=None):
        super().__init__(layout)
        self.file = self.home / "server.toml"
        self.environment["FABRO_CONFIG"] = str(self.file)
        self.write(text)

    def write(self, text):
        fresh = self.home / "server.toml.new"
        fresh.write_text(text)
        os.rename(fresh, self.file)


class LiveReload(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Configured("max_concurrent_runs = 1\n").__enter__()
        cls.addClassCleanup(lambda: cls.server.close())

    def test_roles_and_slots_follow_the_file(self):
        server = self.server
        run = server.create(GATE)
        server.write('max_concurrent_runs = 9\n[access]\nviewers = ["local"]\n')
        eventually("the new role", lambda: server.post("/runs", {"dot_source": SHORT}).status == 403, 10)
        self.assertEqual(server.get(f"/runs/{run}").status, 200)
        self.assertIn("fabro_slots 9\n", server.get("/metrics").body.decode())
        server.write("max_concurrent_runs = lots\n")
        eventually("the complaint", lambda: server.core.find("the settings in force stay"), 10)
        self.assertEqual(server.post("/runs", {"dot_source": SHORT}).status, 403)
        server.write("max_concurrent_runs = 2\n")
        server.core.signal(signal.SIGHUP)
        eventually("the role being gone", lambda: server.post("/runs", {"dot_source": SHORT}).status == 201, 10)
        self.assertIn("fabro_slots 2\n", server.get("/metrics").body.decode())
        self.assertRegex(server.core.said(), r'"key":"max_concurrent_runs","from":"9","to":"2"')


if __name__ == "__main__":
    main()
