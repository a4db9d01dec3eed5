#!/usr/bin/env python3
"""Compares our descriptors with the published description of the API: operations, schemas, fields, words, codes.

usage: published_surface_test.py DESCRIPTORS      (api.binpb)

The description is FABRO_PUBLISHED_API, else ../shared/reference/published-api.yaml beside the source tree; without it
there is nothing to compare with and the test ends with 77, which ctest shows as skipped.
"""
import os
import pathlib
import sys

import textproto
from textproto import one

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOOGLEAPIS = os.environ.get("FABRO_GOOGLEAPIS", "/usr/share/gocode/src/github.com/gogo/googleapis")
PUBLISHED = pathlib.Path(os.environ.get("FABRO_PUBLISHED_API", ROOT.parent / "shared/reference/published-api.yaml"))

ROUTE, SERVICE, FIELD = "[fabro.api.v1.route]", "[fabro.api.v1.service]", "[fabro.api.v1.field]"
TAG, JSON, HTTP = "[fabro.api.v1.tag]", "[fabro.api.v1.json]", "[google.api.http]"

# Where we differ on purpose, and why.
NOT_REQUIRED = {("StartRunRequest", "dot_source"): "a registered workflow may be named instead"}
MORE_WORDS = {("HookDefinition", "event"): "hooks can be called for more"}
NUMBERS = {"TYPE_INT32", "TYPE_INT64", "TYPE_UINT32", "TYPE_UINT64"}
SCALARS = {"string": {"TYPE_STRING"}, "integer": NUMBERS, "number": {"TYPE_DOUBLE"}, "boolean": {"TYPE_BOOL"}}
VALUE, STRUCT, LIST = (f".google.protobuf.{name}" for name in ("Value", "Struct", "ListValue"))


class Field:
    def __init__(self, raw, message):
        self.name, self.type, self.type_name = one(raw, "name"), one(raw, "type"), one(raw, "type_name") or ""
        self.options = one(raw, "options", FIELD) or {}
        self.json = one(self.options, "name") or self.name
        self.required = one(self.options, "required") == "true"
        self.oneof = None if "proto3_optional" in raw or "oneof_index" not in raw else int(one(raw, "oneof_index"))
        entry = message["maps"].get(self.type_name) if self.type == "TYPE_MESSAGE" else None
        self.map_value = Field(entry, message) if entry else None
        self.repeated = one(raw, "label") == "LABEL_REPEATED" and not entry
        self.has_presence = "proto3_optional" in raw or (self.type == "TYPE_MESSAGE" and not self.repeated and not entry)
        self.always = self.required or not self.has_presence

    def __getattr__(self, name):  # minimum, maximum, query, header ...
        return one(self.options, name)


class Surface:
    """Our side: messages, enums and methods of fabro.v1 by name."""

    def __init__(self, files):
        self.messages, self.enums, self.methods = {}, {}, []
        for file in (f for f in files if one(f, "package") == "fabro.v1"):
            for raw in file.get("message_type", []):
                self.add_message(raw)
            for raw in file.get("enum_type", []):
                self.enums[one(raw, "name")] = self.words(raw)
            for service in file.get("service", []):
                tag = one(service, "options", SERVICE, "tag")
                for method in service.get("method", []):
                    self.methods.append(self.method(method, tag))

    def add_message(self, raw):
        name = one(raw, "name")
        message = {"name": name, "maps": {}}
        for nested in raw.get("nested_type", []):
            message["maps"][f".fabro.v1.{name}.{one(nested, 'name')}"] = next(
                f for f in nested["field"] if one(f, "name") == "value")
        fields = [Field(f, message) for f in raw.get("field", [])]
        tags = [one(o, "options", TAG) for o in raw.get("oneof_decl", [])]
        message["tagged"] = {f.json: f for f in fields if f.oneof is not None}
        message["tag"] = tags[0] if message["tagged"] else None
        message["fields"] = {f.json: f for f in fields if f.oneof is None}
        message["by_name"] = {f.name: f for f in fields}
        self.messages[name] = message

    @staticmethod
    def words(raw):
        values = raw["value"]
        prefix = one(values[0], "name")[: -len("UNSPECIFIED")]
        return {one(v, "options", JSON) or one(v, "name")[len(prefix):].lower() for v in values[1:]}

    @staticmethod
    def method(raw, tag):
        http = one(raw, "options", HTTP) or {}
        verb = next((v for v in ("get", "post", "put", "patch", "delete") if v in http), None)
        name = one(raw, "name")
        return {"id": name[0].lower() + name[1:], "tag": tag, "verb": verb, "path": one(http, verb) if verb else None,
                "body": one(http, "body"), "response_body": one(http, "response_body"),
                "input": one(raw, "input_type").split(".")[-1], "output": one(raw, "output_type").split(".")[-1],
                "route": one(raw, "options", ROUTE) or {}}


