"""What diffusion models of any family are made of: the rectified flow, and layers of M members.

Uses: torch alone. Used by: image, rules, and what analyzes them.
"""
