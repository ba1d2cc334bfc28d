# SPDX-License-Identifier: Apache-2.0
"""Machines and cables of a laboratory.

A Node is a network and a mount namespace, held open by a process that only waits. In its mount
namespace /sys shows its own network, /sys/fs/bpf is a bpffs of its own and /run/sluice is empty:
Sluice runs there with its default paths, beside others. Use only inside `run_isolated`.
"""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from . import syscalls, xdp
from .isolation import require

ROOT = pathlib.Path("/run/lab")  # Seen by all nodes of the run, and by nobody else.

_serial = itertools.count()

# A sender must not leave checksums or segmentation to hardware that is not there: XDP would forward
# such frames as they are. Receive offload would make super-frames again.
_PLAIN_ETHERNET = ("tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off")


class LabError(Exception):
    """A command of the laboratory failed, or a condition did not come true in time."""


def wait_for(condition, what: str, seconds: float = 10.0, step: float = 0.02):
    """Polls `condition` until it is true and returns its value; LabError names `what` otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds:g} s: {what}")
        # A pause between two looks at the condition.
        time.sleep(step)


class Process:
    """A process of a node. Its output goes to a file that `log()` reads."""

    def __init__(self, name: str, pid: int, log_path: pathlib.Path):
        self.name = name
        self.pid = pid
        self.status = None  # Exit status once it ended: negative is a signal.
        self._log_path = log_path

    def poll(self):
        if self.status is None:
            pid, wait_status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(wait_status)
        return self.status

    def wait(self, seconds: float = 10.0) -> int:
        wait_for(lambda: self.poll() is not None, f"end of {self.name}", seconds)
        return self.status

    def send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def stop(self, seconds: float = 10.0) -> int:
        self.send(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> int:
        self.send(signal.SIGKILL)
        return self.wait()

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def log_from(self, offset: int) -> bytes:
        """What it printed after its first `offset` bytes."""
        with open(self._log_path, "rb") as log:
            log.seek(offset)
            return log.read()

    def open_fds(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Node:
    """A machine: `run`, `spawn` and `fork` start things on it, `inside` makes sockets on it."""

    def __init__(self, name: str):
        self.name = name
        self.processes = []
        ready, done = os.pipe()
        self.holder = os.fork()
        if self.holder == 0:
            os.close(ready)
            _hold(name, done)
        os.close(done)
        with os.fdopen(ready) as answer:
            problem = answer.read()
        require(problem == "ok", f"no namespaces for {name}: {problem}",
                "run on a kernel that has them")
        self._net = os.open(f"/proc/{self.holder}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._mount = os.open(f"/proc/{self.holder}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def lab_path(self, what: str) -> pathlib.Path:
        """A path that no other call returned, which all nodes and the laboratory see."""
        return ROOT / f"{self.name}-{what}-{next(_serial)}"

    def _enter(self) -> None:
        syscalls.setns(self._net, syscalls.CLONE_NEWNET)
        syscalls.setns(self._mount, syscalls.CLONE_NEWNS)

    @contextlib.contextmanager
    def inside(self):
        """Sockets, BPF links and /proc/sys/net of this process are the node's meanwhile."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(self._net, syscalls.CLONE_NEWNET)
            yield
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
            os.close(home)

    def run(self, *argv, check: bool = True, stdin: str = "", seconds: float = 30.0, env=None):
        """Runs a command to its end; a CompletedProcess with text in stdout and stderr."""
        result = subprocess.run([str(word) for word in argv], input=stdin, text=True, check=False,
                                capture_output=True, timeout=seconds, preexec_fn=self._enter,
                                env=None if env is None else {**os.environ, **env})
        if check and result.returncode != 0:
            raise LabError(f"{self.name}: {' '.join(map(str, argv))}: exit {result.returncode}\n"
                           f"{stdin}{result.stdout}{result.stderr}")
        return result

    def json(self, *argv, **options):
        return json.loads(self.run(*argv, **options).stdout)

    def ip(self, *commands: str) -> None:
        """Commands of ip(8), one a string, carried out in order."""
        self.run("ip", "-batch", "-", stdin="".join(command + "\n" for command in commands))

    def sysctl(self, **settings) -> None:
        """`sysctl(net_ipv4_ip_forward=1)`; interface names with dots are not supported."""
        with self.inside():
            for name, value in settings.items():
                _write_sysctl(name, value)

    def spawn(self, name: str, *argv, env=None) -> Process:
        """Starts a command in a session of its own, so that Ctrl-C reaches only the laboratory."""
        log_path = self.lab_path(f"{name}.log")
        with open(log_path, "wb") as log:
            child = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                                     preexec_fn=self._enter,
                                     env=None if env is None else {**os.environ, **env})
        return self._track(name, child.pid, log_path, child)

    def fork(self, name: str, function, *args) -> Process:
        """Runs a Python function in a process of its own on this node."""
        log_path = self.lab_path(f"{name}.log")
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        pid = os.fork()
        if pid == 0:
            _become(self, f"{self.name}:{name}", log, function, args)
        os.close(log)
        return self._track(name, pid, log_path, None)

    def _track(self, name, pid, log_path, popen) -> Process:
        process = Process(f"{name} on {self.name}", pid, log_path)
        if popen is not None:
            popen.returncode = 0  # Process waits for it; subprocess must not.
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Ends every process of the node; its interfaces go with it."""
        for process in self.processes:
            process.kill()
        os.kill(self.holder, signal.SIGKILL)
        os.waitpid(self.holder, 0)
        os.close(self._net)
        os.close(self._mount)

    def mac(self, interface: str) -> str:
        return self.json("ip", "-j", "link", "show", "dev", interface)[0]["address"]

    def received_bytes(self, interface: str) -> int:
        stats = self.json("ip", "-j", "-s", "link", "show", "dev", interface)[0]["stats64"]
        return stats["rx"]["bytes"]


def _write_sysctl(name: str, value) -> None:
    """`net_ipv4_conf_all_rp_filter` -> net/ipv4/conf/all/rp_filter."""
    base = pathlib.Path("/proc/sys")
    words = name.split("_")
    while words:
        for count in range(len(words), 0, -1):
            path = base / "_".join(words[:count])
            if path.exists():
                base, words = path, words[count:]
                break
        else:
            raise LabError(f"no such sysctl: {name}")
    base.write_text(f"{value}\n")


def _hold(name: str, done: int) -> None:
    """The process that keeps a node's namespaces; never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        syscalls.set_process_name(f"lab:{name}")
        syscalls.unshare(syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS)
        syscalls.mount("sysfs", "/sys")
        syscalls.mount("bpf", "/sys/fs/bpf", "mode=0755")
        os.makedirs("/run/sluice", exist_ok=True)
        syscalls.mount("tmpfs", "/run/sluice", "mode=0755")
        for setting, value in (("ipv6_conf_all_accept_dad", 0), ("ipv6_conf_default_accept_dad", 0),
                               ("ipv6_conf_default_router_solicitations", 0)):
            _write_sysctl("net_" + setting, value)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        os.write(done, b"ok")
    except Exception as error:  # pylint: disable=broad-except
        os.write(done, str(error).encode())
        os._exit(1)
    os.close(done)
    while True:
        signal.pause()


