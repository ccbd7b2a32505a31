"""RTT-GRPO inside verl (experimental): a reward manager, a trainer, and one line of JSON between them.

    reward workers (many processes)                    trainer (one process)
    ───────────────────────────────                    ─────────────────────
    RubricRewardManager.run_single                     RTTTrainer._compute_advantage
      response, tokens with their characters             verl's own GRPO advantages        A_res (B, T)
      verdicts: rules, a judge for the rest              payloads → CreditBatch → A_tok    (B, T)
      relevance (K, T)                                   A = A_res + lambda A_tok, on the response's own tokens
        └── Payload, one line of JSON ── TransferQueue ──┘

An advantage estimator alone would not do: verl never shows it what belongs to one response. Both classes are registered
under the name ``rtt`` by :mod:`rtt.trainers.verl.plugin`, which ``import verl`` finds by its entry point.
``A = A_res + lambda A_tok`` as in arXiv:2604.02795; ``token_weight=0`` leaves verl's advantages as they are.

Importing this package imports neither verl nor torch.
"""

from rtt.trainers.verl.data import write_parquet

__all__ = ["write_parquet"]
