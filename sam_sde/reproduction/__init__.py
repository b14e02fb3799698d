"""The papers' statements, each run with the tools that users have, and judged from the tables that it wrote.

A statement is a short module: `measure` runs the experiment and returns tables, which are written as CSV files, and
`judge` reads nothing but those files. Nothing here knows how anything is drawn or printed.
"""
