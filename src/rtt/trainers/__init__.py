"""Engines: where relevance, verifiers and credit meet a training loop.

:mod:`rtt.trainers.trl` is TRL's, :mod:`rtt.trainers.verl` verl's (experimental), and :mod:`rtt.trainers.settings` what
both have in common.
"""
