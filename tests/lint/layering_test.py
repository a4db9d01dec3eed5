#!/usr/bin/env python3
"""Fails when a folder depends on one above it, or includes a header that is kept behind another file.

usage: tests/lint/layering_test.py BUILD_GRAPH
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Lowest first. A folder may depend on folders of the rows above its own (lower layers), never sideways, never up.
LAYERS = [
    ["proto", "core/base"],
    ["core/async"],
    ["core/config", "core/security", "core/workflow", "core/net"],
    ["core/engine", "core/events", "core/git", "core/llm", "core/sandbox"],
    ["core/storage", "core/agent"],
    ["core/scheduler", "core/stages"],
    ["core/runtime"],
    ["core/sessions", "core/workflows", "core/insights", "core/verification", "core/retros", "core/settings"],
    ["core/rpc"],
    ["core/app"],
    ["gateway/json"],
    ["gateway/route"],
    ["gateway/http", "gateway/upstream", "gateway/auth", "gateway/openapi"],
    ["gateway/transcode"],
    ["gateway/console"],
    ["gateway/app"],
    ["cli", "core", "gateway"],  # the programs
]
LEVEL = {folder: level for level, row in enumerate(LAYERS) for folder in row}

# What may be used of the core by those who talk to it over gRPC or HTTP: prefix of the user -> folders of the core.
CORE_FOR = {
    "gateway/app": {"core/base", "core/async", "core/security", "core/config"},
    "gateway/": {"core/base", "core/async", "core/security"},
    "cli": {"core/base", "core/async", "core/security", "core/config", "core/net", "core/workflow", "core/app"},
}

# Header families: what is included, which files may, and why the others may not.
HEADERS = [
    (r"grpcpp/|grpc/", r"core/rpc/.*|core/app/.*\.cc|core/security/tls\.(cc|h)|gateway/upstream/.*|gateway/app/.*\.cc|cli/.*\.cc",
     "gRPC stays at the edge of the core and in gateway/upstream"),
    (r".*\.grpc\.pb\.h", r"core/rpc/services/.*\.cc|core/app/.*\.cc",
     "a generated service belongs to the one .cc that implements it"),
    (r"fabro/v1/event\.pb\.h|fabro/internal/v1/.*\.pb\.h", r"(core/(engine|events|rpc|runtime|storage|stages)|gateway/.*)/.*\.cc",
     "the record is included by .cc files of the engine and its readers; headers forward-declare it"),
    (r"fabro/v1/.*\.pb\.h", r"core/rpc/.*|core/base/error\.cc|core/(engine|events|runtime|storage|stages)/.*\.cc",
     "request and response messages stop at core/rpc; the gateway goes by descriptors"),
    (r"boost/beast/", r"gateway/http/.*\.cc|gateway/http/.*_impl\.h",
     "Beast is instantiated in gateway/http only"),
    (r"boost/asio/(?!awaitable\.hpp)", r"core/async/.*|gateway/http/.*\.cc|gateway/http/.*_impl\.h|core/sandbox/process\.cc|core/rpc/call\.cc",
     "Asio beyond awaitable.hpp is behind core/async"),
    (r"sqlite3\.h", r"core/storage/sqlite/.*\.cc", "SQLite is behind core/storage/sqlite"),
    (r"libpq-fe\.h", r"core/storage/postgres/.*\.cc", "libpq is behind core/storage/postgres"),
    (r"git2(\.h|/.*)", r"core/git/.*\.cc|core/git/libgit2\.h", "libgit2 is behind core/git"),
    (r"curl/", r"core/net/.*\.cc|cli/.*\.cc", "libcurl is behind one .cc"),
    (r"toml\+\+/", r"core/config/.*\.cc", "toml++ is behind core/config"),
    (r"openssl/", r"(core/security|core/base|gateway/auth|gateway/http)/.*\.cc", "OpenSSL is never in a header"),
    (r"nlohmann/json\.hpp", r"(core/llm/wire|core/agent/tools|core/stages|cli)/.*\.cc|gateway/json/decode\.cc",
     "headers take text or json_fwd.hpp; JSON of the API goes through gateway/json"),
]


def library_of(path, folders):
    while path not in folders and "/" in path:
        path = path.rsplit("/", 1)[0]
    return path


def module_of(folder):
    """core/storage/sqlite is a part of core/storage."""
    return folder if folder in LEVEL or folder.count("/") < 2 else module_of(folder.rsplit("/", 1)[0])


def may_depend(user, used):
    user, used = module_of(user), module_of(used)
    if user == used:
        return None
    if used not in LEVEL or user not in LEVEL:
        return "a folder that LAYERS does not place: " + (used if used not in LEVEL else user)
    for prefix, allowed in CORE_FOR.items():
        if user.startswith(prefix):
            if used.startswith("core/") and used not in allowed:
                return f"{user} may use of the core only {', '.join(sorted(allowed))}"
            break
    if LEVEL[used] >= LEVEL[user]:
        return f"{used} is not below {user}"
    return None


def main(graph_path):
    problems, declared, files = [], {}, set()
    for line in filter(None, pathlib.Path(graph_path).read_text().splitlines()):
        kind, folder, name, srcs, hdrs, deps, _ = line.split("|")
        files |= {f"{folder}/{f}" for f in (srcs + "," + hdrs).split(",") if f}
        if kind != "test" and not folder.startswith("tests"):
            declared.setdefault(folder, set()).update(d for d in deps.split(",") if d and not d.startswith("@"))
    for folder, deps in sorted(declared.items()):
        for dep in sorted(deps - {folder}):
            if reason := may_depend(folder, dep):
                problems.append(f"{folder}/CMakeLists.txt: DEPS {dep}\n    {reason}")
    for path in sorted(p for top in ("core", "gateway", "cli") for p in (ROOT / top).rglob("*") if p.suffix in (".h", ".cc")):
        file = path.relative_to(ROOT).as_posix()
        if file not in files:
            problems.append(f"{file}: no CMakeLists.txt declares it")
        user = library_of(file.rsplit("/", 1)[0], declared)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not (found := re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)):
                continue
            include, reason = found[1], None
            for pattern, allowed, why in HEADERS:
                if re.match(pattern, include):
                    reason = None if re.fullmatch(allowed, file) else why
                    break
            if re.match(r"(core|gateway|cli)/", include):
                used = library_of(include.rsplit("/", 1)[0], declared)
                if used != user:
                    reason = may_depend(user, used)
                    if not reason and used not in declared.get(user, ()):
                        reason = f"{user}/CMakeLists.txt does not name {used} in DEPS"
            if reason:
                problems.append(f"{file}:{number}: {line.strip()}\n    {reason}")
    print("\n".join(problems) if problems else f"{len(files)} files keep to the layers")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
