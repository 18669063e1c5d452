"""Studies: which runs docs/results.md rests on, making those that are missing, and putting the
records together.
"""
