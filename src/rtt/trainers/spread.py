"""One judge for several processes: nothing is asked by two of them, and each asks its share.

    questions of all processes, gathered  ->  the distinct ones, dealt out in turn:  0 1 2 0 1 2 ...
    each process asks its own judge about its share  ->  the answers, gathered  ->  each picks those to its questions

TRL splits a group over processes, and a policy often says the same twice; how many different responses a process gets
is chance. No file has to be shared, so the processes may be on several nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from torch import distributed

from rtt.errors import RTTError
from rtt.trainers.settings import UNUSABLE, UnusableJudge
from rtt.verifiers import Question, judged

if TYPE_CHECKING:
    from rtt.rubrics import Criterion, Task
    from rtt.verdicts import Verdict
    from rtt.verifiers import VerdictSource

_T = TypeVar("_T")


class SpreadJudge:
    """The judges of several processes as one, a :class:`rtt.verifiers.BatchVerdictSource`.

    Two questions are the same if task, response and criteria are. Of D different ones no process asks more than
    ``ceil(D / processes)``.

    Args:
        judge: this process's.
        group: the processes, of a backend that carries objects between CPUs (gloo); ``None``: all of them. They all
            have to ask equally often, those without a question too, and from any thread if nobody else uses the group.
    """

    def __init__(self, judge: VerdictSource, group: distributed.ProcessGroup | None = None) -> None:
        self.judge = judge
        self._group = group

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
        """
        keys = [_key(question) for question in questions]
        wanted = {
            key: one for part in self._gather(dict(zip(keys, questions, strict=True))) for key, one in part.items()
        }
        share = dict(list(wanted.items())[distributed.get_rank(self._group) :: distributed.get_world_size(self._group)])
        unusable: RTTError | None = None
        try:
            found = judged(self.judge, list(share.values()), progress)
        except UNUSABLE as error:
            unusable, found = error, judged(UnusableJudge(error), list(share.values()))
        answers: dict[_Key, list[Verdict]] = {}
        for answered in self._gather(dict(zip(share, found, strict=True))):
            answers |= answered
        if unusable is not None:
            raise unusable
        return [answers[key] for key in keys]

    def _gather(self, own: _T) -> list[_T]:
        """What each process gives, in their order."""
        gathered: list[_T] = [own] * distributed.get_world_size(self._group)
        distributed.all_gather_object(gathered, own, group=self._group)
        return gathered


_Key = tuple[str, str, tuple[str, ...]]


def _key(question: Question) -> _Key:
    return question.task.to_json(), question.text, tuple(criterion.id for criterion in question.criteria)
