#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the test programs that tests/vm/machine listed in /vm/tests, one after the other, each with
# its own output file, and says how each ended. Scripts (Python) are named and left to the host:
# they judge files, not kernels.
set -u
failed=0
passed=0
scripts=0

# verdict CODE NAME SECONDS
verdict() {
    case $1 in
        0) echo "passed   $2 ($3 s)"; passed=$((passed + 1)) ;;
        77) echo "SKIPPED  $2: root in this machine lacks nothing"; failed=$((failed + 1)) ;;
        124) echo "FAILED   $2: no end after $3 s"; failed=$((failed + 1)) ;;
        *) echo "FAILED   $2: exit code $1"; failed=$((failed + 1)) ;;
    esac
}

while IFS=$'\t' read -r kind name folder command; do
    if [ "$kind" = script ]; then
        echo "on host  $name"
        scripts=$((scripts + 1))
        continue
    fi
    started=$SECONDS
    (cd "$folder" && eval "exec timeout 3000 $command") >/tmp/output 2>&1 </dev/null
    code=$?
    verdict $code "$name" $((SECONDS - started))
    [ $code -eq 0 ] || tail -n 60 /tmp/output
done </vm/tests

echo "$passed passed, $failed failed, $scripts left to the host; free memory:" \
    "$(($(awk '/MemAvailable/ {print $2}' /proc/meminfo) / 1024)) MiB"
[ $passed -gt 0 ] && [ $failed -eq 0 ]
