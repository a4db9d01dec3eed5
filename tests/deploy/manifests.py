"""deploy/kubernetes as Kubernetes would get it: what `kubectl kustomize` does, for what is used there and no more.

Known: resources, patches (strategic merges, by path), configMapGenerator (files, no suffix), namespace. Anything else is an
error. kubernetes_test.py compares the outcome with that of the real one, where that is installed.
"""
import copy
import pathlib

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = ("sidecar", "sidecar-mtls", "separate")

# Lists whose entries are merged by a key of theirs; other lists are replaced.
MERGE_KEYS = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath"}
FIELDS = {"apiVersion", "kind", "resources", "patches", "configMapGenerator", "generatorOptions", "namespace"}
OF_THE_CLUSTER = {"Namespace"}


def merge_key(name, entries):
    if name == "ports":
        return "containerPort" if all("containerPort" in entry for entry in entries) else "port"
    return MERGE_KEYS.get(name)


def merge(into, patch):
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        elif isinstance(value, list) and name in into and (key := merge_key(name, value)):
            for entry in value:
                assert "$patch" not in entry, "directives are not known here"
                known = next((old for old in into[name] if old[key] == entry[key]), None)
                if known is None:
                    into[name].append(copy.deepcopy(entry))
                else:
                    merge(known, entry)
        else:
            into[name] = copy.deepcopy(value)


def identity(item):
    return item["apiVersion"], item["kind"], item["metadata"]["name"]


def parsed(text):
    return [document for document in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if document]


def documents(path):
    return parsed(path.read_text())


def render(folder):
    """The objects of a folder with a kustomization.yaml."""
    plan, = documents(folder / "kustomization.yaml")
    assert set(plan) <= FIELDS, f"{folder}: manifests.py does not know {set(plan) - FIELDS}"
    assert plan.get("generatorOptions", {}) in ({}, {"disableNameSuffixHash": True}), folder
    found = []
    for resource in plan["resources"]:
        path = folder / resource
        found += render(path.resolve()) if path.is_dir() else documents(path)
    for patch in plan.get("patches", []):
        assert set(patch) == {"path"}, patch
        for document in documents(folder / patch["path"]):
            merge(next(item for item in found if identity(item) == identity(document)), document)
    for generator in plan.get("configMapGenerator", []):
        assert set(generator) == {"name", "files"}, generator
        data = {name: (folder / name).read_text() for name in generator["files"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
    if namespace := plan.get("namespace"):
        for item in found:
            if item["kind"] not in OF_THE_CLUSTER:
                item["metadata"]["namespace"] = namespace
    return found


def overlay(name):
    return render(KUBERNETES / "overlays" / name)


def one(objects, kind, name):
    return next(item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name))


def config_of(name, file="server.toml"):
    """A file of the ConfigMap that an overlay makes."""
    return one(overlay(name), "ConfigMap", "fabro-config")["data"][file]
