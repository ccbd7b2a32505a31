"""The discriminator: a model that reads criteria and a response and says which characters the verdicts hang on.

    examples          what it learns from: criterion, response, the characters that count
    wordings          the rules' criteria in many words
    patterns, edits, sampling   criteria about features of any text, and texts that are changed to meet or break them
    counterfactuals   the characters whose removal turns a verdict over
    annotator         a language model quotes the characters
    inputs, model, training, source   tensors, two architectures, their training, relevance for a trainer
    evaluation, baselines             how good it is, and beside what

The relevance of arXiv:2604.02795, section 3. Importing this package imports none of them.
"""
