#!/bin/sh
# Believed: a timer never fires before its time. asyncio's documentation promises it for `call_later` and `sleep`, and uvloop is a
#   drop-in loop for asyncio.
# What happens: uvloop counts time in whole milliseconds, as libuv does, and rounds a delay to the nearest one. A sleep of 0.4 ms ends at
#   once, one of 1.4 ms after a millisecond or less. The clock that libuv compares with is a whole number of milliseconds, too, so that
#   even a sleep of a whole number of them may end early by most of one. A back-off, a rate limit or a benchmark that adds up
#   many short sleeps is faster under uvloop than it may be, which looks like a faster loop.
# Versions: uvloop 0.22.1, CPython 3.11.
# Source: uvloop, loop.pyx, `call_later` (`delay = round(delay * 1000)`); libuv, src/timer.c.
# Seen: asyncio: of 200 sleeps of 0.4 ms 0 ended early, the shortest after 1.08 ms
#       asyncio: of 200 sleeps of 1.4 ms 0 ended early, the shortest after 2.12 ms
#       uvloop: of 200 sleeps of 0.4 ms 200 ended early, the shortest after 0.01 ms
#       uvloop: of 200 sleeps of 1.4 ms 191 ended early, the shortest after 0.06 ms
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.22.1
cat > "$work/sleeps.py" <<'PY'
"""How long short sleeps take under either loop."""
import asyncio
import time

import uvloop

SLEEPS = 200


async def sleeps(seconds):
    took = []
    for _ in range(SLEEPS):
        begun = time.perf_counter()
        await asyncio.sleep(seconds)
        took.append(time.perf_counter() - begun)
    return took


for name, factory in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
    for ms in (0.4, 1.4):
        with asyncio.Runner(loop_factory=factory) as runner:
            took = runner.run(sleeps(ms / 1000))
        early = sum(one < ms / 1000 for one in took)
        print(f"{name}: of {SLEEPS} sleeps of {ms} ms {early} ended early, the shortest after {min(took) * 1000:.2f} ms")
PY
"$work/venv/bin/python" "$work/sleeps.py" > "$work/seen"
cat "$work/seen"
early() { sed -n "s/^$1: of 200 sleeps of $2 ms \([0-9]*\) ended early.*/\1/p" "$work/seen"; }
[ "$(early asyncio 0.4)" -eq 0 ] && [ "$(early asyncio 1.4)" -eq 0 ] || { echo "changed: asyncio ends sleeps early, too"; exit 1; }
[ "$(early uvloop 0.4)" -ge 150 ] || { echo "changed: uvloop waits for 0.4 ms"; exit 1; }
# On a busy machine a sleep is late, and some that were cut short are long enough.
[ "$(early uvloop 1.4)" -ge 20 ] || { echo "changed: uvloop waits for 1.4 ms"; exit 1; }
echo "as it was: uvloop ends sleeps before their time"
