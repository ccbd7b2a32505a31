"""What verl needs to train a model of 30,000 parameters on a CPU: a platform, and a sampler.

verl knows accelerators alone, and samples by vLLM, SGLang or TensorRT-LLM. Its own registries take a CPU in place of
NVIDIA's platform, and a Hugging Face model in a Ray actor in place of vLLM. verl imports this module in every process
where ``VERL_USE_EXTERNAL_MODULES`` names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import ray
import torch
import wrapt
from verl.plugin.platform import platform_manager
from verl.plugin.platform.platform_cuda import PlatformCUDA


class Device(ModuleType):
    """``torch.cpu`` with the functions of ``torch.cuda`` that verl calls."""

    def __getattr__(self, name: str) -> Any:
        if name in ("max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved"):
            return lambda *_: 0
        if name == "mem_get_info":
            return lambda *_: (1, 1)
        if name == "empty_cache":
            return lambda: None
        if name in ("get_rng_state", "set_rng_state"):
            return getattr(torch, name)
        return getattr(torch.cpu, name)


@platform_manager.PlatformRegistry.register("nvidia")
class PlatformCPU(PlatformCUDA):  # type: ignore[misc]
    """A CPU that passes for one GPU, which Ray is told of."""

    device_name = "cpu"
    device_module = Device("device")

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        return True

    def current_device(self) -> Any:
        return "cpu"

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None:
        """There is one."""

    def synchronize(self, device_index: int | None = None) -> None:
        """Nothing is under way."""

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def empty_cache(self) -> None:
        """There is none."""

    def set_allocator_settings(self, settings: str) -> None:
        """There is no allocator to set."""

    def communication_backend_name(self) -> str:
        return "gloo"

    def is_ipc_supported(self) -> bool:
        return False


platform_manager._current_platform = PlatformCPU()

_init_process_group = torch.distributed.init_process_group


def _init_one_backend(backend: str, **options: Any) -> None:
    """Without the backend of the accelerator, which verl names beside the CPU's."""
    _init_process_group(backend="gloo" if backend == "cpu:gloo,cpu:gloo" else backend, **options)


torch.distributed.init_process_group = _init_one_backend


def _name(rank: int) -> str:
    return f"verl_rollout_{rank}"


@ray.remote
class Sampler:
    """The policy, which samples one response at a time."""

    def __init__(self, path: str) -> None:
        from transformers import AutoModelForCausalLM

        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        self.steps = 0
        torch.manual_seed(0)

    async def update(self, weights: dict[str, torch.Tensor], steps: int) -> None:
        own = self.model.state_dict()
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        assert not unexpected
        assert all(own[name] is not None for name in missing)
        self.steps = steps

    async def generate(self, prompt_ids: list[int], sampling_params: dict[str, Any], **_: Any) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        ids = torch.tensor([prompt_ids])
        limit = sampling_params.get("max_tokens") or sampling_params.get("max_new_tokens") or 12
        with torch.no_grad():
            output = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, max_new_tokens=min(limit, 12)
            )
        return TokenOutput(
            token_ids=output[0, len(prompt_ids) :].tolist(),
            stop_reason="completed",
            extra_fields={"global_steps": self.steps},
        )


@wrapt.when_imported("verl.workers.rollout.replica")
def _register_replica(module: Any) -> None:
    class Replica(module.RolloutReplica):  # type: ignore[misc,name-defined]
        async def launch_servers(self) -> None:
            path = self.model_config.path
            self._server_handle = Sampler.options(name=_name(self.replica_rank), max_concurrency=1).remote(path)
            self._server_address = _name(self.replica_rank)
            self.servers = [self._server_handle]
            await self._server_handle.__ray_ready__.remote()

        async def sleep(self) -> None:
            """The weights stay."""

        async def wake_up(self) -> None:
            """The weights are there."""

    module.RolloutReplicaRegistry.register("vllm", lambda: Replica)


@wrapt.when_imported("verl.workers.rollout.base")
def _register_adapter(module: Any) -> None:
    class Adapter(module.BaseRollout):  # type: ignore[misc,name-defined]
        async def resume(self, tags: list[str]) -> None:
            """The weights are there."""

        async def release(self) -> None:
            """The weights stay."""

        async def update_weights(
            self, weights: Iterator[tuple[str, torch.Tensor]], global_steps: int = 0, **_: Any
        ) -> None:
            sent = {name: tensor.detach().cpu().float() for name, tensor in weights}
            await ray.get_actor(_name(0)).update.remote(sent, global_steps)

    globals()["Adapter"] = Adapter
    module._ROLLOUT_REGISTRY["vllm", "async"] = f"{__name__}.Adapter"
