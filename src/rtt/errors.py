"""Everything that RTT raises on purpose.

    RTTError
    ├── DataError (ValueError)          a file, a line or a field that cannot be used
    │   ├── TaskFileError               ... in a task file: file, line, field, what came, what was expected
    │   ├── UnknownRuleError            a rule name that is not in the registry
    │   └── RuleArgumentsError          arguments that do not fit their rule
    ├── ConfigurationError (ValueError) options that do not go together, or that an engine does not support
    ├── ShapeError (ValueError)         tensors whose shapes or types do not fit
    ├── MissingDependencyError (ImportError)  an extra that is not installed
    ├── VerifierError (RuntimeError)    a check that could not run; becomes an *undetermined* verdict
    ├── RelevanceFailureError (RuntimeError)  a relevance source did not answer: training stops, and can go on later
    ├── JudgeFailureError (RuntimeError)  too many of a judge's verdicts failed, or it cannot go on: training stops
    └── NonFiniteLossError (ArithmeticError)  the loss is NaN or infinite: training stops before the weights are

An error is help: who, what came, what was expected, what to do.
"""


class RTTError(Exception):
    """The root: ``except RTTError`` catches all that RTT raises on purpose."""


class DataError(RTTError, ValueError):
    """A file, a line or a field that cannot be used."""


class TaskFileError(DataError):
    """A task file that cannot be read; the message names file, line, field and the mend."""


class UnknownRuleError(DataError):
    """A rule name that is not in the registry."""


class RuleArgumentsError(DataError):
    """Arguments that do not fit their rule."""


class ConfigurationError(RTTError, ValueError):
    """Options that do not go together, or that an engine does not support."""


class ShapeError(RTTError, ValueError):
    """Tensors whose shapes or types do not fit."""


class MissingDependencyError(RTTError, ImportError):
    """An optional dependency that is not installed; the message names the extra to install."""


class VerifierError(RTTError, RuntimeError):
    """A check that could not run. ``verify`` turns it into an undetermined verdict, never into a failed one."""


class RelevanceFailureError(RTTError, RuntimeError):
    """A relevance source gave no answer, or one that cannot be used: training stops, and can go on later."""


class JudgeFailureError(RTTError, RuntimeError):
    """Too many of a judge's verdicts failed in one rollout, or it cannot go on: training stops, and can go on later."""


class NonFiniteLossError(RTTError, ArithmeticError):
    """The loss of a training step is NaN or infinite. Training stops before the weights are, too."""
