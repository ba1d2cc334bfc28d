#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tshark and capinfos say of the file that pcapng_test.cpp has written."""

import shutil
import subprocess
import sys

FIELDS = ["frame.interface_name", "frame.time_epoch", "frame.len", "frame.cap_len",
          "frame.packet_flags_direction", "frame.drop_count", "frame.packet_id",
          "frame.interface_queue", "frame.verdict.ebpf_xdp", "frame.comment", "tcp.dstport"]

WANT = [
    ["eth0", "1795266000.123456789", "54", "54", "0x00000001", "", "1", "3", "1",
     "verdict=drop reason=no_such_port stage=service generation=7", "443"],
    ["eth1", "1795266000.123456790", "54", "54", "0x00000002", "17", str(1 << 40), "0", "4",
     "verdict=redirect reason=forwarded lost_before=17", "443"],
    ["eth1", "1795266000.123456791", "1514", "54", "", "", "", "", "", "", "443"],
]

ABOUT = [
    "File timestamp precision: nanoseconds (9)",
    "Number of packets: 3",
    "Capture hardware: x86_64",
    "Capture oper-sys: Linux 6.1.0",
    "Capture application: sluice 1.0.0",
    "Number of interfaces in file: 2",
    "Name = eth0",
    "Name = eth1",
    "Capture length = 54",
    "Time precision = nanoseconds (9)",
    "Number of stat entries = 1",
]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    path = sys.argv[1]
    if not shutil.which("tshark") or not shutil.which("capinfos"):
        print("skipped: tshark is not installed")
        return 77
    words = [word for field in FIELDS for word in ("-e", field)]
    rows = [line.split("\t") for line in run("tshark", "-r", path, "-T", "fields",
                                             *words).splitlines()]
    failed = 0
    for got, want in zip(rows, WANT, strict=True):
        if got != want:
            print(f"FAILED\n  got  {got}\n  want {want}")
            failed += 1
    told = [" ".join(line.split()) for line in run("capinfos", path).splitlines()]
    for fact in ABOUT:
        if fact not in told:
            print(f"FAILED capinfos does not say {fact!r}")
            failed += 1
    found = run("tshark", "-r", path, "-Y", 'frame.comment contains "reason=no_such_port"')
    if found.count("\n") != 1:
        print(f"FAILED the comment's filter finds {found!r}")
        failed += 1
    print("\n".join(told) if failed else f"{len(WANT)} packets, {len(ABOUT)} facts")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
