#!/usr/bin/env python3
"""Compares our OpenAPI document with the published description of the API, as a client's generator would read both:
every path, method, parameter, body, answer, required field, type, word and status of theirs must be in ours.

usage: openapi_published_test.py [DOCUMENT]      (default: tests/contract/openapi.json)

The description is FABRO_PUBLISHED_API, else ../shared/reference/published-api.yaml beside the source tree; without it
there is nothing to compare with and the test ends with 77, which ctest shows as skipped.
"""
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PUBLISHED = pathlib.Path(os.environ.get("FABRO_PUBLISHED_API", ROOT.parent / "shared/reference/published-api.yaml"))

# Where we differ on purpose, and why.
NOT_REQUIRED = {("StartRunRequest", "dot_source"): "a registered workflow may be named instead",
                ("CompletionToolDefinition", "description"): "a tool may do without"}
MORE_WORDS = {("HookDefinition", "event"): "hooks can be called for more"}
UNUSED = {"FileCheckpoint", "DiffStats"}  # no operation of theirs speaks of these
FORMATS = {"date-time", "uuid", "uri"}


class Side:
    def __init__(self, document):
        self.document = document

    def resolve(self, node):
        """The node itself behind its reference, and the reference's last word."""
        name = ""
        while "$ref" in node:
            name = node["$ref"].split("/")[-1]
            target = self.document
            for part in node["$ref"].split("/")[1:]:
                target = target[part]
            node = target
        return node, name

    def without_null(self, node):
        """The schema apart from null, and whether null is allowed."""
        node, name = self.resolve(node)
        if isinstance(node.get("type"), list):
            rest = [t for t in node["type"] if t != "null"]
            return {**node, "type": rest[0]}, name, "null" in node["type"]
        choices = node.get("oneOf", [])
        rest = [c for c in choices if c.get("type") != "null"]
        if len(choices) == 2 and len(rest) == 1:
            inner, inner_name = self.resolve(rest[0])
            return inner, inner_name, True
        return node, name, node.get("nullable") is True

    def members(self, node):
        """Properties and required names of an object, its allOf parts joined."""
        properties, required = dict(node.get("properties", {})), set(node.get("required", []))
        for part in node.get("allOf", []):
            more, needed = self.members(self.resolve(part)[0])
            properties |= more
            required |= needed
        return properties, required


