# SPDX-License-Identifier: Apache-2.0
"""What of a node's Sluice lives in the kernel, read from its pins through the node's mount namespace.

Only what is pinned is opened, and nothing while it may be taken away: see `xdp.alive`.
"""

import os

from . import xdp
from .node import Node

BPFFS = "/sys/fs/bpf/sluice"


class Instance:
    def __init__(self, node: Node, name: str = "default"):
        self._root = f"/proc/{node.holder}/root{BPFFS}/{name}"

    def path(self, *parts: str) -> str:
        return "/".join((self._root, *parts))

    def pins(self) -> set:
        """Paths below the instance's directory."""
        return {os.path.relpath(os.path.join(directory, name), self._root)
                for directory, _, names in os.walk(self._root) for name in names}

    def generations(self) -> list:
        """Numbers of those that are pinned, ascending."""
        return sorted(int(name) for name in _names(self.path("gen")) if name.isdigit())

    def live_program(self, slot: int = 0) -> int:
        """Id of the program that packets go to; 0: none."""
        return xdp.read_u32(self.path("root/slc_root_progs"), slot)

    def objects(self) -> set:
        """(kind, id) of everything pinned."""
        return xdp.pinned_ids(self.path(pin) for pin in self.pins())

    def links(self) -> dict:
        """Interface -> id of the link that is pinned for it."""
        prefix = "link_"
        return {name[len(prefix):]: xdp.pinned_ids([self.path("root", name)])
                for name in _names(self.path("root")) if name.startswith(prefix)}


def _names(directory: str) -> list:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
