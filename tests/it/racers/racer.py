"""A racer in asyncio, written against PROTOCOL.md alone: sleep, http and parallel, in batches."""
import asyncio, base64, collections, json, struct, sys, time, zlib

M, PHI = (1 << 64) - 1, 0x9E3779B97F4A7C15
now = time.monotonic_ns


def mix(a, b):
    z = a ^ ((b * PHI + PHI) & M)
    for shift, factor in (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB):
        z = ((z ^ (z >> shift)) * factor) & M
    return z ^ (z >> 31)


def say(**message):
    print(json.dumps(message), flush=True)


def hear(name):
    line = sys.stdin.readline() or sys.exit(0)
    message = json.loads(line)
    if name not in message:
        fail("refused", f"expected `{name}`, heard {line[:80]}")
    return message[name]


def fail(kind, reason):
    say(failed={"kind": kind, "reason": reason})
    sys.exit(0)


def uniform(draw, low_ns, high_ns):
    return min(low_ns + round((draw >> 11) * 2.0**-53 * (high_ns - low_ns)), high_ns - 1)


def histogram(values):
    """HdrHistogram V2, from 1 ns to 100 h at three digits, deflated, in base64."""
    counts, body = collections.Counter(), bytearray()
    for ns in values:
        bucket = (ns | 2047).bit_length() - 11
        counts[(bucket + 1) * 1024 + (ns >> bucket) - 1024] += 1
    for slot in range(max(counts, default=-1) + 1):
        zigzag = 2 * counts[slot]  # positive; seven bits a byte, and fewer than nine bytes here
        while zigzag > 127:
            body.append(zigzag & 127 | 128)
            zigzag >>= 7
        body.append(zigzag)
    head = struct.pack(">iiiiqqd", 0x1C849313, len(body), 0, 3, 1, 360_000_000_000_000, 1.0)
    packed = zlib.compress(head + bytes(body))
    return base64.b64encode(struct.pack(">ii", 0x1C849314, len(packed)) + packed).decode()


def times(rows):
    """Of intended start, start, end and errors of tasks, or of calls of a named step."""
    return {"errors": sum(errors > 0 for *_, errors in rows),
            "latency": histogram(end - due for due, _, end, _ in rows),
            "service": histogram(end - begun for _, begun, end, _ in rows),
            "lateness": histogram(begun - due for due, begun, _, _ in rows)}


