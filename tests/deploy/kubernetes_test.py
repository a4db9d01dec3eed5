#!/usr/bin/env python3
"""deploy/kubernetes without a cluster: by Kubernetes' schemas, by the rules of Pod Security "restricted", and by what its
parts say of each other. Its configurations are started for real by sidecar_test.py.

usage: tests/deploy/kubernetes_test.py BIN_FOLDER [unittest arguments]
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest

from manifests import KUBERNETES, OVERLAYS, ROOT, merge_key, one, overlay, parsed

SCHEMAS = pathlib.Path(__file__).resolve().parent / "kubernetes"
NODE = ROOT / "build/node/kubernetes"
README = ROOT / "deploy/README.md"


def run(*command, **options):
    options = {"capture_output": True, "text": True, "timeout": 240, "check": False} | options
    return subprocess.run([str(word) for word in command], **options)


def workloads(objects):
    return [item for item in objects if item["kind"] in ("StatefulSet", "Deployment")]


def pods(objects):
    """(name, labels, pod spec)"""
    return [(item["metadata"]["name"], item["spec"]["template"]["metadata"]["labels"], item["spec"]["template"]["spec"]) for item in workloads(objects)]


def containers(objects):
    return [(pod, container) for _, _, pod in pods(objects) for container in pod["containers"]]


def container(objects, name):
    return next((pod, found) for pod, found in containers(objects) if found["name"] == name)


def matches(selector, labels):
    assert set(selector) <= {"matchLabels"}, selector
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


def strings(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def in_order(value, name=""):
    """With lists that are merged by a key sorted by it: their order has no meaning."""
    if isinstance(value, dict):
        return {key: in_order(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        inner = [in_order(entry) for entry in value]
        key = merge_key(name, inner) if inner and isinstance(inner[0], dict) else None
        return sorted(inner, key=lambda entry: str(entry[key])) if key else inner
    return value


class Rendered(unittest.TestCase):
    def each(self):
        return [overlay(name) for name in OVERLAYS]

    def test_kustomize_agrees(self):
        if not shutil.which("kubectl") or "Kustomize Version: v5" not in run("kubectl", "version", "--client").stdout:
            self.skipTest("no kubectl with kustomize 5 here; manifests.py speaks for it")
        for name in OVERLAYS:
            with self.subTest(name):
                done = run("kubectl", "kustomize", KUBERNETES / "overlays" / name)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                key = lambda item: (item["kind"], item["metadata"]["name"])
                real = sorted(in_order(parsed(done.stdout)), key=key)
                ours = sorted(in_order(overlay(name)), key=key)
                for one_of_theirs, one_of_ours in zip(real, ours, strict=True):
                    self.assertEqual(one_of_theirs, one_of_ours)

    def test_fit_kubernetes_schemas(self):
        lock = json.loads((SCHEMAS / "package-lock.json").read_text())
        self.assertTrue(all("integrity" in package for path, package in lock["packages"].items() if path))
        if not (NODE / "node_modules/.package-lock.json").exists() or (NODE / "package-lock.json").read_bytes() != (SCHEMAS / "package-lock.json").read_bytes():
            NODE.mkdir(parents=True, exist_ok=True)
            for file in ("package.json", "package-lock.json"):
                shutil.copy(SCHEMAS / file, NODE)
            done = run("npm", "ci", "--prefix", NODE, "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
            self.assertEqual(done.returncode, 0, f"npm cannot install the schemas; is its registry in reach? {done.stderr}")
        objects = [item for name in OVERLAYS for item in overlay(name)]
        done = run("node", SCHEMAS / "judge.js", NODE, input=json.dumps(objects))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        broken = [item for item in overlay("separate") if item["kind"] in ("StatefulSet", "Deployment", "Service")]
        one(broken, "StatefulSet", "fabro-core")["spec"]["replica"] = 1
        one(broken, "Deployment", "fabro-gateway")["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = "soon"
        done = run("node", SCHEMAS / "judge.js", NODE, input=json.dumps(broken))
        self.assertRegex(done.stdout, r"replica\W+ does not exist", "the judge must be able to refuse")
        self.assertIn("periodSeconds must be integer", done.stdout)

    def test_pods_are_restricted(self):
        for objects in self.each():
            self.assertEqual(one(objects, "Namespace", "fabro")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
            for _, _, pod in pods(objects):
                security = pod["securityContext"]
                self.assertTrue(security["runAsNonRoot"])
                self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertIs(pod["automountServiceAccountToken"], False)
                self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & set(pod))
                for volume in pod.get("volumes", []):
                    self.assertTrue({"configMap", "secret", "emptyDir", "persistentVolumeClaim"} & set(volume), volume)
                for box in pod["containers"]:
                    security = box["securityContext"]
                    self.assertIs(security["allowPrivilegeEscalation"], False)
                    self.assertIs(security["readOnlyRootFilesystem"], True)
                    self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                    self.assertNotIn("privileged", security)
                    self.assertIn("memory", box["resources"]["limits"])
                    self.assertTrue({"cpu", "memory"} <= set(box["resources"]["requests"]))
                    self.assertTrue(all("hostPort" not in port for port in box.get("ports", [])))
            self.assertIs(one(objects, "ServiceAccount", "fabro")["automountServiceAccountToken"], False)

    def test_no_secret_is_in_them(self):
        for objects in self.each():
            self.assertNotIn("Secret", {item["kind"] for item in objects})
            for text in strings(objects):
                self.assertNotRegex(text, r"-----BEGIN|eyJ[\w-]{8}|(?i:password)")

    def test_one_core_and_its_storage(self):
        for objects in self.each():
            core = one(objects, "StatefulSet", "fabro-core")["spec"]
            self.assertEqual(core["replicas"], 1)
            holders = [box["name"] for _, box in containers(objects) if any(mount["name"] == "data" for mount in box["volumeMounts"])]
            self.assertEqual(holders, ["core"])
            claim = core["volumeClaimTemplates"][0]
            self.assertEqual((claim["metadata"]["name"], claim["spec"]["accessModes"]), ("data", ["ReadWriteOnce"]))
            where = next(mount["mountPath"] for mount in container(objects, "core")[1]["volumeMounts"] if mount["name"] == "data")
            config = tomllib.loads(one(objects, "ConfigMap", "fabro-config")["data"]["server.toml"])
            self.assertTrue(config["storage_dir"].startswith(where + "/"), "the volume's own folder is not the core's to protect")
            # Only these can be written.
            writable = {mount["mountPath"] for mount in container(objects, "core")[1]["volumeMounts"] if not mount.get("readOnly")}
            self.assertLessEqual(writable, {where, "/tmp", "/run/fabro"})
            self.assertFalse([mount for mount in container(objects, "gateway")[1]["volumeMounts"] if not mount.get("readOnly")])

    def test_images_are_those_that_are_built(self):
        version = re.search(r"^project\(fabro VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
        dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text()
        for objects in self.each():
            for pod, box in containers(objects):
                self.assertEqual(box["image"], f"fabro/{box['name']}:{version}")
                stage = dockerfile.split(f" AS {box['name']}\n")[1].split("\nFROM ")[0]
                user, group = re.search(r"^USER (\d+):(\d+)", stage, re.M).groups()
                self.assertEqual(str(box["securityContext"].get("runAsUser", pod["securityContext"]["runAsUser"])), user)
                self.assertEqual(str(pod["securityContext"]["runAsGroup"]), group)
                self.assertEqual(str(pod["securityContext"]["fsGroup"]), group)

    def test_there_is_time_to_stop(self):
        for objects in self.each():
            grace = seconds(tomllib.loads(one(objects, "ConfigMap", "fabro-config")["data"]["server.toml"])["stop_grace"])
            for pod, box in containers(objects):
                command = box["lifecycle"]["preStop"]["exec"]["command"]
                self.assertEqual(command[0], "/bin/sleep")
                self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], int(command[1]) + grace + 10)

    def test_probes_ask_what_answers(self):
        for objects in self.each():
            pod, core = container(objects, "core")
            _, gateway = container(objects, "gateway")
            files = one(objects, "ConfigMap", "fabro-config")["data"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                command = core[probe]["exec"]["command"]
                self.assertEqual(command[:3], ["/usr/bin/fabro", "health", "--core"])
                self.assertEqual("--live" in command, probe != "readinessProbe")
                config = command[command.index("--config") + 1] if "--config" in command else "/etc/fabro/server.toml"
                self.assertIn(pathlib.PurePath(config).name, files)
                self.assertGreater(core[probe]["timeoutSeconds"], 5, "longer than `fabro health` takes")
                request = gateway[probe]["httpGet"]
                self.assertEqual(request["path"], "/health/ready" if probe == "readinessProbe" else "/health/live")
                self.assertEqual((request["port"], request["scheme"]), ("api", "HTTPS"))
            self.assertIn("tls", tomllib.loads(files["server.toml"])["api"])

    def test_labels_find_their_pods(self):
        for objects in self.each():
            labels = [found for _, found, _ in pods(objects)]
            for item in workloads(objects):
                self.assertTrue(matches(item["spec"]["selector"], item["spec"]["template"]["metadata"]["labels"]))
            names = {port["name"]: port["containerPort"] for _, box in containers(objects) for port in box.get("ports", [])}
            for item in objects:
                if item["kind"] == "Service":
                    self.assertTrue(any(matches({"matchLabels": item["spec"]["selector"]}, found) for found in labels), item["metadata"]["name"])
                    for port in item["spec"].get("ports", []):
                        self.assertIn(port["targetPort"], names)
                if item["kind"] == "PodDisruptionBudget":
                    replicas = [work["spec"]["replicas"] for work in workloads(objects)
                                if matches(item["spec"]["selector"], work["spec"]["template"]["metadata"]["labels"])]
                    self.assertTrue(replicas and all(count > item["spec"]["minAvailable"] for count in replicas), "a budget that forbids every eviction")

    def test_networks_are_closed_but_for_what_is_needed(self):
        for objects in self.each():
            policies = [item for item in objects if item["kind"] == "NetworkPolicy"]
            config = tomllib.loads(one(objects, "ConfigMap", "fabro-config")["data"]["server.toml"])
            for name, labels, _ in pods(objects):
                mine = [item["spec"] for item in policies if matches(item["spec"]["podSelector"], labels)]
                denied = {kind for spec in mine if not spec.get("ingress") and not spec.get("egress") for kind in spec["policyTypes"]}
                self.assertEqual(denied, {"Ingress", "Egress"}, name)
                into = {port["port"] for spec in mine for rule in spec.get("ingress", []) for port in rule["ports"]}
                out = {port["port"] for spec in mine for rule in spec.get("egress", []) for port in rule["ports"]}
                wanted_in = {config["api"]["port"]} if labels.get("fabro-serves") == "api" else set()
                wanted_out = {53}
                address = config["core"]["listen"]
                if address.startswith("0.0.0.0:"):
                    port = int(address.rsplit(":", 1)[1])
                    (wanted_in if labels["app.kubernetes.io/component"] == "core" else wanted_out).add(port)
                self.assertEqual((into, out), (wanted_in, wanted_out), name)
                for spec in mine:
                    for rule in spec.get("ingress", []) + spec.get("egress", []):
                        for peer in rule.get("from", rule.get("to")):
                            for selector in peer.values():
                                self.assertTrue(selector["matchLabels"], "from anyone")

    def test_what_the_configuration_names_is_mounted(self):
        """Every path in the TOML files is in a volume of the container that reads it, and each Secret's keys are said."""
        for objects in self.each():
            files = one(objects, "ConfigMap", "fabro-config")["data"]
            config = tomllib.loads(files["server.toml"])
            wanted = {"core": [config["core"]], "gateway": [config["api"], config["gateway"]]}
            if "probe.toml" in files:
                wanted["core"].append(tomllib.loads(files["probe.toml"]))
            for name, sections in wanted.items():
                pod, box = container(objects, name)
                volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
                for path in strings(sections):
                    path = path.removeprefix("unix:")
                    if not path.startswith("/"):
                        continue
                    folder, file = path.rsplit("/", 1)
                    mount = next((mount for mount in box["volumeMounts"] if mount["mountPath"] == folder), None)
                    self.assertIsNotNone(mount, f"{name}: {path} is in no volume")
                    self.assertNotIn("subPath", mount, "a mounted subPath does not follow changes")
                    if secret := volumes[mount["name"]].get("secret"):
                        self.assertIn(file, ("tls.crt", "tls.key", "ca.crt"))
                        self.assertEqual(secret["defaultMode"], 0o440, "for the group, which is the fsGroup")

    def test_the_secrets_are_made_by_the_commands_of_the_readme(self):
        made = dict(re.findall(r"kubectl -n fabro create secret generic (\S+)((?: \\\n\s*| )--from-file[^\n\\]*(?:\\\n[^\n\\]*)*)", README.read_text()))
        for objects in self.each():
            for pod, box in containers(objects):
                for volume in pod.get("volumes", []):
                    if secret := volume.get("secret"):
                        self.assertIn(secret["secretName"], made)
                        self.assertIn("tls.crt=", made[secret["secretName"]])
                for entry in box.get("env", []):
                    if source := entry.get("valueFrom"):
                        self.assertIn(source["secretKeyRef"]["key"], made[source["secretKeyRef"]["name"]])

    def test_the_configurations_are_known_to_the_programs(self):
        for objects in self.each():
            for name, text in one(objects, "ConfigMap", "fabro-config")["data"].items():
                with tempfile.TemporaryDirectory() as home:
                    path = pathlib.Path(home, name)
                    path.write_text(text)
                    done = run(BIN / "fabro", "config", "check", "--elsewhere", path, cwd=home, env={"HOME": home, "PATH": os.environ["PATH"]})
                    self.assertEqual((done.returncode, done.stderr), (0, ""), name)


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