class Comparison:
    def __init__(self, ours, published):
        self.ours, self.published = ours, published
        self.schemas = published["components"]["schemas"]
        self.bodies, self.problems, self.compared = set(), [], 0

    def check(self, good, text):
        self.compared += 1
        if not good:
            self.problems.append(text)

    def run(self):
        published_ids = set()
        for path, verbs in self.published["paths"].items():
            for verb, operation in verbs.items():
                published_ids.add(operation["operationId"])
                self.operation(verb, path, operation)
        for name, schema in self.schemas.items():
            self.schema(name, schema)
        return len(published_ids)

    def operation(self, verb, path, operation):
        name = operation["operationId"]
        found = [m for m in self.ours.methods if m["id"] == name]
        self.check(len(found) == 1, f"{name}: no such method")
        if not found:
            return
        method = found[0]
        fields = self.ours.messages[method["input"]]["by_name"]
        self.check(method["verb"] == verb, f"{name}: {method['verb']} instead of {verb}")
        spelled = method["path"] or ""
        for field in fields.values():
            spelled = spelled.replace("{" + field.name + "}", "{" + field.json + "}")
        self.check(spelled == path, f"{name}: {spelled} instead of {path}")
        self.check([method["tag"]] == operation["tags"], f"{name}: tag {method['tag']} instead of {operation['tags']}")
        self.check((one(method["route"], "open") == "true") == (operation.get("security") == []), f"{name}: credentials")

        documented = {int(code) for code in operation["responses"]}
        success = int(one(method["route"], "success") or 200)
        self.check({code for code in documented if code < 300} == {success}, f"{name}: answers {success}")
        errors = {int(code) for code in method["route"].get("errors", [])} | {401}
        missing = {code for code in documented if code >= 400} - errors
        self.check(not missing, f"{name}: does not document {sorted(missing)}")

        given = {(kind, option(f)) for f in fields.values() for kind, option in
                 (("query", lambda f: f.query), ("header", lambda f: f.header)) if option(f)}
        for parameter in map(self.parameter, operation.get("parameters", [])):
            if parameter["in"] != "path":
                where = (parameter["in"], parameter["name"])
                self.check(where in given, f"{name}: no parameter {where}")

        body = operation.get("requestBody")
        self.check(bool(body) == bool(method["body"]), f"{name}: body {method['body']!r}")
        if body and method["body"]:
            message = method["input"] if method["body"] == "*" else fields[method["body"]].type_name.split(".")[-1]
            wanted = body["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
            self.check(message == wanted, f"{name}: takes {message} instead of {wanted}")
            self.bodies.add(wanted)
        self.answer(name, method, operation["responses"][str(success)] if str(success) in operation["responses"] else {})

    def parameter(self, node):
        return self.published["components"]["parameters"][node["$ref"].split("/")[-1]] if "$ref" in node else node

    def answer(self, name, method, response):
        content = response.get("content", {})
        output = self.ours.messages[method["output"]]
        if not content:
            return self.check(not output["by_name"], f"{name}: the answer has a body")
        media, schema = next((m, c["schema"]) for m, c in content.items())
        stream = one(method["route"], "stream") == "STREAM_SSE"
        self.check(stream == (media == "text/event-stream"), f"{name}: stream")
        if media == "application/json" and method["response_body"]:
            field = output["by_name"][method["response_body"]]
            if "oneOf" in schema:
                self.check(field.nullable == "true", f"{name}: cannot be null")
                schema = schema["oneOf"][0]
            return self.value(name, field, schema)
        if media == "application/json":
            wanted = schema.get("$ref", "").split("/")[-1]
            return self.check(method["output"] == wanted, f"{name}: answers {method['output']} instead of {wanted}")
        if not stream:
            self.check(one(method["route"], "content_type") == media, f"{name}: not {media}")

    def schema(self, name, schema):
        if "enum" in schema:
            words = self.ours.enums.get(name)
            return self.check(words == set(schema["enum"]), f"{name}: words {words}")
        message = self.ours.messages.get(name)
        self.check(message is not None, f"{name}: no such message")
        if message is None:
            return
        if "oneOf" in schema:
            members = {word: field.type_name.split(".")[-1] for word, field in message["tagged"].items()}
            discriminator = schema["discriminator"]
            wanted = {word: ref.split("/")[-1] for word, ref in discriminator["mapping"].items()}
            self.check(members == wanted, f"{name}: {members} instead of {wanted}")
            return self.check(message["tag"] == discriminator["propertyName"], f"{name}: tag {message['tag']}")
        required = set(schema.get("required", []))
        for key, node in schema.get("properties", {}).items():
            where = f"{name}.{key}"
            if self.is_tag(name, key, node):
                continue
            field = message["fields"].get(key)
            self.check(field is not None, f"{where}: no such field")
            if field is None:
                continue
            self.value(where, field, node)
            allowed = (name, key) in NOT_REQUIRED
            self.check(allowed or key not in required or field.always, f"{where}: may be absent")
            self.check(key in required or field.has_presence or field.repeated or field.map_value or node.get("nullable"),
                       f"{where}: cannot be absent")
            if field.required and name in self.bodies:
                self.check(key in required, f"{where}: asked for")
        for key, field in message["fields"].items():
            if key not in schema.get("properties", {}) and name in self.bodies:
                self.check(not field.required, f"{name}.{key}: asked for, and no published client knows it")

    def is_tag(self, name, key, node):
        """Whether a property is the word that a tagged oneof writes beside this message's fields."""
        for message in self.ours.messages.values():
            if message["tag"] == key:
                for word, field in message["tagged"].items():
                    if field.type_name == f".fabro.v1.{name}" and node.get("enum") == [word]:
                        return True
        return False

    def value(self, where, field, node):
        kind = node.get("type")
        if kind == "array" and field.repeated:
            self.check(True, where)
            return self.single(where, field, node["items"])
        if kind == "object" and field.map_value and isinstance(node.get("additionalProperties"), dict):
            return self.value(where, field.map_value, node["additionalProperties"])
        if kind == "object" and field.map_value:
            return self.check(node.get("additionalProperties") is True, f"{where}: is a map")
        self.check(not field.repeated and not field.map_value, f"{where}: holds several")
        self.single(where, field, node)

    def single(self, where, field, node):
        kind, type_name = node.get("type"), field.type_name
        if "$ref" in node:
            wanted = ".fabro.v1." + node["$ref"].split("/")[-1]
            return self.check(type_name == wanted, f"{where}: {type_name} instead of {wanted}")
        if "enum" in node:
            words = self.ours.enums.get(type_name.split(".")[-1], set())
            more = tuple(where.split(".")) in MORE_WORDS
            good = words >= set(node["enum"]) if more else words == set(node["enum"])
            return self.check(good, f"{where}: words {sorted(words)} instead of {node['enum']}")
        if node.get("format") == "date-time":
            return self.check(type_name == ".google.protobuf.Timestamp", f"{where}: no time")
        if kind == "array":
            return self.check(type_name == LIST, f"{where}: no list")
        if kind == "object":
            return self.check(type_name == STRUCT, f"{where}: no object")
        if kind in SCALARS:
            self.check(field.type in SCALARS[kind], f"{where}: {field.type} instead of {kind}")
            for bound in ("minimum", "maximum"):
                if bound in node:
                    self.check(float(getattr(field, bound) or "nan") == node[bound], f"{where}: {bound}")
            return None
        return self.check(type_name == VALUE, f"{where}: {field.type} {type_name} instead of any value")


def main():
    if not PUBLISHED.exists():
        print(f"skipped: no published description at {PUBLISHED} (set FABRO_PUBLISHED_API)")
        return 77
    import yaml

    ours = Surface(textproto.load(sys.argv[1], ROOT / "proto", GOOGLEAPIS)["file"])
    comparison = Comparison(ours, yaml.safe_load(PUBLISHED.read_text()))
    operations = comparison.run()
    for problem in comparison.problems:
        print(problem)
    print(f"{operations} operations, {len(comparison.schemas)} schemas, {comparison.compared} comparisons, "
          f"{len(comparison.problems)} differences")
    return 1 if comparison.problems else 0


if __name__ == "__main__":
    sys.exit(main())
