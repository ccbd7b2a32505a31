"""One judge for several processes: nothing is asked by two of them, and each asks its share.

    questions of all processes, gathered  ->  the distinct ones, dealt out in turn:  0 1 2 0 1 2 ...
    each process asks its own judge about its share  ->  the answers, gathered  ->  each picks those to its questions

TRL splits a group over processes, and a policy often says the same twice; how many different responses a process gets
is chance. No file has to be shared, so the processes may be on several nodes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from torch import distributed

from rtt.errors import JudgeFailureError, RTTError, VerifierError
from rtt.trainers.background import in_background
from rtt.trainers.settings import UnusableJudge
from rtt.verifiers import UNUSABLE, Question, judged

if TYPE_CHECKING:
    from rtt.rubrics import Criterion, Task
    from rtt.verdicts import Verdict
    from rtt.verifiers import VerdictSource

log = logging.getLogger(__name__)

CLOSING_SECONDS = 10.0
"""What a judge may take to hand over what it has when it is closed."""

_T = TypeVar("_T")


class SpreadJudge:
    """The judges of several processes as one, a :class:`rtt.verifiers.BatchVerdictSource`.

    Two questions are the same if task, response and criteria are. Of D different ones no process asks more than
    ``ceil(D / processes)``.

    Args:
        judge: this process's. Where its share takes too long, its ``close()`` is called if it has one, and what it has
            not answered then has failed.
        group: the processes, of a backend that carries objects between CPUs (gloo); ``None``: all of them. They all
            have to ask equally often, those without a question too, and from any thread if nobody else uses the group.
        time_limit: seconds that a share may take: well below the group's timeout, for the others wait meanwhile.
    """

    def __init__(
        self, judge: VerdictSource, group: distributed.ProcessGroup | None = None, *, time_limit: float
    ) -> None:
        self.judge = judge
        self._group = group
        self._time_limit = time_limit

    def verify(self, task: Task, text: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        """One verdict for each of the criteria, in their order; see :meth:`verify_batch`."""
        return self.verify_batch([Question(task, text, tuple(criteria))])[0]

    def verify_batch(
        self, questions: Sequence[Question], *, progress: Callable[[int], None] | None = None
    ) -> list[list[Verdict]]:
        """For each question of this process one verdict for each of its criteria, whichever process asked it.

        Args:
            questions: what this process wants to know; may be none.
            progress: told the number of criteria that this process has just decided, for itself or for others.

        Raises:
            ConfigurationError, DataError, MissingDependencyError: this process's judge cannot be used as it was set up;
                what it was to ask is undetermined in the other processes.
            JudgeFailureError: the processes lost each other.
        """
        keys = [_key(question) for question in questions]
        wanted = {
            key: one for part in self._gather(dict(zip(keys, questions, strict=True))) for key, one in part.items()
        }
        share = dict(list(wanted.items())[distributed.get_rank(self._group) :: distributed.get_world_size(self._group)])
        unusable: RTTError | None = None
        try:
            found = self._ask(list(share.values()), progress)
        except UNUSABLE as error:
            unusable, found = error, judged(UnusableJudge(error), list(share.values()))
        answers: dict[_Key, list[Verdict]] = {}
        for answered in self._gather(dict(zip(share, found, strict=True))):
            answers |= answered
        if unusable is not None:
            raise unusable
        return [answers[key] for key in keys]

    def _ask(self, share: list[Question], progress: Callable[[int], None] | None) -> list[list[Verdict]]:
        """What this process's judge says within the time limit."""
        asked = in_background(lambda: judged(self.judge, share, progress), "rtt-judge-share")
        try:
            return asked.result(self._time_limit)
        except TimeoutError:
            words = f"the judge took longer than {self._time_limit:g} s for this process's share"
        log.warning("%s, %d responses; it is closed", words, len(share))
        close = getattr(self.judge, "close", None)
        if close is not None:
            close()
            try:
                return asked.result(CLOSING_SECONDS)
            except TimeoutError:
                pass
        return judged(UnusableJudge(VerifierError(words)), share)

    def _gather(self, own: _T) -> list[_T]:
        """What each process gives, in their order."""
        gathered: list[_T] = [own] * distributed.get_world_size(self._group)
        try:
            distributed.all_gather_object(gathered, own, group=self._group)
        except RuntimeError as error:  # of this group, which cannot be used again
            words = str(error).partition("\n")[0]
            raise JudgeFailureError(f"the processes lost each other while they shared the judge: {words}") from error
        return gathered


_Key = tuple[str, str, tuple[str, ...]]


def _key(question: Question) -> _Key:
    return question.task.to_json(), question.text, tuple(criterion.id for criterion in question.criteria)
