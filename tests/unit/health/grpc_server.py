#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real gRPC server with the health service: grpc_server.py PORT [CERTIFICATE KEY [CLIENT_CA]].

It knows "" and "up" (serving), "down" (not serving) and "slow", which answers when its client has
gone; any other name is NOT_FOUND. With the port's environment GRPC_EMPTY=1 it has no health service.
"""

import os
import sys
import threading
from concurrent import futures

import grpc

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


def check(request, context):
    name = request[2:].decode() if request else ""
    if name == "slow":
        gone = threading.Event()
        if context.add_callback(gone.set):
            gone.wait()
        return SERVING
    answers = {"": SERVING, "up": SERVING, "down": NOT_SERVING}
    if name not in answers:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no service {name}")
    return answers[name]


def main(port, certificate=None, key=None, client_ca=None):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    if not os.environ.get("GRPC_EMPTY"):
        handler = grpc.unary_unary_rpc_method_handler(check)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health", {"Check": handler}),))
    address = f"127.0.0.1:{port}"
    if certificate:
        def read(path):
            with open(path, "rb") as file:
                return file.read()
        server.add_secure_port(address, grpc.ssl_server_credentials(
            [(read(key), read(certificate))], read(client_ca) if client_ca else None,
            bool(client_ca)))
    else:
        server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
