#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A change that must be confirmed: unless it is, it undoes itself, whatever happens to the daemon."""

import datetime
import time

import generation_case
from lab import rack
from lab.api import Refused
from lab.node import wait_for


class Confirm(generation_case.GenerationCase):
    """The change gives the other VIP a backend; when it is undone nobody answers there."""

    def setUp(self):
        self.api.close()
        if self.balancer.daemon.poll() is not None:
            self.start()
        self.configure(self.document())
        self.before = self.shown()

    def change(self, within_s: int) -> dict:
        """Applies the change; the row of history that waits."""
        report = self.configure(self.with_later(2), confirm_within_s=within_s)
        self.assertEqual(report["outcome"], "awaiting")
        self.assertLessEqual(report["confirm_left_s"], within_s)
        self.assertEqual(self.later(), "b2")
        row = self.in_force()
        self.assertEqual((row["generation"], row["outcome"]), (report["generation"], "awaiting"))
        return row

    def assert_undone(self, waiting: dict) -> None:
        rows = {row["generation"]: row for row in self.history()}
        self.assertEqual(rows[waiting["generation"]]["outcome"], "undone")
        self.assertNotEqual(self.in_force()["generation"], waiting["generation"])
        self.assertEqual(self.shown(), self.before)
        self.assertEqual(self.later(seconds=0.5), "")

    def wait_undone(self, waiting: dict, seconds: float = 20.0) -> None:
        wait_for(lambda: self.in_force()["generation"] != waiting["generation"],
                 "end of a change that nobody confirms", seconds)
        self.assert_undone(waiting)

    @staticmethod
    def deadline(row: dict) -> float:
        """When the change undoes itself, by the wall clock."""
        text = row["confirm_by"].replace("Z", "+00:00")
        return datetime.datetime.fromisoformat(text).timestamp()

    def kill(self) -> None:
        self.balancer.daemon.kill()
        self.api.close()

    def test_what_nobody_confirms_undoes_itself(self):
        with self.load():
            waiting = self.change(3)
            self.wait_undone(waiting)
            # Times of history are whole seconds.
            self.assertGreaterEqual(time.time(), self.deadline(waiting) - 1)
        self.figures_of_load("undone")

    def test_what_is_confirmed_stays(self):
        with self.load():
            waiting = self.change(2)
            self.post("confirm")
            wait_for(lambda: time.time() > self.deadline(waiting) + 1.5, "the time to confirm is over")
            row = self.in_force()
            self.assertEqual((row["generation"], row["outcome"]),
                             (waiting["generation"], "in_force"))
            self.assertEqual(self.later(), "b2")

    def test_the_time_goes_on_while_the_daemon_is_killed_and_started(self):
        with self.load():
            waiting = self.change(6)
            self.kill()
            self.start()
            row = self.in_force()
            self.assertEqual((row["generation"], row["outcome"], row["confirm_by"]),
                             (waiting["generation"], "awaiting", waiting["confirm_by"]))
            self.assertEqual(self.later(), "b2")
            self.wait_undone(waiting)
            self.assertLess(time.time(), self.deadline(waiting) + 4)

    def test_what_ran_out_without_a_daemon_is_undone_at_its_start(self):
        with self.load():
            waiting = self.change(2)
            self.kill()
            wait_for(lambda: time.time() > self.deadline(waiting) + 0.5, "the time to confirm is over")
            self.assertEqual(self.later(), "b2")  # Nobody is there who could undo it.
            self.start()
            self.wait_undone(waiting, 5)

    def test_the_command_line_applies_and_confirms(self):
        path = rack.CONFIG.with_name("next.yaml")
        self.balancer.write_to(path, self.with_later(3))
        done = self.balancer.sluice("config", "apply", path, "--confirm-within", "30s", "-m", "try it")
        self.assertIn("confirm", done.stdout + done.stderr)
        self.balancer.sluice("config", "confirm")
        row = self.in_force()
        self.assertEqual((row["outcome"], row["message"]), ("in_force", "try it"))
        self.assertEqual(self.later(), "b3")

    def test_nothing_else_is_applied_meanwhile(self):
        waiting = self.change(20)
        with self.assertRaises(Refused) as refused:
            self.configure(self.with_later(3))
        self.assertEqual(refused.exception.status, 409, refused.exception)
        self.assertEqual(self.in_force()["generation"], waiting["generation"])
        self.assertEqual(self.later(), "b2")
        self.post("confirm")
        with self.assertRaises(Refused) as refused:
            self.post("confirm")
        self.assertEqual(refused.exception.status, 404, refused.exception)


if __name__ == "__main__":
    generation_case.main()
