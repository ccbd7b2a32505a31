"""The page for users of the authors' code: each name of their files is there, and what it says is here is here."""

from __future__ import annotations

import re
from pathlib import Path

from documentation.blocks import ROOT
from documentation.options import configuration_options

PAGE = (ROOT / "docs/from-the-authors-code.md").read_text(encoding="utf-8")

TRAINING = """
exp_name seed worker_cls model_name_or_path logging_dir output_dir system_envs checkpoint_config track_with
tracker_kwargs num_gpus_per_node max_steps save_steps logging_steps eval_steps resume_from_checkpoint
rollout_batch_size prompt_length response_length num_return_sequences_in_group ppo_epochs adv_estimator pg_clip
pg_clip_low pg_clip_high use_pg_clip_range dual_clip_loss norm_mean_type norm_std_type max_len_mask difficulty_mask
difficulty_low_threshold difficulty_high_threshold error_max_len_clip difficulty_loss_weight length_loss_weight
init_kl_coef enable_reference add_token_level_kl reward_union_type whiten_advantages rubric_token_level_reward_method
rubric_token_level_reward_weight rubric_norm_type pretrain reward_pretrain discriminator_pretrain
disable_gradient_checkpointing dtype model_type learning_rate weight_decay per_device_train_batch_size
gradient_accumulation_steps warmup_steps num_train_epochs template file_name domain_interleave_probs dataset_dir
messages interleave_probs preprocessing_num_workers strategy_name tensor_model_parallel_size
pipeline_model_parallel_size expert_model_parallel_size use_distributed_optimizer recompute_granularity device_mapping
infer_batch_size max_new_tokens top_p top_k num_beams temperature num_return_sequences gpu_memory_utilization
block_size max_model_len judge_model_type judge_model_name judge_api_url judge_api_key judge_prompt tag_included
tensor_parallel_size load_format enable_expert_parallel num_gpus_per_worker attn_implementation num_labels validation
validation_benchmark enabled name input_data batch_size save_outputs max_samples muldimif_max_length
"""
"""The names of their examples/rubrics2tokens/*.yaml but for hydra, and of a judge behind an API (rlvr_config.py)."""

DISCRIMINATOR = """
pretrain dataset save_path max_len micro_train_batch_size train_batch_size learning_rate max_epochs bf16 zero_stage
use_tensorboard value_head_prefix lora_rank lora_alpha target_modules eval_dataset criteria_key response_key
token_labels_key char_labels_key label_format lr_warmup_ratio lr_scheduler gradient_checkpointing
"""
"""The options that OpenRLHF/README_TOKEN_LEVEL_VALUE.md explains."""


def in_code(text: str) -> set[str]:
    """The names in a text's code, without its blocks."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return {name for code in re.findall(r"`([^`]+)`", text) for name in re.findall(r"[\w-]+", code)}


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, cell by cell."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]


def test_every_name_of_their_training_files_has_its_place() -> None:
    assert set(TRAINING.split()) <= in_code(PAGE)


def test_every_option_of_their_discriminators_training_has_its_place() -> None:
    assert {f"--{name}" for name in DISCRIMINATOR.split()} <= in_code(PAGE)


def test_options_that_stand_beside_theirs_exist() -> None:
    of_training = {flag.lstrip("-") for flag in configuration_options("rtt train")}
    of_discriminator = {flag.lstrip("-") for flag in configuration_options("rtt discriminator train")}
    for heading, known in [
        ("The method's options", of_training),
        ("The rest of a training file", of_training | {"env", "serve", "vllm"}),
        ("The discriminator", of_discriminator | {"criteria", "response", "token_labels", "char_labels", "model"}),
    ]:
        here = [re.match(r"`([a-z_]+)(?:: [^`]+)?`", cell[1]) for cell in rows(heading)]
        named = {match[1] for match in here if match}
        assert len(named) > 5
        assert named <= known


def test_its_configurations_say_what_theirs_say(tmp_path: Path) -> None:
    from rtt.cli.discriminator.train import parse as parse_discriminator
    from rtt.cli.train import parse

    training_file, discriminator_file = (tmp_path / "training.yaml", tmp_path / "discriminator.yaml")
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    for file, block in zip((training_file, discriminator_file), blocks, strict=True):
        file.write_text(block, encoding="utf-8")
    _, training, model, judge = parse(training_file)
    assert (training.partition, training.token_weight, training.reward) == ("intra_sample", 0.5, "aon")
    assert (training.epsilon, training.epsilon_high, training.loss_type, training.beta) == (0.2, 0.27, "grpo", 0.0)
    assert training.steps_per_generation == 2 * training.gradient_accumulation_steps
    assert (judge.judge, model.model_name_or_path) == ("deepseek-ai/DeepSeek-V3.1", "Qwen/Qwen3-4B-Instruct-2507")
    files, discriminator = parse_discriminator(discriminator_file)
    assert (discriminator.architecture, discriminator.causal, discriminator.learning_rate) == ("cross", True, 9e-6)
    assert files.label_tokenizer == discriminator.backbone
