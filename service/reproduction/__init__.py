"""The claims of the paper, judged from the tables, and the document that says so."""
