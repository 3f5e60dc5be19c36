"""The racer with one fault each: what a referee must refuse."""
import asyncio, os, subprocess, sys

import racer

Honest = racer.Racer


class LosesATask(Honest):
    """One task of the first batch is never run."""

    async def one(self, load, index, due, slot):
        if index != 3:
            await super().one(load, index, due, slot)


class SkipsRequests(Honest):
    """Every third request is accounted for and not sent."""

    async def http(self, op, place, ident, i, j):
        self.calls = getattr(self, "calls", 0) + 1
        return 0 if self.calls % 3 == 0 else await super().http(op, place, ident, i, j)


class ReportsLess(Honest):
    """All times are a tenth of what they were."""

    async def race(self):
        def tenth(rows):
            return times([(due, due + (begun - due) // 10, due + (end - due) // 10, errors)
                          for due, begun, end, errors in rows])
        times, racer.times = racer.times, tenth
        return await super().race()


class ReportsMore(Honest):
    """It says that it did more tasks than it did."""

    async def race(self):
        account = await super().race()
        account["loads"][0]["completed"] += 7
        account["loads"][0]["ended"] += 7
        return account


class FewerChildren(Honest):
    """`parallel` runs one child less."""

    async def step(self, step, account, draw, key, slot, i, j):
        if "parallel" in step:
            step = {**step, "parallel": {**step["parallel"], "count": step["parallel"]["count"] - 1}}
        return await super().step(step, account, draw, key, slot, i, j)


class OpensLate(Honest):
    """The window opens when the work is done."""

    def edge(self, name):
        if name == "closes":
            super().edge("opens")
            super().edge("closes")


class WrongDraws(Honest):
    """The identifiers of requests are any numbers."""

    async def http(self, op, place, ident, i, j):
        return await super().http(op, place, ident ^ 5, i, j)


class Dies(Honest):
    """It ends in the middle of its work."""

    async def race(self):
        print("no more", file=sys.stderr, flush=True)
        os._exit(1)


class Hangs(Honest):
    """It has a child of its own, and comes to no end."""

    async def race(self):
        subprocess.Popen(["sleep", "1000"])
        await asyncio.sleep(1000)


FAULTS = {"dies": Dies, "hangs": Hangs, "loses": LosesATask, "skips": SkipsRequests, "less": ReportsLess, "more": ReportsMore,
          "fewer": FewerChildren, "late": OpensLate, "draws": WrongDraws}
racer.Racer = FAULTS[sys.argv[1]]
racer.main()
