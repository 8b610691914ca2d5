"""The paper's claims, judged from the tables by stated rules, and the document that says so.

Uses: report, tables. Used by: sweeps.
"""
