"""The bundled tasks: made by the tool, apart by split, and each of them can be met."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rtt.rubrics import Task, read_tasks
from rtt.verdicts import Outcome
from rtt.verifiers import verify

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src" / "rtt" / "data"


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("make_demo_tasks", ROOT / "tools" / "make_demo_tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def tasks() -> dict[str, list[Task]]:
    return {split: read_tasks(DATA / f"demo_{split}.jsonl") for split in ("train", "heldout")}


def everyone(tasks: dict[str, list[Task]]) -> list[Task]:
    return tasks["train"] + tasks["heldout"]


def test_the_files_are_byte_for_byte_what_the_tool_writes(tool: ModuleType) -> None:
    for name, content in tool.files().items():
        assert (DATA / name).read_bytes() == content, f"{name} differs: run python tools/make_demo_tasks.py"


def test_the_check_notices_a_changed_byte(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "DATA", tmp_path)
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    file = tmp_path / "demo_train.jsonl"
    file.write_bytes(file.read_bytes().replace(b"comma", b"Comma", 1))
    assert tool.main(["--check"]) == 1
    assert "demo_train.jsonl" in capsys.readouterr().err


def test_there_are_enough_tasks_over_enough_rules(tasks: dict[str, list[Task]]) -> None:
    size = {
        (split, difficulty): sum(task.metadata["difficulty"] == difficulty for task in tasks[split])
        for split in tasks
        for difficulty in ("easy", "full")
    }
    assert sum(size.values()) >= 400
    assert size["train", "easy"] >= 100
    assert size["heldout", "easy"] >= 64
    for split in tasks:
        full = [task for task in tasks[split] if task.metadata["difficulty"] == "full"]
        rules = {criterion.rule.name for task in full for criterion in task.rubric.criteria if criterion.rule}
        assert len(rules) == 25


def test_a_task_has_two_to_five_constraints_of_different_rules(tasks: dict[str, list[Task]]) -> None:
    for task in everyone(tasks):
        names = [criterion.rule.name for criterion in task.rubric.criteria if criterion.rule]
        assert 2 <= len(names) <= 5
        assert len(set(names)) == len(names) == len(task.rubric.criteria)


def test_the_prompt_states_every_constraint_in_the_criterions_words(tasks: dict[str, list[Task]]) -> None:
    for task in everyone(tasks):
        (message,) = task.prompt
        assert message.role == "user"
        assert task.metadata["request"] in message.content
        for criterion in task.rubric.criteria:
            assert criterion.text in message.content


def test_no_request_and_no_combination_is_in_both_files(tasks: dict[str, list[Task]]) -> None:
    requests = {split: {task.metadata["request"] for task in tasks[split]} for split in tasks}
    assert requests["train"].isdisjoint(requests["heldout"])
    combinations = {
        split: {tuple(sorted(criterion.text for criterion in task.rubric.criteria)) for task in tasks[split]}
        for split in tasks
    }
    assert combinations["train"].isdisjoint(combinations["heldout"])


def test_ids_and_prompts_are_unique(tasks: dict[str, list[Task]]) -> None:
    assert len({task.id for task in everyone(tasks)}) == len(everyone(tasks))
    assert len({task.prompt[0].content for task in everyone(tasks)}) == len(everyone(tasks))


def test_each_held_out_easy_task_has_a_request_of_its_own(tasks: dict[str, list[Task]]) -> None:
    easy = [task.metadata["request"] for task in tasks["heldout"] if task.metadata["difficulty"] == "easy"]
    assert max(Counter(easy).values()) == 1


def test_requests_differ_and_do_not_give_their_keywords_away(tool: ModuleType) -> None:
    requests = tool.read_requests()
    assert len(requests) >= 150
    assert len({request.text for request in requests}) == len(requests)
    for request in requests:
        assert "," not in request.text
        for word in request.words:
            assert word not in request.text.lower()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lowercase", "uppercase"),
        ("lowercase", "capitals_least"),
        ("json", "title"),
        ("quotation", "repeat"),
        ("bullets", "paragraphs"),
        ("sentences_less", "paragraphs"),
        ("language", "keywords"),
        ("words_less", "words_least"),
    ],
)
def test_contradictions_are_known_both_ways(tool: ModuleType, one: str, other: str) -> None:
    kinds = {kind.name: kind for kind in tool.KINDS}
    assert not tool.compatible(kinds[one], kinds[other])
    assert not tool.compatible(kinds[other], kinds[one])
    assert tool.compatible(kinds["forbidden"], kinds["no_comma"])


def test_a_task_must_leave_room_and_not_ban_what_it_asks(tool: ModuleType) -> None:
    request = tool.read_requests()[0]
    drawn = tool.Drawn
    assert tool.feasible([drawn({}, {}, most_words=20), drawn({}, {}, words=16)], request)
    assert not tool.feasible([drawn({}, {}, most_words=20), drawn({}, {}, words=17)], request)
    assert not tool.feasible([drawn({}, {}, most_sentences=1), drawn({}, {}, sentences=2)], request)
    assert not tool.feasible([drawn({}, {}, asks=("is",)), drawn({}, {}, bans=("is",))], request)


def test_every_task_can_be_met(tasks: dict[str, list[Task]]) -> None:
    unmet = [task.prompt[0].content for task in everyone(tasks) if not can_be_met(task)]
    assert unmet == []


def test_a_task_that_contradicts_itself_cannot_be_met(tasks: dict[str, list[Task]]) -> None:
    """The search below can fail: it is no rubber stamp."""
    task = tasks["train"][0]
    rules = (
        {"name": "length_constraints:number_words", "arguments": {"num_words": 5, "relation": "less than"}},
        {"name": "length_constraints:number_sentences", "arguments": {"num_sentences": 9, "relation": "at least"}},
    )
    criteria = [{"id": f"c{index}", "text": "?", "rule": rule} for index, rule in enumerate(rules)]
    assert not can_be_met(Task.model_validate({**task.model_dump(), "rubric": {"criteria": criteria}}))


# ------------------------------------------------------------------------------------ a response that meets everything


TEXTS = {
    "en": "we had a long day at the lake and then it was time to go home again under the old trees in the rain",
    "fr": "nous avons une grande maison dans le petit village et nous aimons beaucoup la mer en hiver",
    "de": "wir haben ein kleines Haus in dem alten Dorf und wir gehen am Abend gerne durch den Wald nach Hause",
    "es": "nosotros tenemos una casa grande cerca del mar y por la noche siempre comemos con nuestros amigos",
    "it": "noi abbiamo una casa molto grande vicino al mare e ogni sera mangiamo insieme con i nostri amici",
}
HOLDS = {"d": "did", "g": "egg", "h": "high", "m": "mum", "p": "pup", "u": "usual", "w": "wow", "y": "yearly"}


def can_be_met(task: Task) -> bool:
    """Search responses of growing length, built from the constraints, for one that the verifiers accept."""
    rules = {criterion.rule.name: criterion.rule.arguments for criterion in task.rubric.criteria if criterion.rule}
    for sentences, filler in itertools.product(range(1, 9), (2, 4, 6, 9, 13, 18)):
        if all(verdict.outcome is Outcome.SATISFIED for verdict in verify(task, response(rules, sentences, filler))):
            return True
    return False


def response(rules: dict[str, dict[str, Any]], sentences: int, filler: int) -> str:
    special = special_words(rules)
    usable = usable_words(rules)
    lines = []
    for index in range(sentences):
        words = [usable[(3 * index + place) % len(usable)] for place in range(filler)]
        share = special[index::sentences]
        line = " ".join([*words[:1], *share, *words[1:]])
        lines.append(f"{line[:1].upper()}{line[1:]}.")
    if "detectable_format:constrained_response" in rules:
        lines.insert(0, "My answer is yes.")
    text = laid_out(rules, lines)
    if "detectable_format:title" in rules:
        text = f"<<{usable[-1]}>>\n{text}"
    if arguments := rules.get("combination:repeat_prompt"):
        text = f"{arguments['prompt_to_repeat']}\n{text}"
    if arguments := rules.get("detectable_content:postscript"):
        text = f"{text}\n{arguments['postscript_marker']} {usable[0]} {usable[1]}."
    if arguments := rules.get("startend:end_checker"):
        text = f"{text} {arguments['end_phrase']}"
    if "change_case:english_lowercase" in rules:
        text = text.lower()
    if "change_case:english_capital" in rules:
        text = text.upper()
    if "detectable_format:json_format" in rules:
        return json.dumps({usable[0].upper() if text.isupper() else usable[0]: text})
    return f'"{text}"' if "startend:quotation" in rules else text


def special_words(rules: dict[str, dict[str, Any]]) -> list[str]:
    words: list[str] = list(rules.get("keywords:existence", {}).get("keywords", ()))
    if arguments := rules.get("keywords:frequency"):
        words += [arguments["keyword"]] * arguments["frequency"]
    arguments = rules.get("keywords:letter_frequency")
    if arguments and arguments["let_relation"] == "at least":
        words += [HOLDS[arguments["letter"]]] * arguments["let_frequency"]
    words += ["[name]"] * rules.get("detectable_content:number_placeholders", {}).get("num_placeholders", 0)
    marked = rules.get("detectable_format:number_highlighted_sections", {}).get("num_highlights", 0)
    words += [f"*{word}*" for word in usable_words(rules)[:marked]]
    arguments = rules.get("change_case:capital_word_frequency")
    if arguments and arguments["capital_relation"] == "at least":
        words += [word.upper() for word in usable_words(rules) if len(word) > 1][: arguments["capital_frequency"]]
    return words


def usable_words(rules: dict[str, dict[str, Any]]) -> list[str]:
    words = TEXTS[rules.get("language:response_language", {"language": "en"})["language"]].split()
    banned = {word.lower() for word in rules.get("keywords:forbidden_words", {}).get("forbidden_words", ())}
    arguments = rules.get("keywords:letter_frequency")
    rare = arguments["letter"] if arguments and arguments["let_relation"] == "less than" else "\0"
    return [word for word in words if word.lower() not in banned and rare not in word.lower()]


def laid_out(rules: dict[str, dict[str, Any]], lines: list[str]) -> str:
    if arguments := rules.get("length_constraints:number_paragraphs"):
        return "\n***\n".join(parts(lines, arguments["num_paragraphs"]))
    if arguments := rules.get("length_constraints:nth_paragraph_first_word"):
        paragraphs = parts(lines, arguments["num_paragraphs"])
        nth = arguments["nth_paragraph"] - 1
        paragraphs[nth] = f"{arguments['first_word'].capitalize()} {paragraphs[nth]}"
        return "\n\n".join(paragraphs)
    if arguments := rules.get("detectable_format:multiple_sections"):
        sections = enumerate(parts(lines, arguments["num_sections"]), start=1)
        return "\n".join(f"{arguments['section_spliter']} {number}\n{text}" for number, text in sections)
    if arguments := rules.get("detectable_format:number_bullet_lists"):
        return "\n".join(f"* {text}" for text in parts(lines, arguments["num_bullets"]))
    if "combination:two_responses" in rules:
        return "\n******\n".join(parts(lines, 2))
    return " ".join(lines)


def parts(lines: list[str], count: int) -> list[str]:
    """The sentences dealt to ``count`` parts; too few are repeated with a word more, so that the parts differ."""
    dealt = [*lines, *(f"{line[:-1]} again." for line in lines)]
    while len(dealt) < count:
        dealt += [f"{line[:-1]} again." for line in dealt]
    kept = dealt[: max(count, len(lines))]
    return [" ".join(kept[index::count]) for index in range(count)]