class Racer:
    def __init__(self, brief):
        self.brief, self.seed = brief, brief["seed"]
        self.tasks = {task["name"]: task["steps"] for task in brief["tasks"]}
        self.targets = {target["name"]: target["http"] for target in brief["targets"]}
        self.steps, self.streams, self.rows, self.named, self.ended, self.recording = {}, {}, [], {}, 0, False

    async def task(self, name, key, slot, i, j=0):
        """Runs a task; returns how many errors it had that are allowed."""
        all_errors, due = 0, now()
        for step in self.tasks[name]:
            number, begun = step["number"], now()
            account = self.steps.setdefault(number, collections.Counter(number=number))
            account.update(started=1)
            errors = await self.step(step, account, mix(mix(self.seed, number), key), key, slot, i, j)
            account.update(ended=1, errors=errors)
            all_errors += errors
            if "name" in step and self.recording:
                self.named.setdefault(step["name"], []).append((due, begun, now(), errors))
            due = now()
        return all_errors

    async def step(self, step, account, draw, key, slot, i, j):
        if "sleep" in step:
            return await self.sleep(step["sleep"]["time"], draw)
        if "http" in step:
            return await self.http(step["http"], (step["number"], slot), draw, i, j)
        task, count = step["parallel"]["task"], step["parallel"]["count"]
        children = account.setdefault("children", {"asked": 0, "returned": 0})
        children["asked"] += count
        runs = [self.task(task, mix(key, child + 1), (slot, child), i, child) for child in range(count)]
        errors = sum(await asyncio.gather(*runs))
        children["returned"] += count
        return errors

    async def sleep(self, how, draw):
        until = now() + (how["const"]["ns"] if "const" in how else uniform(draw, **how["uniform"]))
        while now() < until:  # the loop's timer may be early by its resolution
            await asyncio.sleep((until - now()) / 1e9)
        return 0

    async def http(self, op, place, ident, i, j):
        target, method = self.targets[op["target"]], op["method"]
        streams = self.streams.setdefault(op["target"], {})
        if place not in streams:
            streams[place] = await asyncio.open_connection(*target["address"].rsplit(":", 1))
        reader, writer = streams[place]
        path = target.get("base", "") + op["path"].replace("${i}", str(i)).replace("${j}", str(j))
        body = b"x" * (op.get("body_bytes") or 0) or (op.get("body") or "").encode()
        mark = f"x-regatta-id: {ident}\r\n" if "embedded" in target else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: {target['host']}\r\ncontent-length: {len(body)}\r\n{mark}\r\n"
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        status = int(answer[0].split(" ")[1])
        length = next(int(line.split(":")[1]) for line in answer if line.startswith("content-length:"))
        await reader.readexactly(0 if method == "HEAD" else length)
        wanted = target["embedded"]["body_bytes"] if "embedded" in target else op.get("expect_bytes", length)
        if length != wanted:
            raise ValueError(f"{method} {path}: a body of {length} bytes, and {wanted} were expected")
        allowed = status in op.get("allow_status", [])
        if not allowed and status not in (op.get("expect_status") or range(200, 300)):
            raise ValueError(f"{method} {path}: unexpected status {status}")
        return int(allowed)

    def edge(self, name):
        say(**{name: {}})
        hear("read")

    async def one(self, load, index, due, slot):
        begun = now()
        errors = await self.task(load["task"], mix(self.seed, index), slot, index)
        self.ended += 1
        if self.recording:
            self.rows.append((due, begun, now(), errors))

    async def batch(self, load, first):
        start = now()
        await asyncio.gather(*(self.one(load, first + k, start, k) for k in range(load["batch"]["tasks"])))
        return now() - start

    async def race(self):
        load, spans = self.brief["loads"][0], []
        tasks, repeat = load["batch"]["tasks"], load["batch"].get("repeat")
        warm = now() + self.brief["warmup_ns"]
        while now() < warm:
            await self.batch(load, (1 << 40) + self.ended)
        before = self.ended
        self.edge("opens")
        self.recording = True
        while len(spans) < (repeat or 1000) and (repeat or sum(spans) < 10**9):
            spans.append(await self.batch(load, len(spans) * tasks))
        self.edge("closes")
        return {"loads": [{"name": load["name"], "slots": tasks, "makespans_ns": spans, "window_ns": sum(spans),
                           "before": before, "ended": self.ended, "completed": len(spans) * tasks, "task": times(self.rows),
                           "steps": [{"name": name, "times": times(rows)} for name, rows in self.named.items()]}],
                "steps": list(self.steps.values()),
                "targets": [{"name": name, "opened": len(streams)} for name, streams in self.streams.items()],
                "facts": {"event loop": type(asyncio.get_running_loop()).__name__}}


def main():
    say(hello={"protocol": 1, "name": "asyncio-racer", "version": "1", "runtime": f"CPython {sys.version.split()[0]}",
               "operations": ["sleep", "http", "parallel"], "loads": ["batch"], "distributions": ["const", "uniform"],
               "templates": ["i", "j"], "edges": True, "cpus": 1})
    brief = hear("brief")
    if brief["protocol"] != 1:
        fail("refused", f"version {brief['protocol']} of the protocol; this racer speaks version 1")
    say(ready={})
    hear("go")
    try:
        say(account=asyncio.run(Racer(brief).race()))
    except ValueError as why:
        fail("wrong-result", str(why))
    except (OSError, EOFError) as why:
        fail("target", f"no answer: {why!r}")


if __name__ == "__main__":
    main()