def _become(node: Node, name: str, log: int, function, args) -> None:
    """Turns a forked child into a process of the node that runs `function`; never returns."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        syscalls.set_process_name(name)
        os.dup2(log, 1)
        os.dup2(log, 2)
        node._enter()  # pylint: disable=protected-access
        function(*args)
        status = 0
    except BaseException:  # pylint: disable=broad-except
        import traceback
        os.write(2, traceback.format_exc().encode())
    os._exit(status)


class Lab:
    """All nodes and cables of one run."""

    def __init__(self):
        ROOT.mkdir(parents=True, exist_ok=True)
        require(shutil.which("ip"), "ip(8) is missing", "apt-get install iproute2")
        require(shutil.which("ethtool"), "ethtool(8) is missing", "apt-get install ethtool")
        self.nodes = {}
        self._xdp_links = []
        self._pass = xdp.load_pass()

    def node(self, name: str) -> Node:
        self.nodes[name] = Node(name)
        return self.nodes[name]

    def link(self, a: Node, a_name: str, b: Node, b_name: str, mtu: int = 1500) -> None:
        """A cable between two nodes: both ends up, without offloads."""
        made = subprocess.run(["ip", "link", "add", "name", a_name, "netns", str(a.holder), "mtu",
                               str(mtu), "type", "veth", "peer", "name", b_name, "netns",
                               str(b.holder), "mtu", str(mtu)],
                              capture_output=True, text=True, check=False)
        require(made.returncode == 0, f"no veth: {made.stderr.strip()}", "modprobe veth")
        for node, name in ((a, a_name), (b, b_name)):
            node.run("ethtool", "-K", name, *_PLAIN_ETHERNET)
            node.ip(f"link set dev {name} up")

    def pass_xdp(self, node: Node, interface: str) -> None:
        """A program that passes everything: what the other end of a veth needs for XDP_TX."""
        with node.inside():
            self._xdp_links.append(xdp.attach(self._pass, interface))

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()
        for descriptor in (*self._xdp_links, self._pass):
            os.close(descriptor)

    def processes(self):
        return [process for node in self.nodes.values() for process in node.processes]
