"""Plant known defects, one at a time, in a copy of the package, and see which tests turn red.

    python tools/plant_defects.py [--only WORDS] [--list]

Most of the defects were found in released code for arXiv:2604.02795; the others are the slips that this code invites. A
defect is a replacement of text in one file. The copy is tested with the tests it names; a defect that they let pass
*survives*, and the exit code is 1. Before any defect is planted the same tests have to pass on an unchanged copy.

To add one, append a ``Defect`` to ``DEFECTS``. Its old text has to occur exactly once, so that a defect cannot quietly
miss its place when the code moves on.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

BATCH, GROUPS, REWARDS = "rtt/credit/batch.py", "rtt/credit/groups.py", "rtt/credit/rewards.py"
TOKENS, ADVANTAGES = "rtt/credit/tokens.py", "rtt/credit/advantages.py"
RESPONSES, EVIDENCE, TRL = "rtt/responses.py", "rtt/relevance/evidence.py", "rtt/trainers/trl.py"
VERIFIERS, SETTINGS = "rtt/verifiers/__init__.py", "rtt/trainers/settings.py"
ALARMS, ALARM_TESTS = "rtt/inspector/alarms.py", "tests/inspector/test_alarms.py"

PARTITIONS, PROPERTIES = "tests/credit/test_partitions.py", "tests/credit/test_properties.py"
OPTIONS, PROCESSES = "tests/credit/test_options.py", "tests/credit/test_processes.py"
LEVELS, BATCHES, REWARD_TESTS = (
    "tests/credit/test_levels.py",
    "tests/credit/test_batch.py",
    "tests/credit/test_rewards.py",
)

RESPONSE_TESTS, EVIDENCE_TESTS, TRAINER = (
    "tests/test_responses.py",
    "tests/relevance/test_evidence.py",
    "tests/trainers/test_trl.py",
)
VERIFY_TESTS, TURNS = "tests/verifiers/test_verify.py", "tests/trainers/test_turns.py"

INPUTS, MODEL = "rtt/relevance/discriminator/inputs.py", "rtt/relevance/discriminator/model.py"
TRAINING, ALIGNMENT = "rtt/relevance/discriminator/training.py", "rtt/alignment.py"
INPUT_TESTS, MODEL_TESTS, TRAINING_TESTS, ALIGNMENT_TESTS = (
    "tests/relevance/discriminator/test_inputs.py",
    "tests/relevance/discriminator/test_model.py",
    "tests/relevance/discriminator/test_training.py",
    "tests/test_alignment.py",
)


@dataclass(frozen=True)
class Defect:
    """One mistake: in ``file`` (below src) ``old`` becomes ``new``, and one of ``tests`` has to turn red."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


JUDGE, REPLIES = "rtt/verifiers/judge/__init__.py", "rtt/verifiers/judge/replies.py"
PROMPTS, CACHE = "rtt/verifiers/judge/prompts.py", "rtt/verifiers/judge/cache.py"
ENDPOINTS, QUOTES, AGREEMENT = "rtt/endpoints.py", "rtt/quotes.py", "rtt/verifiers/judge/agreement.py"
JUDGE_TESTS, REPLY_TESTS = "tests/verifiers/judge/test_judge.py", "tests/verifiers/judge/test_replies.py"
PROMPT_TESTS, CACHE_TESTS = "tests/verifiers/judge/test_prompts.py", "tests/verifiers/judge/test_cache.py"
ENDPOINT_TESTS, QUOTE_TESTS = "tests/test_endpoints.py", "tests/test_quotes.py"
NEVER_YES, AGREEMENT_TESTS = "tests/verifiers/judge/test_never_yes.py", "tests/verifiers/judge/test_agreement.py"
TRAINER_JUDGE = "tests/trainers/test_judge.py"

