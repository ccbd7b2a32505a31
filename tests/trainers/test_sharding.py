"""Models of relevance sources are loaded whole, whatever is asked of the policy's. With DeepSpeed: test_engines.py."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest.importorskip("trl")

from transformers.integrations import deepspeed

from rtt.trainers.sharding import whole_models

EFFICIENT_LOADING = "FSDP_CPU_RAM_EFFICIENT_LOADING"


class ZeRO3:
    def is_zero3(self) -> bool:
        return True


@pytest.fixture
def sharded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which transformers is told of ZeRO-3 and of FSDP's loading at once."""
    monkeypatch.setenv(EFFICIENT_LOADING, "true")
    config = ZeRO3()
    deepspeed.set_hf_deepspeed_config(config)
    yield
    deepspeed.unset_hf_deepspeed_config()


@pytest.mark.usefixtures("sharded")
def test_inside_nothing_is_shared_out_and_afterwards_all_is_as_before() -> None:
    with whole_models():
        assert not deepspeed.is_deepspeed_zero3_enabled()
        assert EFFICIENT_LOADING not in os.environ
    assert deepspeed.is_deepspeed_zero3_enabled()
    assert os.environ[EFFICIENT_LOADING] == "true"


@pytest.mark.usefixtures("sharded")
def test_a_model_that_cannot_be_loaded_leaves_all_as_before() -> None:
    with pytest.raises(OSError, match="no such model"), whole_models():
        raise OSError("no such model")
    assert deepspeed.is_deepspeed_zero3_enabled()
    assert os.environ[EFFICIENT_LOADING] == "true"


def test_where_nothing_is_shared_out_nothing_is_changed() -> None:
    with whole_models():
        pass
    assert not deepspeed.is_deepspeed_zero3_enabled()
    assert EFFICIENT_LOADING not in os.environ
