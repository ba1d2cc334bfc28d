# SPDX-License-Identifier: Apache-2.0
"""Debian's own kernel for the emulated machine: obtained by package name, unpacked once.

The package that `linux-image-amd64` depends on is the oldest supported kernel (docs/kernels.md).
It is kept in build/vm; what is there is used without asking any package source again, so a second
run works offline. Nothing is installed.
"""

import re
import shutil
import subprocess
from pathlib import Path

META_PACKAGE = "linux-image-amd64"

# Folders of the package that hold a module we might load, so that not all of it is unpacked.
UNPACKED = ("boot", "lib/modules/*/kernel/net", "lib/modules/*/kernel/lib",
            "lib/modules/*/kernel/crypto", "lib/modules/*/kernel/arch",
            "lib/modules/*/kernel/fs/configfs", "lib/modules/*/kernel/fs/nls",
            "lib/modules/*/kernel/drivers/net", "lib/modules/*/kernel/drivers/virtio",
            "lib/modules/*/modules.builtin*")


class KernelError(Exception):
    """The kernel could not be obtained; the text says why and what helps."""


def package_name():
    """The real package behind the meta package, for example linux-image-6.1.0-56-amd64."""
    told = subprocess.run(["apt-cache", "depends", META_PACKAGE], capture_output=True, text=True)
    match = re.search(r"Depends:\s*(linux-image-\S+)", told.stdout)
    return match.group(1) if match else None


def newest_unpacked(cache):
    """The unpacked kernel of an earlier run, or None."""
    done = sorted(cache.glob("linux-image-*/.complete"), key=lambda mark: mark.stat().st_mtime)
    return done[-1].parent if done else None


def download(name, cache):
    """Fetches the package `name` into `cache` and returns its path."""
    for refresh in (False, True):
        if refresh:
            subprocess.run(["apt-get", "update", "-q"], capture_output=True)
        got = subprocess.run(["apt-get", "download", "-q", name], cwd=cache,
                             capture_output=True, text=True)
        found = sorted(cache.glob(f"{name}_*.deb"))
        if got.returncode == 0 and found:
            return found[-1]
    raise KernelError(f"apt-get download {name}: {got.stderr.strip()}\n"
                      "hint: run `apt-get update` as root, then try again")


def unpack(package, target):
    """Unpacks what UNPACKED names; a half-unpacked folder never looks complete."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    patterns = [f"./{pattern}" for pattern in UNPACKED]
    stream = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", target, "--no-same-owner", "--wildcards", *patterns],
                   stdin=stream.stdout, check=True)
    stream.stdout.close()
    if stream.wait() != 0:
        raise KernelError(f"dpkg-deb could not read {package}\nhint: delete it and try again")
    (target / ".complete").touch()


class Kernel:
    """An unpacked kernel package."""

    def __init__(self, folder):
        self.folder = folder
        self.image = next(folder.glob("boot/vmlinuz-*"))
        self.release = self.image.name[len("vmlinuz-"):]
        self.modules_root = folder / "lib/modules" / self.release
        self._files = {path.stem.replace("-", "_"): path
                       for path in self.modules_root.rglob("*.ko")}
        self._builtin = {Path(line).stem.replace("-", "_") for line in
                         (self.modules_root / "modules.builtin").read_text().split()}

    @staticmethod
    def modinfo(path, field):
        """All values of one field of a module's .modinfo section."""
        data = path.read_bytes()
        return [value.decode() for value in
                re.findall(rb"\0" + field.encode() + rb"=([^\0]*)", data)]

    def closure(self, names):
        """{module: (path, [modules it needs])} for `names` and everything they need."""
        found = {}
        wanted = [name.replace("-", "_") for name in names]
        while wanted:
            name = wanted.pop()
            if name in found or name in self._builtin:
                continue
            if name not in self._files:
                raise KernelError(f"{self.release} has no module {name}")
            path = self._files[name]
            needs = [need.replace("-", "_") for need in
                     ",".join(self.modinfo(path, "depends")).split(",") if need]
            found[name] = (path, [need for need in needs if need not in self._builtin])
            wanted += needs
        return found


def obtain(cache):
    """The kernel, downloaded and unpacked when it is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    name = package_name()
    if name is None:
        earlier = newest_unpacked(cache)
        if earlier is None:
            raise KernelError(f"apt-cache does not know {META_PACKAGE}\n"
                              "hint: run `apt-get update` as root, then try again")
        return Kernel(earlier)
    target = cache / name
    if not (target / ".complete").exists():
        unpack(download(name, cache), target)
    return Kernel(target)
