# SPDX-License-Identifier: Apache-2.0
"""Small XDP programs, written as instructions and loaded without a compiler or libbpf."""

import ctypes
import json
import os
import platform
import socket
import struct

from . import syscalls

_SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)

_MAP_CREATE, _MAP_LOOKUP_ELEM, _PROG_LOAD, _OBJ_PIN, _OBJ_GET = 0, 1, 5, 6, 7
_NEXT_ID = {"prog": 11, "map": 12, "link": 31}  # BPF_*_GET_NEXT_ID
_LINK_CREATE, _LINK_DETACH = 28, 34
_MAP_TYPE_ARRAY = 2
_PROG_TYPE_XDP = 6
_XDP_HAS_FRAGS = 1 << 5  # Multi-buffer: needed for jumbo frames and for sharing a program array.
_ATTACH_XDP = 37
_PSEUDO_MAP_FD = 1
_HELPER_MAP_LOOKUP = 1
XDP_DROP, XDP_PASS = 1, 2


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return syscalls.syscall(_SYS_BPF, command, ctypes.byref(buffer), len(buffer))


def _insn(code: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> bytes:
    return struct.pack("<BBhi", code, dst | src << 4, off, imm)


def _load(name: str, program: bytes, flags: int = _XDP_HAS_FRAGS) -> int:
    """A descriptor of the loaded program."""
    code = ctypes.create_string_buffer(program, len(program))
    license_text = ctypes.create_string_buffer(b"GPL")
    return _bpf(_PROG_LOAD, struct.pack(
        "<IIQQIIQII16sII", _PROG_TYPE_XDP, len(program) // 8, ctypes.addressof(code),
        ctypes.addressof(license_text), 0, 0, 0, 0, flags, name.encode(), 0, _ATTACH_XDP))


def load_pass(name: str = "lab_pass", frags: bool = True) -> int:
    """A program that lets everything through to Linux."""
    return _load(name, _insn(0xb7, dst=0, imm=XDP_PASS) + _insn(0x95),
                 _XDP_HAS_FRAGS if frags else 0)


class CountingProgram:
    """Counts the packets it sees, then returns `action`."""

    def __init__(self, name: str = "lab_count", action: int = XDP_PASS):
        self.map = _bpf(_MAP_CREATE, struct.pack("<IIIII", _MAP_TYPE_ARRAY, 4, 8, 1, 0))
        self.fd = _load(name, b"".join((
            _insn(0x62, dst=10, off=-4, imm=0),                      # *(u32 *)(r10 - 4) = 0
            _insn(0xbf, dst=2, src=10), _insn(0x07, dst=2, imm=-4),  # r2 = r10 - 4
            _insn(0x18, dst=1, src=_PSEUDO_MAP_FD, imm=self.map), _insn(0),
            _insn(0x85, imm=_HELPER_MAP_LOOKUP),
            _insn(0x15, dst=0, off=2),                               # if !r0 skip the count
            _insn(0xb7, dst=1, imm=1),
            _insn(0xdb, dst=0, src=1),                               # lock *(u64 *)r0 += 1
            _insn(0xb7, dst=0, imm=action), _insn(0x95))))

    def count(self) -> int:
        key = ctypes.c_uint32(0)
        value = ctypes.c_uint64(0)
        _bpf(_MAP_LOOKUP_ELEM, struct.pack("<IxxxxQQQ", self.map, ctypes.addressof(key),
                                           ctypes.addressof(value), 0))
        return value.value


def load_bouncer(vip: str, destination_mac: str, source_mac: str) -> int:
    """Sends IPv4 packets for `vip` back out of their interface to another MAC address (XDP_TX):
    the least that a balancer does."""
    def words(mac: str) -> tuple:
        return struct.unpack("<iH", bytes.fromhex(mac.replace(":", "")))
    low, high = words(destination_mac)
    source = bytes.fromhex(source_mac.replace(":", ""))
    source_low, source_high = struct.unpack("<Hi", source)
    (address,) = struct.unpack("<i", socket.inet_aton(vip))
    return _load("lab_bouncer", b"".join((
        _insn(0x61, dst=2, src=1, off=0), _insn(0x61, dst=3, src=1, off=4),  # data, data_end
        _insn(0xbf, dst=4, src=2), _insn(0x07, dst=4, imm=34),
        _insn(0x2d, dst=4, src=3, off=10),                # shorter than Ethernet and IPv4: pass
        _insn(0x69, dst=5, src=2, off=12), _insn(0x55, dst=5, off=8, imm=0x0008),
        _insn(0x61, dst=5, src=2, off=30), _insn(0x56, dst=5, off=6, imm=address),
        _insn(0x62, dst=2, off=0, imm=low), _insn(0x6a, dst=2, off=4, imm=high),
        _insn(0x6a, dst=2, off=6, imm=source_low), _insn(0x62, dst=2, off=8, imm=source_high),
        _insn(0xb7, dst=0, imm=3), _insn(0x95),
        _insn(0xb7, dst=0, imm=XDP_PASS), _insn(0x95))))


def attach(program: int, interface: str) -> int:
    """Attaches in the network namespace at hand; the link lives as long as its descriptor."""
    return _bpf(_LINK_CREATE, struct.pack("<IIII", program, socket.if_nametoindex(interface),
                                          _ATTACH_XDP, 0))


def detach(link: int) -> None:
    """Takes the program off, also when other processes hold the link, and closes the descriptor."""
    _bpf(_LINK_DETACH, struct.pack("<I", link))
    os.close(link)


def pin(descriptor: int, path: str) -> None:
    name = ctypes.create_string_buffer(os.fsencode(path))
    _bpf(_OBJ_PIN, struct.pack("<QII", ctypes.addressof(name), descriptor, 0))


def _id_of(fdinfo: str):
    """("map", 12) from what the kernel says of a descriptor; None if it is no BPF object."""
    fields = dict(line.split(":\t", 1) for line in fdinfo.splitlines() if ":\t" in line)
    for kind in ("link", "prog", "map"):  # A link names its program, too.
        if f"{kind}_id" in fields:
            return kind, int(fields[f"{kind}_id"])
    return None


def ids_of(pid) -> set:
    """The BPF objects that a process holds."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as file:
                found.add(_id_of(file.read()))
        except FileNotFoundError:
            continue  # Closed meanwhile; the directory's own descriptor always is.
    return found - {None}


def print_ids_below(directory: str) -> None:
    """Prints, as JSON, the BPF objects that are pinned below a directory."""
    inherited = ids_of("self")
    for path, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".debug"):
                continue
            _open_pin(os.path.join(path, name))
    print(json.dumps(sorted(ids_of("self") - inherited)), flush=True)


def pinned_ids(paths) -> set:
    """The BPF objects that are pinned there."""
    found = set()
    for path in paths:
        descriptor = _open_pin(path)
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            found.add(_id_of(file.read()))
        os.close(descriptor)
    return found - {None}


def read_u32(path: str, key: int) -> int:
    """A value of a pinned map of numbers, of a program array the program's id; 0: none."""
    descriptor = _open_pin(path)
    index, value = ctypes.c_uint32(key), ctypes.c_uint32(0)
    try:
        _bpf(_MAP_LOOKUP_ELEM, struct.pack("<IxxxxQQQ", descriptor, ctypes.addressof(index),
                                           ctypes.addressof(value), 0))
    except FileNotFoundError:
        return 0
    finally:
        os.close(descriptor)
    return value.value


def _open_pin(path: str) -> int:
    text = ctypes.create_string_buffer(os.fsencode(path))
    return _bpf(_OBJ_GET, struct.pack("<Q", ctypes.addressof(text)))


def alive(ids) -> set:
    """Those of these BPF objects that still exist.

    Walks ids and opens nothing: a program array that is opened and closed again while it is being
    cleared loses count of its references (prog_array_map_clear in Linux) and stays for ever."""
    existing = {kind: _existing(kind) for kind in _NEXT_ID}
    return {(kind, number) for kind, number in ids if number in existing[kind]}


def _existing(kind: str) -> set:
    found = set()
    number = 0
    while True:
        buffer = ctypes.create_string_buffer(struct.pack("<III", number, 0, 0), 128)
        try:
            syscalls.syscall(_SYS_BPF, _NEXT_ID[kind], ctypes.byref(buffer), len(buffer))
        except FileNotFoundError:
            return found
        (number,) = struct.unpack_from("<I", buffer, 4)
        found.add(number)
