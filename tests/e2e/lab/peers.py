# SPDX-License-Identifier: Apache-2.0
"""Servers and clients of the laboratory.

A server answers on every address of its node, so on each VIP as well:
  TCP 80        HTTP/1.1: who it is, one connection per request
  TCP 7000      rounds of checked bulk transfer, any number on one connection
  UDP 7         echo, from the address that was asked, prefixed with who it is
One round of bulk, all integers big-endian:
  client: u64 bytes up, u64 bytes down, the bytes up
  server: SHA-256 of what it received, 16 bytes of name, the bytes down, SHA-256 of what it sent
"""

import ctypes
import hashlib
import http.server
import json
import os
import random
import select
import socket
import socketserver
import struct
import threading
import time

HTTP_PORT, BULK_PORT, ECHO_PORT = 80, 7000, 7
_CHUNK = 1 << 18
_NAME_LEN = 16
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50


class _Chunks:
    """The same bytes for the same seed; no two chunks of a transfer are equal."""

    def __init__(self, seed: int):
        self._block = random.Random(seed).randbytes(_CHUNK)

    def of(self, total: int):
        sent = 0
        while sent < total:
            size = min(_CHUNK, total - sent)
            yield (struct.pack("!Q", sent) + self._block)[:size]
            sent += size


def _receive(sock: socket.socket, size: int) -> bytes:
    return b"".join(_stream(sock, size))


def _stream(sock: socket.socket, size: int):
    while size:
        data = sock.recv(min(size, _CHUNK))
        if not data:
            raise ConnectionError(f"connection ended, {size} bytes were missing")
        size -= len(data)
        yield data


def _digest(chunks) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _send(sock: socket.socket, chunks):
    for chunk in chunks:
        sock.sendall(chunk)
        yield chunk


class _Http(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        body = f"{self.server.who}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


class _Bulk(socketserver.BaseRequestHandler):
    def handle(self):
        chunks = _Chunks(1)
        while True:
            header = self.request.recv(16, socket.MSG_WAITALL)
            if len(header) < 16:
                return
            up, down = struct.unpack("!QQ", header)
            digest = _digest(_stream(self.request, up))
            self.request.sendall(digest + self.server.who.encode().ljust(_NAME_LEN, b"\0"))
            self.request.sendall(_digest(_send(self.request, chunks.of(down))))


class _Server(socketserver.ThreadingTCPServer):
    """Listens on both families, without looking up names."""

    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler, who: str):
        self.who = who
        super().__init__(("::", port), handler)

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(self.server_address)

    def handle_error(self, request, client_address):
        pass  # A client that went away is no event.


def _echo(family: int, who: str) -> None:
    """Answers each datagram from the address that it was sent to."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", ECHO_PORT))
    while True:
        data, control, _, sender = sock.recvmsg(65536, 256)
        level, kind, info = control[0]
        if family == socket.AF_INET6:
            info = info[:16] + bytes(4)  # in6_pktinfo: address, any interface
        else:
            info = bytes(4) + info[8:12] + bytes(4)  # in_pktinfo: from where the question went to
        sock.sendmsg([who.encode() + b" ", data], [(level, kind, info)], 0, sender)


def serve(who: str) -> None:
    """All servers of one node; never returns."""
    threading.excepthook = lambda args: os.write(2, f"{args.exc_value!r}\n".encode())
    servers = [_Server(HTTP_PORT, _Http, who), _Server(BULK_PORT, _Bulk, who)]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    threads += [threading.Thread(target=_echo, args=(family, who))
                for family in (socket.AF_INET, socket.AF_INET6)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()


def connect(address: str, port: int, seconds: float = 10.0, mss: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(seconds)
    if mss:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    try:
        sock.connect((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def bulk_round(sock: socket.socket, up: int, down: int, seed: int = 0) -> str:
    """One round on an open connection; the server's name. ValueError if a digest differs."""
    sock.sendall(struct.pack("!QQ", up, down))
    sent = _digest(_send(sock, _Chunks(seed).of(up)))
    if _receive(sock, 32) != sent:
        raise ValueError("the server received other bytes than were sent")
    name = _receive(sock, _NAME_LEN).rstrip(b"\0").decode()
    received = _digest(_stream(sock, down))
    if _receive(sock, 32) != received:
        raise ValueError("other bytes arrived than the server sent")
    return name


