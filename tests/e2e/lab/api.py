# SPDX-License-Identifier: Apache-2.0
"""The HTTP API of a node's sluiced, asked by the laboratory itself: its socket is reached through the
node's mount namespace, so that no process has to be started for each question.
"""

import http.client
import json
import select
import socket
import urllib.parse

from .node import LabError, Node

SOCKET = "/run/sluice/sluice.sock"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float):
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Refused(Exception):
    """The daemon said no: `status`, what it says in `what`, and its `hint`."""

    def __init__(self, status: int, body: dict):
        self.status = status
        self.what = body.get("message", "")
        self.hint = body.get("hint", "")
        super().__init__(f"{status}: {self.what} ({self.hint})")


class Gone(Exception):
    """Nobody is there, or went away before the answer was whole."""


class Api:
    """One connection for all questions, made when it is needed. Nothing is asked twice: who gets
    Gone does not know whether he was heard."""

    def __init__(self, node: Node, socket_path: str = SOCKET, seconds: float = 180.0):
        self._path = f"/proc/{node.holder}/root{socket_path}"
        self._seconds = seconds
        self._connection = None

    def ask(self, method: str, path: str, body=None) -> tuple:
        """(status, text); Gone when nobody answers."""
        try:
            return self._exchange(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Gone(f"{method} {path}: {error!r}") from error

    def _exchange(self, method: str, path: str, body) -> tuple:
        # The daemon closes what was silent for long; nothing else is to be read now.
        if self._connection is not None and select.select([self._connection.sock], [], [], 0)[0]:
            self.close()
        if self._connection is None:
            self._connection = _Connection(self._path, self._seconds)
            self._connection.connect()
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text,
                                 {} if text is None else {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def json(self, method: str, path: str, body=None) -> dict:
        """The answer; Refused with any other status than one of success."""
        status, text = self.ask(method, path, body)
        try:
            value = json.loads(text) if text else {}
        except json.JSONDecodeError as error:
            raise LabError(f"{method} {path}: {status}, no JSON: {text[:200]}") from error
        if status >= 300:
            raise Refused(status, value)
        return value

    def get(self, path: str) -> dict:
        return self.json("GET", path)

    def post(self, path: str, body=None) -> dict:
        return self.json("POST", path, body)

    def order(self, backend: str, **what) -> dict:
        """`order("web/10.0.0.11", state="drain")`."""
        return self.json("PATCH", f"/api/v1/backends/{urllib.parse.quote(backend)}", what)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
