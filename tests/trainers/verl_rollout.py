"""A sampler for verl on a CPU: a Hugging Face model in a Ray actor, behind the two registries that verl looks in.

verl samples by vLLM, SGLang or TensorRT-LLM, none of which is needed for a model of 30,000 parameters. verl imports
this module in every process where ``VERL_USE_EXTERNAL_MODULES`` names it; it then stands under the name ``vllm``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ray
import torch
import wrapt


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
