"""Images of symbols (built-in glyphs, EMNIST, Kuzushiji-49, Omniglot) with their fingerprint, and
the task: pairs, operations, splits.

Uses: errors. Used by: image, tokens, probing, analysis; the service to bind trials to images.
"""
