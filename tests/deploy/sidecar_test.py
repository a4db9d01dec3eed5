#!/usr/bin/env python3
"""The pods of deploy/kubernetes, rehearsed without a cluster: for each overlay the two programs run as its two users with its
volumes, its configuration and its probes, on a network with a loopback and nothing else.

The Secrets are what the commands of deploy/README.md put into them. Then programs are killed, and clients go on.

usage: tests/deploy/sidecar_test.py BIN_FOLDER [unittest arguments]      (as root; skipped where there are no namespaces)
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import tomllib
import unittest

from container import PATIENCE, Container, eventually, missing, own_network
from manifests import ROOT, one, overlay

SKIPPED = 77
TERMINAL = ("WorkflowRunCompleted", "WorkflowRunFailed", "WorkflowRunCancelled")
README = ROOT / "deploy/README.md"

# A stage that would read what the server has in its environment, steps, a stage that lasts until the test says so, a question, and steps.
WORKFLOW = """digraph rehearsal {
  start [shape=Mdiamond]; done [shape=Msquare];
  a [shape=parallelogram, script="! cat /proc/1/environ && ! cat /proc/1/mem"]; b [shape=parallelogram, script="echo b"];
  long [shape=parallelogram, script="until [ -e $HOME/go ]; do sleep 0.05; done"];
  ask [shape=hexagon, label="Go on?"];
  c [shape=parallelogram, script="echo c"]; d [shape=parallelogram, script="echo d"];
  start -> a -> b -> long -> ask; ask -> c [label="[Y] Yes"]; ask -> done [label="[N] No"]; c -> d -> done;
}"""


class Certificates:
    """Made once, by the script, with what the README says."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fabro-certs-"))
        text = README.read_text().split("\n## Kubernetes\n")[1].split("\n## ")[0]
        command = re.search(r"^deploy/certs/make_certs\.sh (.*) certs$", text, re.M)[1]
        subprocess.run(f"{ROOT}/deploy/certs/make_certs.sh {command} {self.folder}/certs", shell=True, check=True, capture_output=True, timeout=PATIENCE)
        self.secrets = {}
        for name, files in re.findall(r"kubectl -n fabro create secret generic (\S+)((?:[ \\\n]+--from-file=\S+)+)", text):
            self.secrets[name] = dict(re.findall(r"--from-file=(\S+?)=(\S+)", files))

    def rekey(self):
        subprocess.run([ROOT / "deploy/certs/make_certs.sh", "--rekey", self.folder / "certs"], check=True, capture_output=True, timeout=PATIENCE)

    def secret(self, name):
        return {key: (self.folder / file).read_bytes() for key, file in self.secrets[name].items()}

    def token(self, user):
        done = subprocess.run([ROOT / "deploy/certs/make_token.sh", "--key", self.folder / "certs/jwt.key", "--user", user], check=True,
                              capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.strip()


class Pod:
    """The containers core and gateway of an overlay, with the volumes that a kubelet would give them."""

    def __init__(self, name, programs, certificates):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fabro-pod-"))
        self.folder.chmod(0o755)
        self.programs, self.certificates = programs, certificates
        self.objects = overlay(name)
        self.files = one(self.objects, "ConfigMap", "fabro-config")["data"]
        self.config = tomllib.loads(self.files["server.toml"])
        self.specs = {}
        for kind in ("StatefulSet", "Deployment"):
            for item in self.objects:
                if item["kind"] == kind:
                    spec = item["spec"]["template"]["spec"]
                    claims = [claim["metadata"] for claim in item["spec"].get("volumeClaimTemplates", [])]
                    for box in spec["containers"]:
                        self.specs[box["name"]] = (spec, box, claims)
        self.volumes = {}
        self.running = {}

    def volume(self, spec, claims, name):
        """Folders with the owner and mode that a volume has under the pod's fsGroup."""
        if name in self.volumes:
            return self.volumes[name]
        folder = self.folder / name
        folder.mkdir()
        group = spec["securityContext"]["fsGroup"]
        source = next((volume for volume in spec.get("volumes", []) if volume["name"] == name), None)
        if source is None:
            assert any(claim["name"] == name for claim in claims), name
            self.own(folder, group, 0o2775)
        elif "emptyDir" in source:
            self.own(folder, group, 0o2777)
        else:
            secret = source.get("secret")
            contents = self.certificates.secret(secret["secretName"]) if secret else {file: text.encode() for file, text in self.files.items()}
            self.project(folder, contents, group, secret["defaultMode"] if secret else 0o644)
        self.volumes[name] = folder
        return folder

    @staticmethod
    def own(path, group, mode):
        os.chown(path, 0, group)
        path.chmod(mode)

    def project(self, folder, contents, group, mode):
        """As a kubelet does: the files are links into a folder that is replaced as a whole."""
        fresh = pathlib.Path(tempfile.mkdtemp(prefix="..", dir=folder))
        self.own(fresh, group, 0o2755)
        for name, data in contents.items():
            (fresh / name).write_bytes(data)
            self.own(fresh / name, group, mode)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        swap = folder / "..data_tmp"
        swap.symlink_to(fresh.name)
        os.rename(swap, folder / "..data")
        self.own(folder, group, 0o2755)

    def start(self, name):
        if name in self.running:
            self.running[name].close()
        self.running[name] = self.box(name)
        return self.running[name]

    def box(self, name, *flags, volume_instead=None):
        spec, box, claims = self.specs[name]
        volumes = {}
        for mount in box["volumeMounts"]:
            if mount["mountPath"] != "/tmp":
                folder = self.volume(spec, claims, (volume_instead or {}).get(mount["name"], mount["name"]))
                volumes[mount["mountPath"]] = (folder, "ro") if mount.get("readOnly") else folder
        environment = []
        for entry in box["env"]:
            value = entry.get("value")
            if value is None:
                source = entry["valueFrom"]["secretKeyRef"]
                value = self.certificates.secret(source["name"])[source["key"]].decode()
            environment.append(f"{entry['name']}={value}")
        pod, own = spec["securityContext"], box["securityContext"]
        return Container([f"/opt/fabro/fabro-{name}", *flags], own.get("runAsUser", pod["runAsUser"]), pod["runAsGroup"], volumes, environment,
                         programs=self.programs, hosts="127.0.0.1 fabro-core")

    def is_well(self, name, probe):
        box = self.specs[name][1][probe]
        if request := box.get("httpGet"):
            port = next(port["containerPort"] for port in self.specs[name][1]["ports"] if port["name"] == request["port"])
            with contextlib.suppress(OSError, http.client.HTTPException):
                return Client(port).ask("GET", request["path"])[0] == 200
            return False
        program, *words = box["exec"]["command"]
        return self.running[name].execute(program.replace("/usr/bin/", "/opt/fabro/"), *words, check=False).returncode == 0

    def await_probe(self, name, probe):
        self.running[name].eventually(f"{probe} of {name}", lambda: self.is_well(name, probe))

    def replace_config(self, old, new):
        assert old in self.files["server.toml"]
        self.files["server.toml"] = self.files["server.toml"].replace(old, new)
        for name, spec in ((name, spec) for name, (spec, _, _) in self.specs.items()):
            contents = {file: text.encode() for file, text in self.files.items()}
            self.project(self.volumes["config"], contents, spec["securityContext"]["fsGroup"], 0o644)

    def deliver_secrets(self):
        for spec, _, _ in self.specs.values():
            for volume in spec["volumes"]:
                if (secret := volume.get("secret")) and volume["name"] in self.volumes:
                    contents = self.certificates.secret(secret["secretName"])
                    self.project(self.volumes[volume["name"]], contents, spec["securityContext"]["fsGroup"], secret["defaultMode"])

    def close(self):
        for container in self.running.values():
            container.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """What asks the gateway; verifies its certificate when it knows the authority, and is a kubelet otherwise."""

    def __init__(self, port, authority=None, token=None):
        self.port, self.token = port, token
        self.context = ssl.create_default_context(cafile=authority) if authority else ssl._create_unverified_context()

    def link(self):
        link = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        return self.context.wrap_socket(link, server_hostname="localhost")

    def ask(self, verb, path, body=None, headers=None):
        """(status, headers, body)"""
        with self.asking(verb, path, body, headers) as answer:
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    @contextlib.contextmanager
    def asking(self, verb, path, body=None, headers=None):
        headers = {"Connection": "close"} | (headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        with self.link() as link:
            connection = http.client.HTTPConnection("localhost", self.port)
            connection.sock = link
            connection.request(verb, path, body, headers)
            with connection.getresponse() as answer:
                yield answer

    def json(self, verb, path, body=None):
        status, _, text = self.ask(verb, path, body)
        assert status < 300, (verb, path, status, text)
        return json.loads(text) if text else None


class Follower(threading.Thread):
    """Reads a run's events to their end, over as many connections as it takes, each from where the last one broke."""

    def __init__(self, client, run):
        super().__init__()
        self.client, self.run_id = client, run
        self.events, self.connections, self.statuses, self.error = [], 0, [], None

    def run(self):
        try:
            eventually("the end of the events", self.follow, PATIENCE * 2, poll=0.2)
        except BaseException as error:  # shown by whoever waits
            self.error = error

    def follow(self):
        last = self.events[-1][0] if self.events else 0
        with contextlib.suppress(OSError, http.client.HTTPException):
            with self.client.asking("GET", f"/runs/{self.run_id}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": str(last)}) as answer:
                self.statuses.append(answer.status)
                if answer.status == 200:
                    self.connections += 1
                    self.read(answer)
        return bool(self.events) and self.events[-1][1]["event"] in TERMINAL

    def read(self, answer):
        number = None
        for line in answer:
            if line.startswith(b"id: "):
                number = int(line[4:])
            elif line.startswith(b"data: ") and line.endswith(b"\n"):
                self.events.append((number, json.loads(line[6:])))

    def finish(self):
        self.join(PATIENCE * 2)
        if self.error:
            raise self.error
        return self.events


class Rehearsal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates()
        cls.addClassCleanup(shutil.rmtree, cls.certificates.folder, ignore_errors=True)

    def pod(self, name):
        pod = Pod(name, BIN, self.certificates)
        self.addCleanup(pod.close)
        return pod

    def client(self, pod, user="alice"):
        return Client(pod.config["api"]["port"], self.certificates.folder / "certs/ca.crt", user and self.certificates.token(user))

    def unavailable(self, reply):
        status, headers, _ = reply
        self.assertEqual(status, 503)
        self.assertRegex(headers["retry-after"], r"^[1-9]\d*$")

    def rehearse(self, name):
        pod = self.pod(name)
        client = self.client(pod)

        # The gateway is there first: alive, not ready, and honest about it.
        pod.start("gateway")
        pod.await_probe("gateway", "livenessProbe")
        self.assertFalse(pod.is_well("gateway", "readinessProbe"))
        self.unavailable(client.ask("POST", "/runs", {"dot_source": WORKFLOW}))
        core = pod.start("core")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            pod.await_probe("core", probe)
        pod.await_probe("gateway", "readinessProbe")
        self.walls_hold(pod)
        self.doors_are_closed(pod)

        run = client.json("POST", "/runs", {"dot_source": WORKFLOW})["id"]
        follower = Follower(client, run)
        follower.start()
        eventually("the long stage", lambda: any(event.get("node_id") == "long" for _, event in list(follower.events)))

        # The gateway dies and comes back; the run has noticed nothing.
        pod.running["gateway"].kill()
        with self.assertRaises(OSError):
            client.ask("GET", "/runs")
        pod.start("gateway")
        pod.await_probe("gateway", "readinessProbe")
        eventually("the stream's second connection", lambda: follower.connections >= 2)
        self.assertEqual(client.json("GET", f"/runs/{run}")["status"], "running")

        # The core dies at work and comes back: its stage is done again.
        core.kill()
        pod.await_probe("gateway", "livenessProbe")
        eventually("the gateway knowing", lambda: not pod.is_well("gateway", "readinessProbe"))
        self.unavailable(client.ask("POST", "/runs", {"dot_source": WORKFLOW}))
        self.unavailable(client.ask("GET", f"/runs/{run}"))
        core = pod.start("core")
        pod.await_probe("gateway", "readinessProbe")
        (pod.volumes["data"] / "data/go").touch()

        # It dies once more while it waits for a person, with nothing at work.
        question = eventually("the question", lambda: client.json("GET", f"/runs/{run}/questions")["data"])[0]["id"]
        core.kill()
        core = pod.start("core")
        pod.await_probe("gateway", "readinessProbe")
        client.json("POST", f"/runs/{run}/questions/{question}/answer", {"selected_option_key": "Y"})

        followed = follower.finish()
        self.assertEqual(followed[-1][1]["event"], "WorkflowRunCompleted")
        self.assertEqual({event["node_id"] for _, event in followed if event["event"] == "StageFailed"} - {"long"}, set())
        numbers = [number for number, _ in followed]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "an event was lost or came twice")
        self.assertGreaterEqual(follower.connections, 3)
        self.assertLessEqual(set(follower.statuses), {200, 503})
        stored = client.ask("GET", f"/runs/{run}/events?page[limit]=100", headers={"Accept": "application/json"})[2]
        self.assertEqual(json.loads(stored)["data"], [event for _, event in followed])

        # A change of the configuration reaches the programs as a kubelet delivers it.
        pod.replace_config('storage_dir = "', 'max_concurrent_runs = 7\nstorage_dir = "')
        core.eventually("the change", lambda: '"key":"max_concurrent_runs"' in core.said())
        self.certificates_are_renewed(pod)
        self.assertEqual([pod.running[name].stop() for name in ("gateway", "core")], [0, 0])

    def walls_hold(self, pod):
        gateway, core = pod.running["gateway"], pod.running["core"]
        for container in (gateway, core):
            self.assertIn("Read-only file system", container.execute("touch", "/etc/fabro/x", "/x", check=False, as_root=True).stderr)
        self.assertNotEqual(gateway.execute("ls", "/var/lib/fabro", check=False).returncode, 0, "the gateway sees the storage")
        mode = os.stat(pod.volumes["data"] / "data").st_mode & 0o777
        self.assertEqual(mode, 0o700)
        if "run" in pod.volumes:
            there = os.stat(pod.volumes["run"] / "core.sock")
            group = pod.specs["core"][0]["securityContext"]["fsGroup"]
            self.assertEqual((there.st_uid, there.st_gid, there.st_mode & 0o777), (10001, group, 0o660))
            self.assertNotEqual(gateway.execute("rm", "/run/fabro/core.sock", check=False).returncode, 0)

    def doors_are_closed(self, pod):
        """To whom has no token, to who is not on the list, and to certificates that are no gateway's."""
        self.assertEqual(self.client(pod, None).ask("GET", "/runs")[0], 401)
        self.assertEqual(self.client(pod, "mallory").ask("GET", "/runs")[0], 403)
        self.assertEqual(self.client(pod, None).ask("GET", "/metrics")[0], 200)
        if "probe-tls" in pod.volumes:  # a gateway with the probe's certificate speaks for nobody but the probe
            stranger = pod.box("gateway", "--port", "3001", volume_instead={"gateway-tls": "probe-tls"})
            self.addCleanup(stranger.close)
            client = Client(3001, self.certificates.folder / "certs/ca.crt", self.certificates.token("alice"))
            stranger.eventually("its port", lambda: '"port":3001' in stranger.said())
            self.assertEqual(client.ask("GET", "/health/ready")[0], 200)
            self.assertEqual(client.ask("GET", "/runs")[0], 403)

    def certificates_are_renewed(self, pod):
        """New Secrets, without a restart: what is shown is new, and so is what the core asks for."""
        port = pod.config["api"]["port"]
        self.certificates.rekey()
        pod.deliver_secrets()
        fresh = (self.certificates.folder / "certs/api.crt").read_text()
        pod.running["gateway"].eventually("the new certificate", lambda: ssl.get_server_certificate(("127.0.0.1", port)) == fresh)
        if "core-tls" in pod.volumes:
            pod.running["core"].eventually("the new files", lambda: "new TLS files are in force" in pod.running["core"].said())
            pod.await_probe("core", "readinessProbe")
        self.assertEqual(self.client(pod).ask("GET", "/runs")[0], 200)

    def test_a_sidecar_with_a_socket(self):
        self.rehearse("sidecar")

    def test_a_sidecar_with_mutual_tls(self):
        self.rehearse("sidecar-mtls")

    def test_a_gateway_of_its_own(self):
        self.rehearse("separate")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    if reason := missing():
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    own_network()
    unittest.main(verbosity=2)
