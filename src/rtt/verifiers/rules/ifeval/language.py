"""``language:response_language``, and the language detector that the case rules share."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

from rtt.rule_schemas.ifeval import LANGUAGES, ResponseLanguage
from rtt.verifiers.rules.findings import Deadline, Finding, whole


def response_language(text: str, arguments: ResponseLanguage, deadline: Deadline) -> Finding:
    """The response is in the language.

    Official behaviour: langdetect decides; a text in which it finds no features at all ("123") counts as followed. The
    detector samples; here its seed is the same for every text, officially it is not set.

    Evidence: the whole response, in both verdicts.
    """
    detected = detect(text)
    if detected is None:
        return whole(True, "no language can be detected, which counts as followed")
    reason = f"detected {name(detected)}, expected {name(arguments.language)}"
    return whole(detected == arguments.language, reason)


def name(code: str) -> str:
    """A language in words, for reasons."""
    return LANGUAGES.get(code, f"the language {code!r}")


@functools.lru_cache(maxsize=64)
def detect(text: str) -> str | None:
    """The code of the text's language, ``"unknown"`` if none is likely, None if the text has no features.

    The same text gives the same code, in any thread and after any other call: each call has a generator of its own,
    with a fixed seed. The text is read up to 10,000 characters.
    """
    factory, nothing_to_go_by = _factory()
    detector = factory.create()
    detector.append(text)
    try:
        code: str = detector.detect()
    except nothing_to_go_by:
        return None
    return code


_FACTORY: tuple[Any, type[Exception]] | None = None
_LOCK = threading.Lock()


def _factory() -> tuple[Any, type[Exception]]:
    global _FACTORY
    if _FACTORY is None:
        with _LOCK:
            if _FACTORY is None:
                _FACTORY = _load()
    return _FACTORY


def _load() -> tuple[Any, type[Exception]]:
    """The factory of detectors, and what they raise on a text without features.

    The factory is our own: langdetect's is shared by the process, and whoever sets its seed sets it for all.

    With the extra ``fast`` langdetect's Rust twin detects, which gives the same probabilities, bit for bit, in a
    fiftieth of the time. Profiles are langdetect's, loaded in the order of their names: probabilities are summed in
    this order, and a folder's own order differs.
    """
    import langdetect

    try:
        import langdetect_rs as detection
    except ImportError:
        detection = langdetect
    factory = detection.DetectorFactory()
    factory.set_seed(0)
    profiles = sorted(path for path in (Path(langdetect.__file__).parent / "profiles").iterdir() if path.is_file())
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles])
    return factory, detection.LangDetectException
