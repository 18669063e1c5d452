"""The report of a data set: text, tables, blocks, page."""
