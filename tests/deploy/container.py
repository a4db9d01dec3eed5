"""One program as a container engine runs it, without an engine: mounts and processes of its own, a root that cannot be written,
a user, no capabilities. Linux, as root.
"""
import ctypes
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE = 60
CLONE_NEWNET = 0x40000000
TOOLS = ("unshare", "nsenter", "setpriv", "chroot", "mount", "ip")
HOST_FOLDERS = ("usr", "bin", "sbin", "lib", "lib64")
HOST_FILES = ("etc/ld.so.cache", "etc/nsswitch.conf", "etc/passwd", "etc/group", "etc/localtime")


def missing():
    """What keeps containers from being run here; empty: nothing."""
    if os.geteuid() != 0:
        return "root is needed to run programs as other users"
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True, text=True,
                          check=False)
    return "" if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"


def eventually(what, look, patience=PATIENCE, poll=0.02):
    """The first true thing that look() returns."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(poll)
    return found


def own_network():
    """From here on this process and its children have a network of their own: no port can be taken."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Container:
    """`root` is an unpacked image; without one, /usr and libraries of this machine, with `programs` at /opt/fabro.

    `volumes`: path -> folder, or (folder, "ro"). With `own_network` it has one, loopback only; else its creator's.
    """

    def __init__(self, command, user, group, volumes=None, environment=(), root=None, programs=None, hosts="", own_network=False):
        self.user, self.group, self.environment = str(user), str(group), list(environment)
        if not any(entry.startswith("PATH=") for entry in self.environment):
            self.environment.append("PATH=/opt/fabro:/usr/local/bin:/usr/bin:/bin")
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="fabro-box-"))
        script = ["set -e", "mount --make-rprivate /"]
        self.root = pathlib.Path(root) if root else self.scratch
        if root:
            script += [f"mount --bind {root} {root}", f"mount --bind /dev {root}/dev", f"mount -o remount,bind,ro {root}"]
        else:
            script += self.host_root(volumes or {}, programs, hosts)
        script += [f"mount -t proc proc {self.root}/proc", f"mount -t tmpfs -o mode=1777 tmpfs {self.root}/tmp"]
        for where, folder in (volumes or {}).items():
            folder, *read_only = folder if isinstance(folder, tuple) else (folder,)
            script.append(f"mount --bind {folder} {self.root}{where}")
            if read_only:
                script.append(f"mount -o remount,bind,ro {self.root}{where}")
        if own_network:
            script.append("ip link set lo up")
        script.append('exec chroot "$0" "$@"')
        drop = ["setpriv", "--reuid", self.user, "--regid", self.group, "--clear-groups", "--no-new-privs", "--inh-caps=-all",
                "--bounding-set=-all", "env", "-i", *self.environment]
        self.log, self.pid = tempfile.TemporaryFile("w+"), None
        self.engine = subprocess.Popen(
            ["unshare", "--mount", *(["--net"] if own_network else []), "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(script),
             str(self.root), *drop, *command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.program = os.path.basename(command[0])
            self.pid = self.eventually("the first process", self.first_process)
        except BaseException:
            self.close()
            raise

    def host_root(self, volumes, programs, hosts):
        root = self.scratch
        script = [f"mount -t tmpfs tmpfs {root}", f"mkdir -p {root}/etc {root}/dev {root}/proc {root}/tmp {root}/opt/fabro"]
        for name in HOST_FOLDERS:
            if os.path.islink(f"/{name}"):
                script.append(f"ln -s {os.readlink(f'/{name}')} {root}/{name}")
            elif os.path.isdir(f"/{name}"):
                script.append(f"mkdir {root}/{name} && mount --bind /{name} {root}/{name} && mount -o remount,bind,ro {root}/{name}")
        script += [f"cp -L /{name} {root}/{name}" for name in HOST_FILES if os.path.exists(f"/{name}")]
        script.append(f"printf '127.0.0.1 localhost\\n%s\\n' {shlex.quote(hosts)} > {root}/etc/hosts")
        script += [f"mkdir -p {root}{where}" for where in volumes]
        script += [f"mount --bind /dev {root}/dev", f"mount --bind {programs} {root}/opt/fabro", f"mount -o remount,bind,ro {root}/opt/fabro",
                   f"mount -o remount,ro {root}"]
        return script

    def first_process(self):
        children = pathlib.Path(f"/proc/{self.engine.pid}/task/{self.engine.pid}/children").read_text().split()
        if not children:
            return None
        try:
            return int(children[0]) if os.path.basename(os.readlink(f"/proc/{children[0]}/exe")) == self.program else None
        except OSError:
            return None

    def eventually(self, what, look):
        def alive():
            if self.engine.poll() is not None:
                raise AssertionError(f"{self.program} ended with {self.engine.returncode} before {what}: {self.said()}")
            return look()
        return eventually(what, alive)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def execute(self, *command, check=True, as_root=False):
        """As `docker exec`."""
        who = ["-S", "0", "-G", "0"] if as_root else ["-S", self.user, "-G", self.group]
        done = subprocess.run(["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--root", "--wd", *who, "--", "/usr/bin/env", "-i",
                               *self.environment, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}\n{self.said()}")
        return done

    def stop(self):
        """By SIGTERM; the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.engine.wait(PATIENCE)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.engine.wait(PATIENCE)

    def close(self):
        if self.engine.poll() is None:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)  # and when that is gone, the engine ends
            else:
                self.engine.kill()
            self.engine.wait(PATIENCE)
        self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
