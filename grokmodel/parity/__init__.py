"""The streaming-parity network of van Rossem and Saxe (ICML 2025, arXiv 2507.09897), written for M
members at once: a small recurrent network that first fits sequences as a tree, then merges states
until they are a finite automaton: config, model, pack, evaluation, automaton, theory.

Uses: core. Used by: the service, as it uses image.
"""
