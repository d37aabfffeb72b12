"""The report: one self-contained page that says what was done and what came out."""