DEFECTS = [
    # ------------------------------------------------------------------------------- axes, types, masks
    Defect(
        "reshape for permute, in the partitions",
        TOKENS,
        "    relevance = own_relevance(batch, taking_part)\n",
        "    relevance = own_relevance(batch, taking_part)\n"
        "    relevance = relevance.reshape(relevance.shape[1], relevance.shape[0], -1).permute(1, 0, 2).contiguous()\n",
        (PARTITIONS,),
    ),
    Defect(
        "reshape for permute, in the token rewards",
        REWARDS,
        "    return (signs * batch.relevance)",
        "    b, k, t = batch.relevance.shape\n    return (signs * batch.relevance.reshape(k, b, t).permute(1, 0, 2))",
        (REWARD_TESTS,),
    ),
    Defect(
        "the mask is not moved along with the responses",
        TOKENS,
        "    own = taking_part.to(relevance.dtype)\n",
        "    own = taking_part.flip(0).to(relevance.dtype)\n",
        (PARTITIONS,),
    ),
    Defect(
        "integer relevance is taken",
        BATCH,
        "    if not values.is_floating_point():\n",
        "    if values.is_complex():\n",
        (BATCHES,),
    ),
    Defect(
        "relevance passes through an integer tensor",
        BATCH,
        'self._set("relevance", _floats("relevance", self.relevance))',
        'self._set("relevance", _floats("relevance", self.relevance).long().float())',
        (PARTITIONS, BATCHES),
    ),
    Defect(
        "half-precision relevance passes through an integer tensor",
        BATCH,
        "    return values if values.dtype in _WIDE else values.float()\n",
        "    return values if values.dtype in _WIDE else values.long().float()\n",
        (BATCHES,),
    ),
    Defect(
        "collate writes relevance into an integer tensor",
        BATCH,
        "    relevances = torch.zeros(b, k, t, dtype=dtype)\n",
        "    relevances = torch.zeros(b, k, t, dtype=torch.int64)\n",
        (BATCHES,),
    ),
    Defect(
        "criteria after the 20th are dropped",
        BATCH,
        '    k = _padded_size("criteria"',
        '    ragged = [(v[:20], r[:20], m, w[:20]) for v, r, m, w in ragged]\n    k = _padded_size("criteria"',
        (BATCHES,),
    ),
    Defect(
        "relevance outside the mask leaks",
        BATCH,
        " and not bool(torch.bmm(self.relevance, outside).any()):",
        ":",
        (BATCHES, PROPERTIES),
    ),
    Defect(
        "relevance is not held to [0, 1]",
        BATCH,
        "        if low < 0 or high > 1:\n",
        "        if low > high:\n",
        (BATCHES,),
    ),
    # ------------------------------------------------------------------------------- moments
    Defect(
        "padding inside the moments",
        TOKENS,
        "    own = taking_part.to(relevance.dtype)\n",
        "    own = torch.ones_like(taking_part, dtype=relevance.dtype)\n",
        (PARTITIONS,),
    ),
    Defect(
        "mean over undetermined criteria too",
        TOKENS,
        "    determined = precise(batch.determined).sum(dim=1, keepdim=True)\n",
        "    determined = precise(torch.ones_like(batch.determined)).sum(dim=1, keepdim=True)\n",
        (PARTITIONS,),
    ),
    Defect(
        "mean over undetermined criteria too, in inter_sample",
        ADVANTAGES,
        "precise(batch.determined).sum(dim=1, keepdim=True).clamp(min=1))",
        "batch.verdicts.shape[1])",
        (PARTITIONS,),
    ),
    Defect(
        "undetermined criteria inside the group's moments",
        TOKENS,
        "        count=measured.count * batch.determined,\n",
        "        count=measured.count.expand_as(measured.mean),\n",
        (PARTITIONS,),
    ),
    Defect(
        "undetermined responses inside the group's moments",
        TOKENS,
        "        count=measured.count * batch.determined.any(dim=1, keepdim=True),\n",
        "        count=measured.count,\n",
        (PARTITIONS,),
    ),
    Defect(
        "undetermined verdicts inside the scores' moments",
        GROUPS,
        "(verdicts != 0).to(verdicts.dtype), verdicts, torch",
        "torch.ones_like(verdicts), verdicts, torch",
        (PARTITIONS,),
    ),
    Defect(
        "softmax over undetermined criteria too",
        ADVANTAGES,
        "torch.stack([scores, batch.determined.to(scores.dtype)], dim=1)",
        "torch.stack([scores, torch.ones_like(scores)], dim=1)",
        (PARTITIONS,),
    ),
    Defect(
        "criteria_mean mixes prompts",
        ADVANTAGES,
        "    if moments is not None and moments.mean.shape[1] != 1:\n",
        "    batch = CreditBatch(batch.verdicts, batch.relevance, batch.mask, batch.group * 0, batch.weights)\n"
        "    if moments is not None and moments.mean.shape[1] != 1:\n",
        (PARTITIONS,),
    ),
    Defect(
        "response advantages mix prompts",
        ADVANTAGES,
        "    values = precise(rewards).unsqueeze(1)\n",
        "    values, group = precise(rewards).unsqueeze(1), group * 0\n",
        (LEVELS,),
    ),
    Defect(
        "groups are taken to lie side by side, equally long",
        GROUPS,
        "        present = self.count > 0\n",
        "        index, present = index.sort().values, self.count > 0\n",
        (PARTITIONS, PROPERTIES),
    ),
    Defect(
        "sample for population std, in intra_sample",
        TOKENS,
        "(self.spread / self.count.clamp(min=1)).sqrt()",
        "(self.spread / (self.count - 1).clamp(min=1)).sqrt()",
        (PARTITIONS,),
    ),
    Defect(
        "sample for population std, in inter_sample",
        ADVANTAGES,
        "    pooled = (moments or mine).pool(correction=0)\n    std =",
        "    pooled = (moments or mine).pool(correction=1)\n    std =",
        (PARTITIONS,),
    ),
    Defect(
        "sample for population std, in criteria_mean",
        ADVANTAGES,
        "    pooled = (moments or mine).pool(correction=0)\n    offset =",
        "    pooled = (moments or mine).pool(correction=1)\n    offset =",
        (PARTITIONS,),
    ),
    Defect(
        "sample for population std, in criterion_group",
        ADVANTAGES,
        "verdict_scores(batch, context, correction=0)",
        "verdict_scores(batch, context, correction=1)",
        (PARTITIONS,),
    ),
    Defect(
        "population for sample std, in criteria_softmax",
        ADVANTAGES,
        "verdict_scores(batch, context, correction=1)",
        "verdict_scores(batch, context, correction=0)",
        (PARTITIONS,),
    ),
    Defect(
        "population for sample std, in response advantages",
        ADVANTAGES,
        "pool(correction=1)",
        "pool(correction=0)",
        (LEVELS,),
    ),
    Defect(
        "the spread between responses is left out of a group's",
        GROUPS,
        "self.spread.where(present, 0.0) + self.count * (above - mean[index]).square())",
        "self.spread.where(present, 0.0))",
        (PARTITIONS,),
    ),
    Defect(
        "inter_sample subtracts the response's own mean",
        ADVANTAGES,
        "measured.weighted_sum(scale * precise(batch.signed_verdicts), offset)",
        "measured.weighted_sum(scale * precise(batch.signed_verdicts))",
        (PARTITIONS,),
    ),
    Defect("rounding noise in constant rows", TOKENS, "_FLAT = 1 / 16", "_FLAT = 0.0", (PARTITIONS,)),
    Defect(
        "flat rows keep the rounding of their mean",
        TOKENS,
        "    rows.addcmul_(own_rows, rest.to(rows.dtype).unsqueeze(1), value=-1)\n",
        "",
        (PARTITIONS,),
    ),
    Defect(
        "equal rewards differ by rounding",
        GROUPS,
        "        lowest = lowest.where(lowest.isfinite(), 0.0)\n",
        "        lowest = torch.zeros_like(lowest)\n",
        (LEVELS,),
    ),
    Defect(
        "autocast halves the precision",
        TOKENS,
        "enabled=False):",
        "enabled=torch.is_autocast_enabled(tokens.device.type)):",
        (PARTITIONS,),
    ),
    # ------------------------------------------------------------------------------- signs, verdicts, rewards
    Defect(
        "a negative weight does not turn the verdict round",
        BATCH,
        "torch.where(self.weights < 0, -self.verdicts, self.verdicts)",
        "self.verdicts",
        (REWARD_TESTS, PARTITIONS),
    ),
    Defect(
        "a weight of 0 turns the verdict round",
        BATCH,
        "torch.where(self.weights < 0, -self.verdicts, self.verdicts)",
        "torch.where(self.weights <= 0, -self.verdicts, self.verdicts)",
        (REWARD_TESTS,),
    ),
    Defect(
        "a negative weight does not turn the score round",
        GROUPS,
        "torch.where(batch.weights < 0, -scores, scores)",
        "scores",
        (PARTITIONS,),
    ),
    Defect(
        "the sign of the verdict is lost",
        TOKENS,
        "    shares = precise(batch.signed_verdicts) /",
        "    shares = precise(batch.signed_verdicts.abs()) /",
        (PARTITIONS,),
    ),
    Defect(
        "undetermined counts as violated, all or nothing",
        REWARDS,
        "(batch.signed_verdicts >= 0)",
        "(batch.signed_verdicts > 0)",
        (REWARD_TESTS,),
    ),
    Defect(
        "undetermined counts as violated, fraction",
        REWARDS,
        "(sizes * batch.determined).sum(dim=1)",
        "sizes.sum(dim=1)",
        (REWARD_TESTS,),
    ),
    Defect(
        "a response without a determined criterion is rewarded",
        REWARDS,
        "flawless.where(batch.determined.any(dim=1), torch.nan)",
        "flawless",
        (REWARD_TESTS,),
    ),
    Defect(
        "a response without reward enters the group's moments",
        ADVANTAGES,
        "    present = ~values.isnan()\n",
        "    present = torch.ones_like(values, dtype=torch.bool)\n",
        (LEVELS,),
    ),
    Defect(
        "gdpo is not normalised over the batch",
        ADVANTAGES,
        "(own - total.mean()) / (spread.sqrt() + 1e-4)",
        "own",
        (LEVELS,),
    ),
    # ------------------------------------------------------------------------------- options and lambda
    Defect(
        "the end of the sequence stays in the moments",
        TOKENS,
        "    taking_part = own_tokens(batch, special)\n",
        "    taking_part = batch.mask\n",
        (OPTIONS,),
    ),
    Defect(
        "special tokens get an advantage, in criteria_softmax",
        ADVANTAGES,
        ".where(own & (denominator > 0), 0.0)",
        ".where(batch.mask & (denominator > 0), 0.0)",
        (OPTIONS,),
    ),
    Defect(
        "the floor is added and no maximum", ADVANTAGES, "std.clamp(min=floor) + _EPS", "std + floor + _EPS", (OPTIONS,)
    ),
    Defect(
        "silence is forgotten",
        TOKENS,
        " if silent_when_unanimous else shares\n",
        " if silent_when_unanimous and context else shares\n",
        (OPTIONS,),
    ),
    Defect(
        "silence looks at this process alone",
        GROUPS,
        "    pooled = (context or GroupVerdicts.of(batch)).moments().pool(correction=0)\n",
        "    pooled = GroupVerdicts.of(batch).moments().pool(correction=0)\n",
        (PROCESSES,),
    ),
    Defect(
        "scores look at this process alone",
        GROUPS,
        "    pooled = (context or GroupVerdicts.of(batch)).moments().pool(correction=correction)\n",
        "    pooled = GroupVerdicts.of(batch).moments().pool(correction=correction)\n",
        (PROCESSES,),
    ),
    Defect(
        "the bound holds one side only", ADVANTAGES, "clamp_(min=-bound, max=bound)", "clamp_(max=bound)", (OPTIONS,)
    ),
    Defect(
        "mass is preserved over the padding too",
        ADVANTAGES,
        "scores * own.sum(dim=1, keepdim=True) / mass",
        "scores * own.shape[1] / mass",
        (OPTIONS,),
    ),
    Defect(
        "a row without relevance gets no mass",
        ADVANTAGES,
        "scores.where(mass == 0, 0.0)",
        "torch.zeros_like(scores)",
        (OPTIONS,),
    ),
    Defect(
        "lambda 0 is not bit for bit",
        ADVANTAGES,
        "    if weight != 0:",
        "    if weight >= 0:",
        (LEVELS,),
    ),
    Defect("mix adds", ADVANTAGES, '(1 - weight if how == "mix" else 1)', "1", (LEVELS,)),
    Defect(
        "advantages outside the mask",
        ADVANTAGES,
        "    return advantages.where(mask, 0.0)\n",
        "    return advantages\n",
        (LEVELS,),
    ),
    # ------------------------------------------------------------------------------- placement, verdicts, the trainer
    Defect(
        "the answer is placed at its first match",
        RESPONSES,
        "    start = len(text.rstrip()) - len(tail)\n",
        "    start = text.find(tail)\n",
        (RESPONSE_TESTS,),
    ),
    Defect(
        "progress towards an unmet requirement is blamed",
        EVIDENCE,
        "                return ~support\n",
        "                return support\n",
        (EVIDENCE_TESTS,),
    ),
    Defect(
        "an undetermined verdict has relevance",
        EVIDENCE,
        "        if verdict.outcome is Outcome.UNDETERMINED:\n",
        "        if False:\n",
        (EVIDENCE_TESTS,),
    ),
    Defect(
        "an undetermined response is worth 0",
        SETTINGS,
        "    return [None if math.isnan(value) else value for value in rewards]\n",
        "    return [0.0 if math.isnan(value) else value for value in rewards]\n",
        (TRAINER,),
    ),
    Defect(
        "the relevance of another response",
        TRL,
        "torch.as_tensor(relevance[i])",
        "torch.as_tensor(relevance[-1 - i])",
        (TRAINER,),
    ),
    Defect(
        "a rule that raises counts as violated",
        VERIFIERS,
        "        return _undetermined(criterion_id, source, _in_words(found), failed=True)\n",
        "        return Verdict(criterion_id, Outcome.VIOLATED, source, _in_words(found))\n",
        (VERIFY_TESTS,),
    ),
    Defect(
        "discriminator: special tokens in a response are read as such",
        INPUTS,
        "        self._as_text.encode_special_tokens = True",
        "        self._as_text.encode_special_tokens = False",
        (INPUT_TESTS,),
    ),
    Defect(
        "discriminator: a checkpoint's own padding is left on",
        INPUTS,
        "        self._as_text.no_padding()\n",
        "        self._as_text.enable_padding(length=16)\n",
        (INPUT_TESTS,),
    ),
    Defect(
        "discriminator: windows are joined at their edges",
        INPUTS,
        "        middle = (right[0] + left[1]) // 2\n",
        "        middle = left[1]\n",
        (INPUT_TESTS,),
    ),
    Defect(
        "discriminator: numbers of lines begin anew in each window",
        INPUTS,
        "    number -= number.min()\n",
        "    number -= number.max()\n",
        (INPUT_TESTS,),
    ),
    Defect(
        "discriminator: padding has neighbours",
        MODEL,
        "        mixed = mixed * response_mask.view(n, 1, t, 1)  # padding is nobody's neighbour\n",
        "",
        (MODEL_TESTS,),
    ),
    Defect(
        "discriminator: padding is attended to",
        MODEL,
        "        seen = response_mask.repeat_interleave(k, 0).view(n * k, 1, 1, t)\n",
        "        seen = torch.ones_like(response_mask).repeat_interleave(k, 0).view(n * k, 1, 1, t)\n",
        (MODEL_TESTS,),
    ),
    Defect(
        "discriminator: criteria of another response",
        MODEL,
        "        words = criteria_mask[asked]  # (N, K, L)\n",
        "        asked = asked.flip(0)\n        words = criteria_mask[asked]  # (N, K, L)\n",
        (MODEL_TESTS,),
    ),
    Defect(
        "discriminator: criteria sorted by length stay sorted",
        MODEL,
        "                (rows[:, None], torch.arange(longest, device=rows.device)),\n",
        "                (rows.sort().values[:, None], torch.arange(longest, device=rows.device)),\n",
        (MODEL_TESTS,),
    ),
    Defect(
        "discriminator: a causal backbone is told the word's end",
        MODEL,
        "                if self.settings.causal and name in LOOKS_AHEAD:\n",
        "                if False:\n",
        (MODEL_TESTS,),
    ),
    Defect(
        "discriminator: the loss reads padding",
        TRAINING,
        "    relevant, other = (batch.labels > 0) & tokens, (batch.labels == 0) & tokens  # (N, K, T)\n",
        "    relevant, other = (batch.labels > 0) & tokens, batch.labels == 0  # (N, K, T)\n",
        (TRAINING_TESTS,),
    ),
    Defect(
        "discriminator: stopping has relevance 0",
        ALIGNMENT,
        "        means[:, ~spoken] = means[:, spoken].mean(axis=1, keepdims=True)\n",
        "        pass\n",
        (ALIGNMENT_TESTS,),
    ),
    # ------------------------------------------------------------------------------------------ the judge
    Defect(
        "judge: no usable answer is a violation",
        JUDGE,
        "Verdict(criterion_id, Outcome.UNDETERMINED, source, str(result), failed=True)",
        "Verdict(criterion_id, Outcome.VIOLATED, source, str(result))",
        (JUDGE_TESTS,),
    ),
    Defect(
        "judge: a judge that raises is a violation",
        VERIFIERS,
        "    return Verdict(criterion_id, Outcome.UNDETERMINED, source, reason, failed=failed)\n",
        "    return Verdict(criterion_id, Outcome.VIOLATED if failed else Outcome.UNDETERMINED, source, reason)\n",
        (VERIFY_TESTS,),
    ),
    Defect(
        "judge: a JSON object inside of a text is the reply",
        ENDPOINTS,
        "    if block := _CODE_FENCE.match(bare):\n",
        '    if block := re.search(r"(\\{.*\\})", bare, re.DOTALL):\n',
        (NEVER_YES, REPLY_TESTS),
    ),
    Defect(
        "judge: a reply that was cut off is read",
        ENDPOINTS,
        '        if choice.finish_reason == "length":\n',
        "        if False:\n",
        (ENDPOINT_TESTS,),
    ),
    Defect(
        "judge: entries are taken in the order they come",
        REPLIES,
        "    return [_entry(by_number[number]) for number in range(1, count + 1)]\n",
        "    return [_entry(entry) for entry in by_number.values()]\n",
        (REPLY_TESTS,),
    ),
    Defect(
        "judge: 'cannot tell' is a no",
        REPLIES,
        '        return Finding(Outcome.UNDETERMINED, reason=f"the model cannot tell: {reason}")\n',
        '        return Finding(Outcome.VIOLATED, reason=f"the model cannot tell: {reason}")\n',
        (REPLY_TESTS,),
    ),
    Defect(
        "judge: a yes needs no evidence",
        REPLIES,
        "    if satisfied and not claimed and not entry.whole_response:\n",
        "    if False:\n",
        (REPLY_TESTS,),
    ),
    Defect(
        "judge: a verdict stands on quotes that are not there",
        REPLIES,
        "    if claimed and not deciding and not entry.whole_response:\n",
        "    if False:\n",
        (REPLY_TESTS,),
    ),
    Defect(
        "judge: a ready-made reply of the response is the model's",
        REPLIES,
        "    if reason and _is_parroted(entry.reason, response):\n",
        "    if False:\n",
        (REPLY_TESTS,),
    ),
    Defect(
        "judge: the n-th occurrence is the next one",
        REPLIES,
        "            places = places[occurrence - 1 : occurrence]\n",
        "            places = places[occurrence : occurrence + 1]\n",
        (REPLY_TESTS,),
    ),
    Defect(
        "judge: quotes are found in any case",
        QUOTES,
        "    start = response.find(quote)  #",
        "    response, quote = response.lower(), quote.lower()\n    start = response.find(quote)  #",
        (QUOTE_TESTS,),
    ),
    Defect(
        "judge: words that violate also support",
        REPLIES,
        "    support = subtracted(support, violation)",
        "    support = subtracted(support, ())",
        (REPLY_TESTS,),
    ),
    Defect(
        "judge: a response may hold the mark that ends it",
        PROMPTS,
        "    return next(mark for mark in marks if not any(mark in text for text in texts))\n",
        "    return next(mark for mark in marks if texts)\n",
        (PROMPT_TESTS,),
    ),
    Defect(
        "judge: the cache forgets the prompt's template",
        JUDGE,
        "json.dumps([settings, self._template.text, sample])",
        "json.dumps([settings, sample])",
        (JUDGE_TESTS,),
    ),
    Defect(
        "judge: the cache forgets the response",
        JUDGE,
        "json.dumps([shown.conversation, shown.reference, shown.response])",
        "json.dumps([shown.conversation, shown.reference])",
        (JUDGE_TESTS,),
    ),
    Defect(
        "judge: a question under way is asked again",
        JUDGE,
        "            own = [item for item in left if item.key not in session.under_way]\n",
        "            own, session.under_way = left, {}\n",
        (JUDGE_TESTS,),
    ),
    Defect(
        "judge: other processes' claims are not minded",
        JUDGE,
        "if not self._shared or cache.claim(item.key, CLAIM_SECONDS)]\n",
        "if not self._shared or cache.claim(item.key, CLAIM_SECONDS) or True]\n",
        (JUDGE_TESTS,),
    ),
    Defect(
        "judge: a pickle in the cache is loaded",
        CACHE,
        "            return value if mode == MODE_RAW else None\n",
        "            return super().fetch(mode, filename, value, read)\n",
        (CACHE_TESTS,),
    ),
    Defect(
        "judge: the key is repeated where the endpoint repeats it",
        ENDPOINTS,
        '        return text.replace(self._key, "[key]") if self._key else text\n',
        "        return text\n",
        (ENDPOINT_TESTS,),
    ),
    Defect(
        "judge: kappa forgets chance",
        AGREEMENT,
        "        expected = (shares",
        "        expected = 0 * (shares",
        (AGREEMENT_TESTS,),
    ),
    Defect(
        "judge: training goes on whatever fails",
        SETTINGS,
        "    if not judged or failed / judged <= bound:\n",
        "    if True:\n",
        (TRAINER_JUDGE,),
    ),
    Defect(
        "judge: the checkpoint of a stopped run has drawn already",
        TRL,
        "        last_step.recall()\n",
        "",
        (TRAINER_JUDGE,),
    ),
    Defect(
        "turns: what a tool answered is credited",
        TRL,
        '        if "tool_mask" in output:\n',
        "        if False:\n",
        (TURNS,),
    ),
    Defect(
        "turns: what a tool answered is judged",
        TRL,
        ' for message in completion if message["role"] != "tool"]',
        " for message in completion]",
        (TURNS,),
    ),
    Defect(
        "turns: the second turn's tokens span the first one's characters",
        RESPONSES,
        "        spans += [(start + a, start + b) for a, b in turn.spans]\n",
        "        spans += turn.spans\n",
        (RESPONSE_TESTS,),
    ),
    # ------------------------------------------------------------------------------- the audit
    Defect(
        "audit: empty responses are compared with the others",
        ALARMS,
        "0.5 <= len(seen.record.response.text) / max(middle, 1) <= 2\n",
        "True\n",
        (ALARM_TESTS,),
    ),
    Defect(
        "audit: a word that the task names opens doors",
        ALARMS,
        "response.text.lower())) - named:",
        "response.text.lower())):",
        (ALARM_TESTS,),
    ),
]


