"""The stand-in of an isolated evaluator: same contract, and its code runs in another process."""

from collections.abc import Callable
from functools import partial

from evaluators.contract import Score, Settings, Skip, Subject
from schemas.config import ProcessConfig
from schemas.events import Emit, ProcessEnded
from workers.wall import EvaluatorFault, outside

from .pool import Pool
from .process import Process, ProcessDied
from .program import describe
from .verdicts import Verdicts

_MAX_UNBEGUN = 3
"""So often a process may end before any evaluation takes its first step in it."""


class IsolatedEvaluator:
    """An `Evaluator` whose `evaluate` runs in a process that can be killed.

    Its deadline is kept here and not by the engine: it counts from the first step of the
    evaluation in its process, so neither waiting for a place nor starting a process counts.

    Args:
        settings: What the config says about it; also what its processes build it from.
        config: Number and size of its processes.
        emit: Where events go.

    Raises:
        PluginError: It cannot be found, imported or built in a process.
        ConfigError: Its rubric file is wrong.
    """

    def __init__(self, settings: Settings, config: ProcessConfig, emit: Emit) -> None:
        facts = describe(settings, config.memory_bytes)
        self.version = facts.version
        self.kind = facts.kind
        self.scope = facts.scope
        self.needs = facts.needs
        self.judge_use = facts.judge_use
        self.threshold = facts.threshold
        self.deadline_s = facts.deadline_s
        self.content_fingerprint = facts.content_fingerprint
        on_end: Callable[[str, bool], None] = partial(_ended, emit, settings.name)
        self._pool = Pool(
            partial(Process.start, settings, config.memory_bytes, on_end),
            processes=config.processes,
            concurrency=config.concurrency,
            recycle_after=config.recycle_after,
        )

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Evaluate in a process; in one of its own where that went down under several of them.

        Raises:
            EvaluatorFault: It raised, returned no score, outlived its deadline or took its process
                down; this evaluation did, and no other.
            JudgeFailure: Its judge failed.
        """
        with outside():  # what we start here is not the plugin's
            verdicts = Verdicts()
            unbegun = 0
            alone = False
            while True:
                try:
                    async with self._pool.process(alone=alone) as process:
                        return await process.evaluate(subject, verdicts)
                except ProcessDied as died:
                    unbegun += not died.begun
                    if (died.had_begun and died.begun == 1) or unbegun >= _MAX_UNBEGUN:
                        raise EvaluatorFault(died.why) from died
                    alone = died.had_begun
                    verdicts.rewind()

    async def aclose(self) -> None:
        """End its processes."""
        with outside():
            await self._pool.close()


def _ended(emit: Emit, evaluator: str, why: str, is_fault: bool) -> None:
    emit(ProcessEnded(evaluator, why, is_fault))
