# SPDX-License-Identifier: Apache-2.0
"""The demonstration's client: counted requests, and a steady stream of them."""

import collections
import shutil
import socket
import time

from lab import peers


def ask(client, vip: str, count: int) -> collections.Counter:
    """Who answered `count` requests, each on a connection of its own; by curl, if there is one."""
    host = f"[{vip}]" if ":" in vip else vip
    if shutil.which("curl"):
        done = client.run("curl", "--silent", "--show-error", "--max-time", "10", "--no-keepalive",
                          f"http://{host}/?[1-{count}]", check=False)
        return collections.Counter(line for line in done.stdout.split("\n")
                                   if line and not line.startswith("--_curl_--"))
    with client.inside():
        return collections.Counter(_answer(vip) for _ in range(count))


def _answer(vip: str) -> str:
    try:
        return peers.http_get(vip)
    except (OSError, ValueError) as error:
        return f"error: {error}"


def stream(vips: list, tally, failures: str) -> None:
    """About 60 requests a second to all VIPs in turn, and now and then something that is dropped or
    answered by Sluice itself. Never returns."""
    number = 0
    while True:
        for vip in vips:
            number += 1
            try:
                tally.add(peers.http_get(vip, seconds=2))
            except (OSError, ValueError):
                tally.add(failures)
            if number % 20 == 0:
                _knock(vip, 81)
            time.sleep(0.015)


def _knock(vip: str, port: int) -> None:
    """A connection attempt to a port that no service has; nobody waits for the answer."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.connect_ex((vip, port))