class Comparison:
    def __init__(self, published, ours):
        self.published, self.ours = Side(published), Side(ours)
        self.problems, self.seen, self.compared = [], set(), 0

    def check(self, good, text):
        self.compared += 1
        if not good:
            self.problems.append(text)
        return good

    def run(self):
        count = 0
        for path, verbs in self.published.document["paths"].items():
            for verb, theirs in verbs.items():
                count += 1
                ours = self.ours.document["paths"].get(path, {}).get(verb)
                if self.check(ours is not None, f"{verb} {path}: not in ours"):
                    self.operation(theirs["operationId"], theirs, ours)
        for name in set(self.published.document["components"]["schemas"]) - UNUSED:
            self.check(name in self.ours.document["components"]["schemas"], f"schema {name}: not in ours")
        return count

    def operation(self, name, theirs, ours):
        self.check(ours["operationId"] == name, f"{name}: we call it {ours['operationId']}")
        self.check(ours["tags"] == theirs["tags"], f"{name}: tags {ours['tags']}")
        self.check((theirs.get("security") == []) == (ours.get("security") == []), f"{name}: credentials")

        given = {(p["in"], p["name"]): p for p in ours.get("parameters", [])}
        for raw in theirs.get("parameters", []):
            parameter, _ = self.published.resolve(raw)
            where = f"{name} {parameter['in']} {parameter['name']}"
            mine = given.get((parameter["in"], parameter["name"]))
            if self.check(mine is not None, f"{where}: not in ours"):
                self.check(mine.get("required", False) == parameter.get("required", False), f"{where}: required")
                # A cursor is a number here; theirs says text, and sends a number.
                if parameter["name"] != "Last-Event-ID":
                    self.schema(where, parameter["schema"], mine["schema"], True)

        self.check(("requestBody" in theirs) == ("requestBody" in ours), f"{name}: body")
        if "requestBody" in theirs and "requestBody" in ours:
            self.content(name, theirs["requestBody"], ours["requestBody"], True)

        missing = set(theirs["responses"]) - set(ours["responses"])
        self.check(not missing, f"{name}: we do not document {sorted(missing)}")
        successes = [{s for s in side["responses"] if s < "300"} for side in (theirs, ours)]
        self.check(successes[0] == successes[1], f"{name}: succeeds with {successes[1]}")
        for status in set(theirs["responses"]) & set(ours["responses"]):
            self.content(f"{name} {status}", self.published.resolve(theirs["responses"][status])[0],
                         self.ours.resolve(ours["responses"][status])[0], False)

    def content(self, name, theirs, ours, is_request):
        for media, body in theirs.get("content", {}).items():
            mine = ours.get("content", {}).get(media)
            if self.check(mine is not None, f"{name}: no {media}"):
                self.schema(name, body["schema"], mine["schema"], is_request)
        self.check(("content" in theirs) == ("content" in ours), f"{name}: has a body")

    def schema(self, where, theirs, ours, is_request):
        ours, our_name, our_null = self.ours.without_null(ours)
        theirs, name, null = self.published.without_null(theirs)
        if self.check(not name or not our_name or name == our_name, f"{where}: {our_name} instead of {name}") and name:
            where = name
        if not set(ours) - {"description", "examples"}:
            return  # any value
        self.check(is_request or null or not our_null, f"{where}: may be null")
        if name:
            if (name, is_request) in self.seen:
                return
            self.seen.add((name, is_request))
        if "discriminator" in theirs:
            return self.choice(where, theirs, ours, is_request)
        if "enum" in theirs:
            words, good = set(ours.get("enum", [])), set(theirs["enum"])
            more = tuple(where.split(".")) in MORE_WORDS
            return self.check(words >= good if more else words == good, f"{where}: words {sorted(words)}")
        if "type" in theirs:
            self.check(ours.get("type", "object") == theirs["type"], f"{where}: {ours.get('type')}")
        if theirs.get("format") in FORMATS:
            self.check(ours.get("format") == theirs["format"], f"{where}: format {ours.get('format')}")
        for bound in ("minimum", "maximum"):
            if bound in theirs:
                self.check(ours.get(bound) == theirs[bound], f"{where}: {bound} {ours.get(bound)}")
        if "items" in theirs:
            self.schema(where + "[]", theirs["items"], ours.get("items", {}), is_request)
        if isinstance(theirs.get("additionalProperties"), dict):
            self.schema(where + "{}", theirs["additionalProperties"], ours.get("additionalProperties", {}), is_request)
        self.properties(where, theirs, ours, is_request)

    def properties(self, where, theirs, ours, is_request):
        properties, required = self.ours.members(ours)
        for key, node in theirs.get("properties", {}).items():
            if self.check(key in properties, f"{where}.{key}: not in ours"):
                self.schema(f"{where}.{key}", node, properties[key], is_request)
        for key in set(theirs.get("required", [])) - required:
            self.check((where, key) in NOT_REQUIRED, f"{where}.{key}: may be absent")
        if is_request:
            for key in required - set(theirs.get("required", [])):
                self.check(False, f"{where}.{key}: asked for, and their clients may not send it")

    def choice(self, where, theirs, ours, is_request):
        mappings = [side["discriminator"]["mapping"] for side in (theirs, ours)]
        self.check(theirs["discriminator"]["propertyName"] == ours["discriminator"]["propertyName"], f"{where}: tag")
        self.check(set(mappings[0]) == set(mappings[1]), f"{where}: members {sorted(mappings[1])}")
        for word in set(mappings[0]) & set(mappings[1]):
            self.schema(f"{where} {word}", {"$ref": mappings[0][word]}, {"$ref": mappings[1][word]}, is_request)


def main():
    if not PUBLISHED.exists():
        print(f"skipped: no published description at {PUBLISHED} (set FABRO_PUBLISHED_API)")
        return 77
    import yaml

    document = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests/contract/openapi.json")
    comparison = Comparison(yaml.safe_load(PUBLISHED.read_text()), json.loads(document.read_text()))
    operations = comparison.run()
    print("\n".join(comparison.problems))
    print(f"{operations} operations, {comparison.compared} comparisons, {len(comparison.problems)} differences")
    return 1 if comparison.problems else 0


if __name__ == "__main__":
    sys.exit(main())
