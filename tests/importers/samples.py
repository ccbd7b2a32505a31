"""A row of each format, written by hand in the form in which the sets are published; nothing of it is from a set."""

from __future__ import annotations

import json
from typing import Any

FUNCTION = "def check_following(instruction, response):\n    return len(response.split()) <= 30\n"


def user(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


IF_RLVR = {
    "key": "tea_1",
    "messages": user("Praise green tea. No commas. At least two of [these]."),
    "ground_truth": "[{'instruction_id': ['punctuation:no_comma', 'detectable_content:number_placeholders'], "
    "'kwargs': [None, {'num_placeholders': 2, 'keyword': None}]}]",
    "dataset": "ifeval",
    "constraint_type": "multi",
    "constraint": "Use no commas.\tHave at least 2 placeholders in square brackets.",
}
IF_TRAIN = {
    **IF_RLVR,
    "key": "tea_2",
    "ground_truth": "[{'instruction_id': ['punctuation:no_comma', 'copy:copy'], "
    "'kwargs': [None, {'prompt_to_repeat': 'x'}]}]",
    "constraint": "Use no commas.\tCopy this: x",
}
RLVR_IFEVAL = {
    "messages": user("Answer with at most 30 words. Why is tea green?"),
    "ground_truth": json.dumps(
        {"func_name": "validate_word_constraint", "N": 30, "quantifier": "at most", "letter": None, "options": None}
    ),
    "dataset": "ifeval",
    "constraint_type": "Number Words",
    "constraint": "Answer with at least / around / at most {N} words",
}
NEMOTRON = {
    "id": 7,
    "responses_create_params": {
        "input": user("Brew tea.\n\nFollow these:\n1. Write no commas.\n2. Write two paragraphs."),
        "tools": [],
    },
    "verifier_metadata": {
        "instruction_id_list": ["punctuation:no_comma", "paragraphs:paragraphs"],
        "prompt": "Brew tea.",
        "kwargs": [None, {}],
        "grading_mode": "binary",
    },
}
VERINSTRUCT = {
    "id": "v1",
    "prompt": "Describe a teapot in 30 words, warmly.",
    "checkers": ["[rule] At most 30 words.", "[llm] The tone is warm."],
    "functions": [FUNCTION, "from llm_call import llm_judge\n"],
}


def hir(source: str, truth: object, *rubrics: object, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{source}-1",
        "messages": user("Tell me about tea."),
        "prompt": "Tell me about tea.",
        "source": source,
        "rubrics": list(rubrics),
        "ground_truth": json.dumps(truth),
        "tag": "if",
        **more,
    }


HIR_1 = hir("type1", {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}, "No commas, please.")
HIR_2 = hir("type2", {"instruction_id_list": ["count:numbers"], "kwargs": [{"N": 3.0}]}, "Exactly 3 numbers.")
HIR_3 = hir(
    "type3",
    {"constraints": [["Length", "Words", "At most 40 words"]], "constraint_pattern": "Listing"},
    {"description": "The answer has at most 40 words."},
)
HIR_4 = hir(
    "type4",
    {"checker": ["[rule]short", "[llm]kind"], "functions": [FUNCTION, ""]},
    "At most 30 words.",
    "The answer is kind.",
)
WILDCHECKLISTS = {
    "prompt": "Write a haiku about tea.",
    "requirements": "1) Is it a haiku? (importance: 100/100)\n"
    "2) Does it do both:\n1) name tea,\n2) rhyme? (importance: 75/100)",
    "chosen": [],
    "chosen_score": 90.0,
}
OPENRUBRICS = {
    "instruction": "Explain steeping.",
    "rubric": "1. The response names a temperature. [Hard Rule]\n2. The response is clear\n   and calm. [Principle]",
    "winner": "A",
    "source": "own",
}
RAR = {
    "question": "Why is the sky blue?",
    "reference_answer": "Rayleigh scattering.",
    "question_source": "own",
    "rubric": [
        {"title": "Scattering", "description": "Essential Criteria: Names Rayleigh scattering.", "weight": 5},
        {"title": "Mirror", "description": "Pitfall Criteria: Claims that the sea is mirrored.", "weight": -2},
    ],
    "rubric_count": 2,
}
RUBRICHUB = {
    "data_source": "Writing",
    "ability": "Writing",
    "prompt": user("Write a toast."),
    "reward_model": {"ground_truth": "", "rubrics": [{"criterion": "Not read.", "points": 1}]},
    "Rubrics": [{"criterion": "Raises a glass.", "points": 7, "tags": None}],
}
HEALTHBENCH = {
    "prompt_id": "p-1",
    "prompt": user("My tea is too hot."),
    "rubrics": [
        {"criterion": "Advises to wait.", "points": 6, "tags": ["axis:accuracy"]},
        {"criterion": "Suggests drinking at once.", "points": -8, "tags": []},
    ],
    "example_tags": ["theme:own"],
    "canary": "own",
}

SAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("if-rlvr", IF_RLVR),
    ("if-rlvr", IF_TRAIN),
    ("rlvr-ifeval", RLVR_IFEVAL),
    ("nemotron", NEMOTRON),
    ("verinstruct", VERINSTRUCT),
    ("hir", HIR_1),
    ("hir", HIR_2),
    ("hir", HIR_3),
    ("hir", HIR_4),
    ("wildchecklists", WILDCHECKLISTS),
    ("openrubrics", OPENRUBRICS),
    ("rar", RAR),
    ("rubrichub", RUBRICHUB),
    ("healthbench", HEALTHBENCH),
]
"""Each with its format."""
