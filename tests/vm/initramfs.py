# SPDX-License-Identifier: Apache-2.0
"""A root file system for the emulated machine, as one cpio archive ("newc" format).

Files keep the absolute path that they have on the machine that built them, so that a test finds its
data, and a binary its build folder, without being told. Shared libraries come along by `ldd`.
"""

import os
import re
import stat
import subprocess
from pathlib import Path

TOOLS = ("bash", "ip", "ethtool", "bridge", "tc", "bpftool")
SEARCH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


class MissingTool(Exception):
    """A program that the guest needs is not installed here."""


def find_tool(name):
    for folder in SEARCH:
        if os.access(f"{folder}/{name}", os.X_OK):
            return Path(folder) / name
    raise MissingTool(f"{name} is not installed\nhint: ./dev setup installs what the tests need")


EM_BPF = 247


def is_program(path):
    """Whether it is an ELF file for a processor: a program or a library, not a BPF object."""
    with open(path, "rb") as file:
        head = file.read(20)
    return head[:4] == b"\x7fELF" and int.from_bytes(head[18:20], "little") != EM_BPF


def libraries(path):
    """Absolute paths of the shared libraries of an ELF file; none for a static one."""
    told = subprocess.run(["ldd", path], capture_output=True, text=True)
    missing = re.search(r"(\S+) => not found", told.stdout)
    if missing:
        raise MissingTool(f"{path} needs {missing.group(1)}, which is not here")
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", told.stdout)]


def stripped(path, cache):
    """Contents of an ELF file without what only debuggers read, which the guest has no memory for."""
    info = path.stat()
    copy = cache / f"{path.name}-{info.st_ino}-{info.st_size}-{info.st_mtime_ns}"
    if not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for stale in cache.glob(f"{path.name}-{info.st_ino}-*"):
            stale.unlink(missing_ok=True)
        partial = copy.with_suffix(f".{os.getpid()}")
        subprocess.run(["strip", "--strip-all", "-o", partial, path], check=True)
        partial.rename(copy)
    return copy.read_bytes()


class Archive:
    """Collects files in memory-light order and writes the archive at the end."""

    def __init__(self, cache):
        self._cache = cache
        self._entries = {}  # path in the guest -> (mode, bytes, device)

    def _parents(self, path):
        for parent in reversed(Path(path).parents):
            if str(parent) != "/":
                self._entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b"", (0, 0)))

    def folder(self, path):
        self._parents(Path(path) / "x")

    def data(self, path, content, mode=0o644):
        self._parents(path)
        self._entries[str(path)] = (stat.S_IFREG | mode, content, (0, 0))

    def link(self, path, target):
        self._parents(path)
        self._entries[str(path)] = (stat.S_IFLNK | 0o777, str(target).encode(), (0, 0))

    def character_device(self, path, major, minor):
        self._parents(path)
        self._entries[str(path)] = (stat.S_IFCHR | 0o600, b"", (major, minor))

    def file(self, source, path=None):
        """A file as it is; a program without debug information and with its libraries."""
        source = Path(source)
        path = str(path or source)
        if path in self._entries:
            return
        real = source.resolve()
        mode = stat.S_IMODE(real.stat().st_mode)
        if not is_program(real):
            self.data(path, real.read_bytes(), mode)
            return
        self.data(path, stripped(real, self._cache), mode)
        for library in libraries(real):
            self.file(library)

    def tool(self, name):
        self.file(find_tool(name))

    def write(self, target):
        partial = target.with_suffix(f".{os.getpid()}")
        with open(partial, "wb") as out:
            for number, path in enumerate(sorted(self._entries), start=1):
                self._record(out, number, path.lstrip("/"), *self._entries[path])
            self._record(out, 0, "TRAILER!!!", 0, b"", (0, 0))
        partial.rename(target)

    @staticmethod
    def _record(out, inode, name, mode, content, device):
        raw = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(content),
                  0, 0, *device, len(raw), 0)
        out.write(b"070701" + b"".join(b"%08x" % field for field in fields) + raw)
        out.write(b"\0" * (-out.tell() % 4))
        out.write(content)
        out.write(b"\0" * (-out.tell() % 4))


def add_modules(archive, kernel, names):
    """Modules and what they need, with the two indexes that busybox modprobe reads."""
    root = Path("/lib/modules") / kernel.release
    closure = kernel.closure(names)
    place = {name: path.relative_to(kernel.modules_root) for name, (path, _) in closure.items()}

    def load_order(name, done):
        for need in closure[name][1]:
            if need not in done:
                load_order(need, done)
                done.append(need)
        return done

    dependencies, aliases = [], []
    for name, (path, _) in sorted(closure.items()):
        archive.data(root / place[name], path.read_bytes())
        # modules.dep lists the last one to load first.
        chain = " ".join(str(place[need]) for need in reversed(load_order(name, [])))
        dependencies.append(f"{place[name]}: {chain}".rstrip())
        aliases += [f"alias {alias} {name}" for alias in kernel.modinfo(path, "alias")]
    archive.data(root / "modules.dep", ("\n".join(dependencies) + "\n").encode())
    archive.data(root / "modules.alias", ("\n".join(aliases) + "\n").encode())
    archive.data(root / "modules.builtin", (kernel.modules_root / "modules.builtin").read_bytes())
