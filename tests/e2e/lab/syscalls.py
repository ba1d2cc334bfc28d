# SPDX-License-Identifier: Apache-2.0
"""The system calls that Python's standard library of Debian 12 does not have."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(what: str, result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def unshare(flags: int) -> None:
    _checked("unshare", _libc.unshare(flags))


def setns(fd: int, kind: int) -> None:
    _checked("setns", _libc.setns(fd, kind))


def mount(kind: str, target: str, options: str = "") -> None:
    """Mounts a new file system of that kind."""
    _checked(f"mount {kind} on {target}",
             _libc.mount(kind.encode(), target.encode(), kind.encode(), 0,
                         options.encode() or None))


def make_mounts_private() -> None:
    """From here on nothing that is mounted shows outside of this mount namespace."""
    _checked("mount --make-rprivate /", _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None))


def die_with_parent(signal_number: int) -> None:
    _checked("prctl", _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0))


def set_process_name(name: str) -> None:
    """What ps and /proc/PID/comm show; the kernel keeps 15 bytes."""
    _checked("prctl", _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0))


def syscall(number: int, *args) -> int:
    return _checked(f"syscall {number}", _libc.syscall(number, *args))
