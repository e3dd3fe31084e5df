"""An installed distribution with an evaluator that does what the answer tells it to.

It has two names, `odd` and `odd_apart`, so that a config can set them apart.
"""

from pathlib import Path

_CODE = """
import asyncio, ctypes, os, subprocess, sys, threading, time
from evaluators import (
    EvaluatorKind, Item, JudgeFailure, JudgeUse, Question, Reason, Scope, Score, Skip
)

QUESTION = Question("odd@1", "Is it odd?", (Item("odd", "Is it odd?"),), {"output": "text"})


class Odd:
    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    needs = frozenset()
    judge_use = JudgeUse.OPTIONAL
    threshold = 0.5
    content_fingerprint = ""

    def __init__(self, settings):
        self.deadline_s = settings.options.get("deadline_s", 2.0)
        self.name = settings.name
        if settings.options.get("broken"):
            raise ValueError("it is broken")
        if settings.options.get("dies"):
            os._exit(5)

    async def evaluate(self, subject):
        what, _, argument = subject.output_text.partition(" ")
        return await getattr(self, what)(subject, argument)

    async def score(self, subject, argument):
        return Score(float(argument or 1), label="odd", items={"pid": os.getpid()})

    async def skip(self, subject, argument):
        return Skip("it does not apply")

    async def fail(self, subject, argument):
        raise JudgeFailure(Reason.REFUSED, "it refused")

    async def ask(self, subject, argument):
        verdict = await subject.judge.ask(QUESTION)
        return Score(float(verdict.answers["odd"]), explanation=verdict.reason)

    async def chats(self, subject, argument):
        data, truncated = await subject.judge.evidence({"output": "Jane"})
        request = {"messages": [{"role": "user", "content": data["output"]}], "temperature": 0}
        reply = await subject.judge.complete(request)
        return Score(1.0, label=reply["said"], truncated=truncated)

    async def ask_then(self, subject, argument):
        await subject.judge.ask(QUESTION)
        return await getattr(self, argument)(subject, "0.4")

    async def ask_wrongly(self, subject, argument):
        await subject.judge.ask(Question("odd@1", "?", (), {"output": 7}))

    async def raises(self, subject, argument):
        raise ValueError("secret text " + subject.output_text)

    async def echoes(self, subject, argument):
        items = {"found": [argument], argument: {"text": argument}}
        return Score(0.5, label=argument[:100], explanation=argument, items=items)

    async def skips(self, subject, argument):
        return Skip(argument)

    async def refuses(self, subject, argument):
        raise JudgeFailure(Reason.REFUSED, argument)

    async def logs(self, subject, argument):
        import logging
        logging.getLogger("odd").warning("it says %s", argument)
        logging.getLogger("odd").warning(argument)
        return Score(1.0)

    async def raises_elsewhere(self, subject, argument):
        async def task():
            raise ValueError(argument)

        def thread():
            raise ValueError(argument)

        class Dying:
            def __del__(self):
                raise ValueError(argument)

        asyncio.create_task(task())
        threading.Thread(target=thread).start()
        Dying()
        await asyncio.sleep(0.2)
        return Score(1.0)

    async def leaves(self, subject, argument):
        raise SystemExit(3)

    async def interrupts(self, subject, argument):
        raise KeyboardInterrupt

    async def leaks(self, subject, argument):
        async def leave():
            raise SystemExit(3)
        self.task = asyncio.create_task(leave())
        await asyncio.sleep(0.2)
        return Score(1.0)

    async def number(self, subject, argument):
        return 7

    async def nan(self, subject, argument):
        return Score(float("nan"))

    async def hangs(self, subject, argument):
        await asyncio.sleep(3600)

    async def waits(self, subject, argument):
        await asyncio.sleep(float(argument))
        return Score(1.0, items={"pid": os.getpid()})

    async def blocks(self, subject, argument):
        time.sleep(float(argument or 3600))
        return Score(1.0)

    async def spins(self, subject, argument):
        import re
        re.match("(a+)+b", "a" * 40)

    async def swallows(self, subject, argument):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    async def dies(self, subject, argument):
        os._exit(3)

    async def dies_late(self, subject, argument):
        await asyncio.sleep(0.3)
        os._exit(3)

    async def crashes(self, subject, argument):
        ctypes.string_at(0)

    async def hoards(self, subject, argument):
        self.hoard = [bytearray(16 * 2**20) for _ in range(1000)]

    async def closes(self, subject, argument):
        os.closerange(3, 64)
        time.sleep(3600)

    async def forges(self, subject, argument):
        os.write(int(sys.argv[1]), len(argument).to_bytes(4, "big") + argument.encode())
        await asyncio.sleep(3600)

    async def starts(self, subject, argument):
        child = subprocess.Popen(["sleep", "3600"])
        return Score(1.0, items={"pid": os.getpid(), "child": child.pid})
"""


def install(folder: Path) -> None:
    """Put the distribution into a folder, which then has to come onto the path."""
    info = folder / "odd_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "odd_plugin.py").write_text(_CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd_plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[assay.evaluators]\nodd = odd_plugin:Odd\nodd_apart = odd_plugin:Odd\n"
    )
