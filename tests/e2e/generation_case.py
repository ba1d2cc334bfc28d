# SPDX-License-Identifier: Apache-2.0
"""What the tests of changed configurations share: a town under load, with a counter at both ends, and
looks at the same configuration from all sides: the daemon's answer, the kernel's tables, the pins.
"""

import contextlib
import json

import flow_case
from lab import counted, town, yaml_text
from lab.api import Api
from lab.instance import Instance
from lab.node import wait_for

LONG = flow_case.LONG
TALK, BRIEF_PER_S = (2000, 500) if LONG else (400, 200)
# The short form leaves the processors some time for what it tests.
PACKETS_PER_S = counted.FULL if LONG else 300_000


class GenerationCase(flow_case.FlowCase):
    """A town whose configuration is changed through the API, as `sluice config` does it."""

    @classmethod
    def build(cls) -> None:
        super().build()
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
        counting = counted.Counted(self.town, **({"rate": PACKETS_PER_S} | options))
        wait_for(lambda: counting.sent() > 1000, "numbered packets", 10)
        self.packets = {}
        try:
            yield counting
        finally:
            self.packets = counting.finish()
        self.assertGreater(self.packets["sent"], 1000)
        self.assertEqual((self.packets["lost"], self.packets["same"]), (0, True),
                         f"{self.packets}\n{counting.queues()}")

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


def dumped(value) -> str:
    return json.dumps(value, indent=1)


main = flow_case.main
