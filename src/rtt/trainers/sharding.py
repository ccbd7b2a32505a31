"""Shared-out weights: what happens to the policy's under DeepSpeed and FSDP is not to happen to a relevance model's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from transformers.integrations import deepspeed

_EFFICIENT_LOADING = "FSDP_CPU_RAM_EFFICIENT_LOADING"


@contextlib.contextmanager
def whole_models() -> Iterator[None]:
    """Models that are loaded inside are whole in every process, as a relevance source reads them.

    Under ZeRO-3 transformers gives each process a part of whatever model it loads. With FSDP's
    ``cpu_ram_efficient_loading`` it leaves (before its version 5) the weights empty in all processes but the first, for
    FSDP to fill.
    """
    zero, efficient = deepspeed._hf_deepspeed_config_weak_ref, os.environ.pop(_EFFICIENT_LOADING, None)
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        deepspeed._hf_deepspeed_config_weak_ref = zero
        if efficient is not None:
            os.environ[_EFFICIENT_LOADING] = efficient