def http_get(address: str, seconds: float = 5.0, port: int = HTTP_PORT) -> str:
    """Who answers a request on a connection of its own."""
    host = f"[{address}]" if ":" in address else address
    with connect(address, port, seconds) as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := sock.recv(4096):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.0 200") and not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(f"unexpected answer {head[:60]!r}")
    return body.decode().strip()


def udp_echo(address: str, payload: bytes, seconds: float = 2.0, port: int = ECHO_PORT) -> str:
    """Who answers a datagram; ValueError if it is not the same datagram from the same address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        sock.connect((address, port))  # Connected: an answer from another address is not accepted.
        sock.send(payload)
        name, _, answer = sock.recv(65536).partition(b" ")
    if answer != payload:
        raise ValueError(f"echo of {len(payload)} bytes came back changed")
    return name.decode()


def answerers(ask, expected: set, tries: int = 120) -> set:
    """Who answers `ask()`: until everybody in `expected` has, or the tries are
    over. A fair ring leaves one of four out of 120 answers once in 10^15 runs."""
    seen = set()
    for _ in range(tries):
        seen.add(ask())
        if seen >= expected:
            break
    return seen


class Conversation:
    """A connection that keeps transferring in the background until `finish`."""

    def __init__(self, node, address: str, up: int = 200_000, down: int = 200_000):
        self._keep_going, self._stop = os.pipe()
        self._result = node.lab_path("conversation")
        self._progress = self._result.with_suffix(".rounds")
        self._process = node.fork("conversation", self._talk, address, up, down)

    def rounds(self) -> int:
        """Rounds completed so far."""
        return self._progress.stat().st_size if self._progress.exists() else 0

    def finish(self) -> dict:
        """Ends after the round at hand: {rounds, server, error, longest_s}."""
        os.write(self._stop, b".")
        self._process.wait(30)
        os.close(self._stop)
        os.close(self._keep_going)
        return json.loads(self._result.read_text())

    def _talk(self, address: str, up: int, down: int) -> None:
        report = {"rounds": 0, "server": None, "error": None, "longest_s": 0.0}
        try:
            with connect(address, BULK_PORT) as sock, open(self._progress, "ab", 0) as progress:
                while not select.select([self._keep_going], [], [], 0)[0]:
                    began = time.monotonic()
                    server = bulk_round(sock, up, down)
                    report["longest_s"] = max(report["longest_s"], time.monotonic() - began)
                    if report["server"] not in (None, server):
                        raise ValueError(f"server changed from {report['server']} to {server}")
                    report["server"] = server
                    report["rounds"] += 1
                    progress.write(b".")
        except (OSError, ValueError) as error:
            report["error"] = f"{type(error).__name__}: {error}"
        self._result.write_text(json.dumps(report))


class Tap:
    """Counts frames on an interface whose outermost IP header has that source, in the kernel."""

    def __init__(self, node, interface: str, source: str):
        is_ip6 = ":" in source
        words = struct.unpack("!4I" if is_ip6 else "!I", socket.inet_pton(
            socket.AF_INET6 if is_ip6 else socket.AF_INET, source))
        tests = [(0x28, 12, 0x86dd if is_ip6 else 0x0800)]  # ldh [12]: Ethernet type
        tests += [(0x20, (22 if is_ip6 else 26) + 4 * i, word) for i, word in enumerate(words)]
        code = []
        for i, (load, offset, value) in enumerate(tests):
            code.append((load, 0, 0, offset))
            code.append((0x15, 0, 2 * (len(tests) - i) - 1, value))  # differs: to the last line
        code += [(0x06, 0, 0, 0xffff), (0x06, 0, 0, 0)]
        program = b"".join(struct.pack("HBBI", *line) for line in code)
        buffer = ctypes.create_string_buffer(program, len(program))
        with node.inside():
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._sock.setsockopt(socket.SOL_SOCKET, 26,  # SO_ATTACH_FILTER
                                  struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer)))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
            self._sock.bind((interface, 3))  # ETH_P_ALL
        self._frames = 0

    def frames(self) -> int:
        """Frames so far, also those that nobody read."""
        packets, _drops = struct.unpack("II", self._sock.getsockopt(263, 6, 8))  # PACKET_STATISTICS
        self._frames += packets
        return self._frames

    def close(self) -> None:
        self._sock.close()
