#!/usr/bin/env python3
"""The API's edges: what is refused and with which words, lists and pages, JSON, methods, discovery."""
import gzip
import json

from support import Case, GATE, SHORT, TITLES, Server, chain, command, graph, in_threads, main


class Refusals(Case):
    def test_unknown_runs_everywhere(self):
        server = self.server
        for run in ("abc123", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "a%20b", "%C3%A4"):
            name = {"a%20b": "a b", "%C3%A4": "ä"}.get(run, run)
            text = f"Run {name} not found."
            for rest in ("", "/graph", "/events", "/questions", "/checkpoint", "/context", "/stages", "/settings"):
                self.refused(server.get(f"/runs/{run}{rest}"), 404, text)
            for rest in ("/cancel", "/pause", "/unpause"):
                self.refused(server.post(f"/runs/{run}{rest}"), 404, text)
            self.refused(server.request("DELETE", f"/runs/{run}"), 404, text)
            self.refused(server.post(f"/runs/{run}/questions/q/answer", {"value": "x"}), 404, text)

    def test_unknown_paths(self):
        for path in ("/nothing", "/runs/a/b/c", "/run", "/runs/x/graph/y", "/index.html"):
            self.refused(self.server.get(path), 404)
            self.refused(self.server.post(path, {}), 404)

    def test_methods(self):
        server = self.server
        for method, path, allowed in (("PUT", "/runs", {"GET", "HEAD", "POST", "OPTIONS"}), ("PATCH", "/health", {"GET", "HEAD", "OPTIONS"}),
                                      ("GET", "/runs/x/cancel", {"POST", "OPTIONS"}), ("POST", "/runs/x", {"GET", "HEAD", "DELETE", "OPTIONS"})):
            reply = server.request(method, path)
            self.refused(reply, 405)
            self.assertEqual(set(reply.headers["allow"].split(", ")), allowed, path)
            options = server.request("OPTIONS", path)
            self.assertEqual((options.status, options.body), (204, b""))
            self.assertEqual(set(options.headers["allow"].split(", ")), allowed, path)
        for path in ("/health", "/runs", "/openapi.json", "/user"):
            got, head = server.get(path), server.request("HEAD", path)
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertEqual(head.headers["content-length"], got.headers["content-length"])
        self.assertEqual(server.request("HEAD", "/runs/nobody").status, 404)

    def test_operations_that_are_not_built_answer_501(self):
        server = self.server
        spec = server.get("/openapi.json").json
        built = {"/", "/health", "/health/live", "/health/ready", "/openapi.json", "/user", "/metrics", "/audit", "/usage", "/retros", "/artifacts/{hash}", "/settings", "/workflows", "/workflows/{name}", "/workflows/{name}/runs",
                 "/runs", "/runs/validate", "/runs/{id}",
                 *(f"/runs/{{id}}/{word}" for word in ("cancel", "pause", "unpause", "graph", "events", "questions", "questions/{qid}/answer",
                                                       "checkpoint", "checkpoints", "rewind", "fork", "usage", "context", "stages", "stages/{stageId}/turns",
                                                       "settings", "files", "retro", "artifacts"))}
        self.assertEqual(built - set(spec["paths"]), set())
        asked = 0  # or built
        for path, methods in spec["paths"].items():
            for method in set(methods) & {"get", "post", "put", "delete", "patch"}:
                asked += 1
                if path in built:
                    continue
                concrete = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
                with self.subTest(operation=f"{method} {path}"):
                    reply = server.request(method.upper(), concrete, None if method in ("get", "delete") else self.example(spec, methods[method]))
                    self.refused(reply, 501, "Not implemented.")
        self.assertGreater(asked, 60)

    def example(self, spec, operation):
        """The least that fits the schema of the body."""
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        return self.least(spec, content["schema"]) if content else None

    def least(self, spec, schema):
        if "$ref" in schema:
            return self.least(spec, spec["components"]["schemas"][schema["$ref"].split("/")[-1]])
        for combined in ("oneOf", "anyOf", "allOf"):
            if combined in schema:
                return self.least(spec, schema[combined][0])
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {name: self.least(spec, schema["properties"][name]) for name in schema.get("required", [])}
        return {"string": "x" * max(1, schema.get("minLength", 1)), "integer": schema.get("minimum", 1), "number": 1, "boolean": True,
                "array": []}[kind]

    def test_a_host_or_an_origin_from_elsewhere(self):
        server = self.server
        port = server.port
        for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
            self.assertEqual(server.get("/runs", {"Host": host}).status, 200, host)
        for host in ("example.com", f"evil.example:{port}", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1"):
            self.refused(server.get("/runs", {"Host": host}), 403)
        self.assertEqual(server.get("/runs", {"Origin": f"http://127.0.0.1:{port}"}).status, 200)
        for origin in ("http://example.com", "null", "https://localhost.evil.example", "http://127.0.0.1:1"):
            self.refused(server.get("/runs", {"Origin": origin}), 403)
            self.refused(server.post("/runs", {"dot_source": SHORT}, {"Origin": origin}), 403)

    def test_malformed_http(self):
        head = "POST /runs HTTP/1.1\r\nHost: localhost\r\n"
        for status, data in ((400, f"{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"),
                             (400, f"{head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                             (400, "GET /health\r\n\r\n"), (400, "GET /health HTTP/1.1\r\n\r\n"), (400, "GET /health HTTP/1.1\nHost: localhost\n\n"),
                             (400, "GET /health HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n"),
                             (414, f"GET /{'x' * 9000} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                             (431, f"GET /health HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 40000}\r\n\r\n"),
                             (505, "GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n")):
            with self.subTest(data=data[:60]):
                answer = self.server.raw(data.encode())
                head_back, _, body = answer.partition(b"\r\n\r\n")
                self.assertEqual(head_back.split()[1], str(status).encode(), answer[:300])
                self.assertEqual(json.loads(body)["errors"][0]["title"], TITLES[status])

    def test_pipelined_requests_are_answered_in_order(self):
        one = "GET /runs/{} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = "GET /user HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = self.server.raw(("".join(one.format(f"run{n}") for n in range(5)) + last).encode(), leave=False)
        places = [answer.find(f"Run run{n} not found.".encode()) for n in range(5)] + [answer.find(b'"login"')]
        self.assertEqual(places, sorted(places))
        self.assertGreater(places[0], 0)

    def test_headers_of_every_answer(self):
        for path in ("/health", "/nothing", "/runs", "/runs/x"):
            reply = self.server.get(path)
            self.assertEqual(reply.headers["x-content-type-options"], "nosniff")
            self.assertEqual(reply.headers["referrer-policy"], "no-referrer")
            self.assertEqual(reply.headers["content-security-policy"], "default-src 'none'")
            self.assertTrue(reply.headers["x-request-id"])
        self.assertEqual(self.server.get("/health", {"X-Request-Id": "mine-1"}).headers["x-request-id"], "mine-1")

    def test_compression(self):
        plain = self.server.get("/openapi.json")
        packed = self.server.get("/openapi.json", {"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)


class Bodies(Case):
    def test_json_rules(self):
        server = self.server
        good = json.dumps({"dot_source": SHORT})
        for status, body, kind in ((415, good, "text/plain"), (415, good, "application/x-www-form-urlencoded"), (400, "{", "application/json"),
                                   (400, "[]", "application/json"), (400, '"x"', "application/json"), (400, good + "x", "application/json"),
                                   (400, '{"title": "a", "title": "b"}', "application/json"), (400, "[" * 70 + "]" * 70, "application/json"),
                                   (400, '{"x": ' + "[" * 70 + "]" * 70 + "}", "application/json"), (400, b'{"title": "\xff"}', "application/json"),
                                   (400, '{"title": "\\ud800"}', "application/json"), (400, '{"title": "a\nb"}', "application/json")):
            with self.subTest(body=body[:30]):
                self.refused(server.post("/runs", body, {"Content-Type": kind}), status)
        for kind in ("application/json", "application/json; charset=utf-8", "APPLICATION/JSON"):
            self.assertEqual(server.post("/runs", good, {"Content-Type": kind}).status, 201)
        self.assertEqual(server.post("/runs", good).status, 201)
        self.assertEqual(server.post("/runs", {"dot_source": SHORT, "unknown": {"deep": [1]}, "title": None}).status, 201)

    def test_a_body_over_4_mib(self):
        self.refused(self.server.post("/runs", json.dumps({"x": "a" * (4 << 20)}), {"Content-Type": "application/json"}), 413)
        nearly = json.dumps({"dot_source": SHORT, "x": "a" * ((4 << 20) - 1000)})
        self.assertEqual(self.server.post("/runs", nearly, {"Content-Type": "application/json"}).status, 201)

    def test_values(self):
        server = self.server
        for body, field in (({"dot_source": 5}, "dot_source"), ({"dot_source": SHORT, "labels": {"a": 1}}, "labels"), ({"dot_source": SHORT, "priority": "high"}, "priority"),
                            ({"dot_source": SHORT, "priority": 101}, "priority"), ({"dot_source": SHORT, "title": "x" * 257}, "title"),
                            ({"dot_source": SHORT, "vars": {"1x": ""}}, "vars.1x"), ({"dot_source": SHORT, "settings": {"llm": {"fallbacks": 3}}}, "settings.llm.fallbacks"),
                            ({"dot_source": SHORT, "settings": {"sandbox": {"provider": "moon"}}}, "settings.sandbox.provider"), ({}, "dot_source")):
            with self.subTest(body=str(body)[:60]):
                self.assertIn(field, self.refused(server.post("/runs", body), 400))
        several = server.post("/runs", {"dot_source": SHORT, "priority": 101, "title": "x" * 257})
        self.refused(several, 400)
        self.assertEqual(len(several.json["errors"]), 2)
        self.refused(server.post("/runs", {"workflow": "nope"}), 404, "Workflow nope not found.")
        self.refused(server.post("/runs", {"workflow": "nope", "dot_source": SHORT}), 400)

    def test_a_workflow_with_errors_is_refused_with_all_of_them(self):
        server = self.server
        before = server.get("/runs").headers["x-total-count"]
        wrong = "digraph x { a [shape=Mdiamond]; b [shape=parallelogram]; a -> b; c [shape=Msquare]; d [shape=insulator]; a -> d }"
        detail = self.refused(server.post("/runs", {"dot_source": wrong}), 400)
        diagnostics = server.post("/runs/validate", {"dot_source": wrong})
        self.assertEqual(diagnostics.status, 200)
        self.assertFalse(diagnostics.json["valid"])
        rules = {diagnostic["rule"] for diagnostic in diagnostics.json["diagnostics"] if diagnostic["severity"] == "error"}
        self.assertLessEqual({"script_required", "duration_required", "reachability"}, rules)
        for diagnostic in diagnostics.json["diagnostics"]:
            if diagnostic["severity"] == "error":
                self.assertIn(diagnostic["message"], detail)
        self.assertIn("line 1, column", self.refused(server.post("/runs", {"dot_source": "graph { a -- b }"}), 400))
        self.assertTrue(server.post("/runs/validate", {"dot_source": GATE}).json["valid"])
        self.refused(server.post("/runs/validate", {}), 400)
        self.assertEqual(server.get("/runs").headers["x-total-count"], before)

    def test_idempotency(self):
        server = self.server
        body = {"dot_source": SHORT, "title": "once"}
        first = server.post("/runs", body, {"Idempotency-Key": "k1"})
        again = server.post("/runs", body, {"Idempotency-Key": "k1"})
        self.assertEqual((again.status, again.json, again.headers["location"]), (201, first.json, first.headers["location"]))
        self.refused(server.post("/runs", body | {"title": "twice"}, {"Idempotency-Key": "k1"}), 409)
        self.refused(server.post("/runs", {"dot_source": "nonsense"}, {"Idempotency-Key": "k2"}), 400)
        self.assertEqual(server.post("/runs", body, {"Idempotency-Key": "k2"}).status, 201)
        self.refused(server.post("/runs", body, {"Idempotency-Key": "x" * 256}), 400)
        ids = in_threads(16, lambda _: server.post("/runs", body, {"Idempotency-Key": "k3"}).json["id"])
        self.assertEqual(len(set(ids)), 1)


class Lists(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = cls.server
        cls.done = [server.create(SHORT, title=f"done {n}") for n in range(12)]
        cls.gates = [server.create(GATE, title=f"gate {n}") for n in range(11)]
        for run in cls.done:
            server.await_status(run, "completed")
        for run in cls.gates:
            server.await_question(run)
        cls.newest = (cls.done + cls.gates)[::-1]

    def ids(self, query):
        reply = self.server.get(f"/runs{query}")
        self.assertEqual(reply.status, 200, reply.body)
        return [item["id"] for item in reply.json["data"]], reply.json["meta"]["has_more"], int(reply.headers["x-total-count"])

    def test_pages(self):
        self.assertEqual(self.ids(""), (self.newest[:20], True, 23))
        self.assertEqual(self.ids("?page[limit]=5"), (self.newest[:5], True, 23))
        self.assertEqual(self.ids("?page%5Blimit%5D=5&page%5Boffset%5D=20"), (self.newest[20:], False, 23))
        self.assertEqual(self.ids("?page[offset]=18&page[limit]=5"), (self.newest[18:], False, 23))
        self.assertEqual(self.ids("?page[limit]=100000"), (self.newest, False, 23))
        self.assertEqual(self.ids("?page[limit]=0"), (self.newest[:1], True, 23))
        self.assertEqual(self.ids("?page[limit]=-3"), (self.newest[:1], True, 23))
        self.assertEqual(self.ids("?page[offset]=1000"), ([], False, 23))

    def test_pages_that_are_none(self):
        for query in ("page[limit]=x", "page[limit]=1.5", "page[limit]=", "page[offset]=-1", "page[offset]=abc", "page[offset]=99999999999999999999"):
            for path in ("/runs", f"/runs/{self.gates[0]}/questions", f"/runs/{self.gates[0]}/stages"):
                with self.subTest(path=path, query=query):
                    self.assertIn("page[", self.refused(self.server.get(f"{path}?{query}"), 400))

    def test_filters_and_order(self):
        self.assertEqual(self.ids("?filter[status]=completed"), (self.done[::-1], False, 12))
        self.assertEqual(self.ids("?filter[status]=running&page[limit]=3"), (self.gates[::-1][:3], True, 11))
        self.assertEqual(self.ids("?filter[status]=failed"), ([], False, 0))
        self.assertEqual(self.ids("?filter[workflow]=gate&sort=created_at"), (self.gates, False, 11))
        self.assertEqual(self.ids("?sort=created_at&page[limit]=2"), ((self.done + self.gates)[:2], True, 23))
        self.assertEqual(self.ids("?sort=-created_at&page[limit]=2"), (self.newest[:2], True, 23))
        self.assertEqual(self.ids(f"?filter[parent]={self.done[0]}"), ([], False, 0))
        for query in ("filter[status]=sleeping", "sort=title", "filter[parent]=x"):
            self.refused(self.server.get(f"/runs?{query}"), 400)

    def test_stages_page(self):
        run = self.server.create(graph("".join(f"d{n} [shape=diamond]; " for n in range(7)) + "s -> " + " -> ".join(f"d{n}" for n in range(7)) + " -> e"))
        self.server.await_status(run, "completed")
        every = [stage["id"] for stage in self.server.get(f"/runs/{run}/stages").json["data"]]
        page = self.server.get(f"/runs/{run}/stages?page[limit]=3&page[offset]=2").json
        self.assertEqual(([stage["id"] for stage in page["data"]], page["meta"]["has_more"]), (every[2:5], True))


class Discovery(Case):
    def test_where_things_are(self):
        server = self.server
        self.assertEqual(server.get("/").json["urls"].keys(), {"openapi_url", "current_user_url", "health_url"})
        for path in server.get("/").json["urls"].values():
            self.assertEqual(server.get(path).status, 200)
        self.assertEqual(server.get("/health").json, {"status": "ok"})
        self.assertEqual(server.get("/health/live").json["status"], "ok")
        self.assertEqual(server.get("/health/ready").json["status"], "ok")
        self.assertEqual(server.get("/user").json, {"login": "local"})

    def test_openapi(self):
        reply = self.server.get("/openapi.json")
        self.assertEqual(reply.headers["content-type"], "application/json")
        spec = reply.json
        self.assertTrue(spec["openapi"].startswith("3.1"))
        operations = [operation for methods in spec["paths"].values() for operation in methods.values() if isinstance(operation, dict) and "operationId" in operation]
        self.assertGreaterEqual(len(operations), 53)

    def test_metrics(self):
        reply = self.server.get("/metrics")
        self.assertTrue(reply.headers["content-type"].startswith("text/plain"))
        self.assertRegex(reply.body.decode(), r'(?m)^fabro_runs\{status="completed"\} \d+$')


class Configured(Case):
    def test_cors(self):
        server = Server(args=["--config", "unused"])
        server.args[1] = server.home / "server.toml"
        server.args[1].write_text('[api]\ncors_origins = ["https://app.example"]\nbase_url = "https://fabro.example/api"\n')
        if server.layout == "split":
            self.skip_gateway_arguments(server)
        with server:
            reply = server.get("/runs", {"Origin": "https://app.example"})
            self.assertEqual((reply.status, reply.headers["access-control-allow-origin"]), (200, "https://app.example"))
            asked = server.request("OPTIONS", "/runs", headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
            self.assertIn("POST", asked.headers["access-control-allow-methods"])
            self.refused(server.get("/runs", {"Origin": "https://other.example"}), 403)
            self.assertEqual(server.get("/openapi.json").json["servers"][0]["url"], "https://fabro.example/api")
            created = server.post("/runs", {"dot_source": SHORT})
            self.assertEqual(created.headers["location"], f"https://fabro.example/api/runs/{created.json['id']}")

    @staticmethod
    def skip_gateway_arguments(server):
        """Both programs read the file by the environment then."""
        server.environment["FABRO_CONFIG"] = str(server.args[1])
        server.args = []


class Trace(Case):
    def test_a_trace_goes_on_into_the_run(self):
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        source = graph(command("say", "echo trace=$TRACEPARENT.") + chain("say"))
        for sent, kept in ((trace, trace), ("00-rubbish", ""), (None, "")):
            run = self.server.post("/runs", {"dot_source": source}, {"traceparent": sent} if sent else None).json["id"]
            self.server.await_status(run, "completed")
            events = self.server.events(run)
            started = next(event for event in events if event["event"] == "WorkflowRunStarted")
            self.assertEqual(started.get("traceparent", ""), kept)
            self.assertIn(f"trace={kept}.\n", [event.get("text") for event in events])


if __name__ == "__main__":
    main()
