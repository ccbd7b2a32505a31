"""The demo: a real language model learns to follow rubrics on a laptop's CPU.

models       where the model comes from: a folder, the hub, the package index; a tiny random one for tests
settings     every number that can be turned, and the methods that are compared
evaluation   held-out rubric and instruction accuracy with intervals, by rule, before and after
run          the walk: model -> before -> train -> after -> report
report       tables for a terminal, Markdown, JSON
plots        curves of the training, bars by rule
"""
