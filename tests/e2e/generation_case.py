# SPDX-License-Identifier: Apache-2.0
"""What the tests of changed configurations share: a town under load, with a counter at both ends, and
looks at the same configuration from all sides: the daemon's answer, the kernel's tables, the pins.
"""

import contextlib

import flow_case
from lab import counted, rack, town, yaml_text
from lab.api import Api
from lab.instance import Instance
from lab.node import wait_for

LONG = flow_case.LONG
TALK, BRIEF_PER_S = (1000, 500) if LONG else (400, 200)
# Of each family: full speed leaves the processors little time for what is tested.
FULL, SOME = counted.FULL if LONG else 300_000, 300_000
LATER_VIP = rack.vip4(20)  # In no configuration at first.


class GenerationCase(flow_case.FlowCase):
    """A town whose configuration is changed through the API, as `sluice config` does it."""

    packets_per_s = SOME

    @classmethod
    def build(cls) -> None:
        super().build()
        cls.connect()

    @classmethod
    def connect(cls) -> None:
        """The other VIP, and the daemon's other sides."""
        for node in cls.town.backends.values():
            node.ip(f"addr add {LATER_VIP}/32 dev lo")
        cls.town.client_node.ip(f"route add {LATER_VIP} via {rack.BALANCER4}")
        cls.api = Api(cls.town.balancer.node)
        cls.instance = Instance(cls.town.balancer.node)

    # Load.

    @contextlib.contextmanager
    def load(self, **options):
        """Clients and numbered packets; at the end no packet may be missing, and no connection
        unless `judged` was set."""
        options = {"talk": TALK, "brief_per_s": BRIEF_PER_S, "silent": 50, "datagrams": 50} | options
        with self.clients(**options) as client, self.counted():
            yield client

    @contextlib.contextmanager
    def counted(self, **options):
        """Numbered packets; sent and arrived must be the same ones. Yields who counts."""
        counting = counted.Counted(self.town, **({"rate": self.packets_per_s} | options))
        wait_for(lambda: counting.sent() > 1000, "numbered packets", 10)
        self.packets = {}
        try:
            yield counting
        finally:
            self.packets = counting.finish()
        self.assertGreater(self.packets["sent"], 1000)
        self.assertEqual(self.packets["lost"], 0, f"{self.packets}\n{counting.queues()}")
        # The same ones, not only as many.
        self.assertTrue(self.packets["same"] or self.packets["queue_full"], self.packets)

    # Configurations.

    @classmethod
    def with_later(cls, number: int, document=None) -> dict:
        """A configuration in which one backend alone answers for the other VIP."""
        out = cls.document() if document is None else document
        out["groups"]["later"] = {"backends": [rack.backend4(number)]}
        out["services"].append({"name": "later", "vip": LATER_VIP, "protocol": "tcp",
                                "port": town.PORT, "forward": "l2", "group": "later",
                                "lifetimes": town.LIFETIMES})
        return out

    def later(self, source: str = "", seconds: float = 3.0) -> str:
        """Who answers for the other VIP; "": nobody."""
        return town.who_answers(self.town.client_node, LATER_VIP, source, seconds)

    # Changes.

    def post(self, what: str, **body) -> dict:
        """`post("apply", document=..., road="program")`: POST /api/v1/config/WHAT."""
        document = body.pop("document", None)
        if document is not None:
            body["text"] = document if isinstance(document, str) else yaml_text.dump(document)
            body.setdefault("file", "-")
        return self.api.post(f"/api/v1/config/{what}", body)

    def configure(self, document, road: str = "", **body) -> dict:
        """Applies a configuration; what the daemon says of it."""
        if road:
            body["road"] = road
        return self.post("apply", document=document, **body)

    def order(self, number: int, **what) -> dict:
        return self.api.order(f"{town.GROUP}/{town.backend_entry(number)['address']}", **what)

    def in_force(self) -> dict:
        """The row of history that is in force."""
        return next(row for row in self.history() if row["outcome"] in ("in_force", "awaiting"))

    # Sides.

    def history(self, limit: int = 0) -> list:
        query = f"?limit={limit}" if limit else ""
        return self.api.get("/api/v1/config/history" + query)["generations"]

    def start(self, **options) -> None:
        """A daemon that takes over."""
        self.api.close()
        self.balancer.start(**options)

    def shown(self, *words: str) -> str:
        """The text that `sluice config show` prints."""
        return self.balancer.sluice("config", "show", *words).stdout

    def counters(self) -> dict:
        """Every counter by its name."""
        status = self.api.get("/api/v1/status")
        out = {f"reason {row['reason']}": row["traffic"] for row in status["reasons"]}
        out |= {f"service {row['name']}": row["traffic"]
                for row in self.api.get("/api/v1/services")["services"]}
        out |= {f"backend {row['group']}/{row['address']}": row["traffic"]
                for row in self.api.get("/api/v1/backends")["backends"]}
        return {f"{name} {unit}": value for name, traffic in out.items()
                for unit, value in traffic.items()}

    def assert_not_smaller(self, before: dict, after: dict) -> None:
        """No counter fell or went away."""
        fallen = {name: (value, after.get(name)) for name, value in before.items()
                  if after.get(name, -1) < value}
        self.assertEqual(fallen, {}, "counters that fell")

    def figures_of_load(self, name: str, **values) -> None:
        self.figures(name, **values, packets=self.packets, **self.summary(self.last))


main = flow_case.main
