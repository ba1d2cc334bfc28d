# SPDX-License-Identifier: Apache-2.0
"""A laboratory of network namespaces in which Sluice runs with real clients and servers.

isolation.py   one private world per run, which the kernel itself takes away
node.py        machines (Node), cables (Lab.link), processes (Process)
xdp.py         small XDP programs loaded without a compiler: pass, count
peers.py       servers and clients: HTTP, checked bulk transfers, UDP echo
rack.py        client - router - switch - servers, with sluiced and agents on them
town.py        many clients, one balancer, backends, floods, with every byte checked
counted.py     numbered packets, counted at both ends
api.py         the HTTP API of a node's sluiced
faults.py      kills a process at a chosen system call, or lets that fail
instance.py    what of Sluice is pinned on a node
yaml_text.py   values to YAML, for generated configurations
"""