def plant(source: Path, defect: Defect) -> None:
    """Put the defect into a copy of the package's sources."""
    path = source / defect.file
    text = path.read_text(encoding="utf-8")
    places = text.count(defect.old)
    if places != 1:
        raise SystemExit(f"{defect.name!r}: {places} places in {defect.file} read {defect.old!r}; expected exactly one")
    path.write_text(text.replace(defect.old, defect.new), encoding="utf-8")


def run_tests(source: Path, tests: tuple[str, ...], state: Path) -> tuple[int, str]:
    """Pytest's exit code and output for some tests against the package below ``source``."""
    environment = os.environ | {"PYTHONPATH": str(source), "HYPOTHESIS_STORAGE_DIRECTORY": str(state)}
    origin = subprocess.run(
        [sys.executable, "-c", "import rtt; print(rtt.__file__)"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if source not in Path(origin).parents:
        raise SystemExit(f"the tests would import rtt from {origin}; expected the copy in {source}")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    done = subprocess.run([*command, *tests], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    """Plant, test, report."""
    parser = argparse.ArgumentParser(description="See which tests turn red when a known defect is planted.")
    parser.add_argument("--only", default="", help="defects whose name contains these words")
    parser.add_argument("--list", action="store_true", help="name the defects and stop")
    arguments = parser.parse_args()
    chosen = [defect for defect in DEFECTS if arguments.only in defect.name]
    if arguments.list or not chosen:
        print("\n".join(defect.name for defect in chosen) or f"no defect is named like {arguments.only!r}")
        return 0 if chosen else 2
    survivors = []
    with tempfile.TemporaryDirectory(prefix="rtt-defects-") as folder:
        clean, state = Path(folder) / "clean", Path(folder) / "state"
        shutil.copytree(ROOT / "src", clean, ignore=shutil.ignore_patterns("__pycache__"))
        tests = tuple(dict.fromkeys(test for defect in chosen for test in defect.tests))
        code, output = run_tests(clean, tests, state)
        if code != 0:
            print(output)
            raise SystemExit("the tests fail on an unchanged copy: a red test would say nothing")
        for number, defect in enumerate(chosen):
            copy = Path(folder) / f"defect-{number}"
            shutil.copytree(clean, copy, ignore=shutil.ignore_patterns("__pycache__"))
            plant(copy, defect)
            start = time.perf_counter()
            code, output = run_tests(copy, defect.tests, state)
            failed = re.search(r"^FAILED (\S+)", output, flags=re.MULTILINE)
            if code == 1 and failed:
                print(f"caught    {defect.name}: {failed[1]} ({time.perf_counter() - start:.0f} s)", flush=True)
            elif code == 0:
                survivors.append(defect.name)
                print(f"SURVIVED  {defect.name}", flush=True)
            else:
                print(output)
                raise SystemExit(f"{defect.name!r}: pytest ended with {code} and no failed test")
            shutil.rmtree(copy)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} defects caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
