# SPDX-License-Identifier: Apache-2.0
"""Small XDP programs, written as instructions and loaded without a compiler or libbpf."""

import ctypes
import os
import platform
import socket
import struct

from . import syscalls

_SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)

_MAP_CREATE, _MAP_LOOKUP_ELEM, _PROG_LOAD, _OBJ_PIN = 0, 1, 5, 6
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


def _load(name: str, program: bytes) -> int:
    """A descriptor of the loaded program."""
    code = ctypes.create_string_buffer(program, len(program))
    license_text = ctypes.create_string_buffer(b"GPL")
    return _bpf(_PROG_LOAD, struct.pack(
        "<IIQQIIQII16sII", _PROG_TYPE_XDP, len(program) // 8, ctypes.addressof(code),
        ctypes.addressof(license_text), 0, 0, 0, 0, _XDP_HAS_FRAGS, name.encode(), 0, _ATTACH_XDP))


def load_pass(name: str = "lab_pass") -> int:
    """A program that lets everything through to Linux."""
    return _load(name, _insn(0xb7, dst=0, imm=XDP_PASS) + _insn(0x95))


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
