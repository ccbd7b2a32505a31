"""Whether a text starts with a verb: NLTK's tagger where its data is installed, else closed classes of words.

The tagger's data (``averaged_perceptron_tagger_eng``) is in no package, and nothing is downloaded while responses are
checked. Without it, articles, pronouns, prepositions, conjunctions and the like decide, which are no verbs whatever
follows (nor are modal ones, which have a tag of their own), and the forms of "be", "do" and "have", which are. All else
is left undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from rtt.errors import VerifierError
from rtt.verifiers.rules.ifbench.text import word_set

DATA = "averaged_perceptron_tagger_eng"

_NO_VERBS = word_set(
    "a an the this that these those my your his her its our their i you he she it we they me him us them who whom "
    "whose which what where when why how and but or nor yet if although though because unless until while since "
    "whereas of in on at by with without from into onto upon about above below under over between among through during "
    "before after against toward towards within throughout there here every each both either neither all some any no "
    "not never very also however therefore moreover furthermore additionally finally firstly secondly thirdly perhaps "
    "maybe once then thus hence everyone everybody someone somebody anyone anybody nobody nothing something anything "
    "everything as so can could may might must shall should will would sure"
)
_VERBS = word_set("is are was were am be been being do does did has have had")


def starts_with_verb(tokens: Sequence[str]) -> bool:
    """Whether the tagger takes the first token for a verb.

    Args:
        tokens: of NLTK's ``word_tokenize``, at least one.

    Raises:
        VerifierError: the tagger's data is not installed, and the first token may be a verb.
    """
    tagger = _tagger()
    if tagger is not None:
        return "VB" in tagger.tag(list(tokens))[0][1]
    word = tokens[0].lower()
    if word in _NO_VERBS or word in _VERBS:
        return word in _VERBS
    raise VerifierError(
        f"whether {tokens[0][:40]!r} is a verb takes NLTK's tagger, whose data is not installed; install it once with: "
        f"python -m nltk.downloader {DATA}"
    )


@cache
def _tagger() -> Any:
    """NLTK's tagger, or None where its data is not on this machine."""
    import nltk.data
    from nltk.tag.perceptron import PerceptronTagger

    try:
        nltk.data.find(f"taggers/{DATA}/")
    except LookupError:
        return None
    return PerceptronTagger()
