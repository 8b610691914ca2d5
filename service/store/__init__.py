"""Objects under keys, in a folder or in S3, with one meaning of every error; what lies where
(`keys`); what a sweep was asked for (`manifest`), on what it was trained (`origins`) and what a
driver says of itself (`heartbeat`).

Uses: settings, text, retry. Used by: everything that keeps something.
"""
