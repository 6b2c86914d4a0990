"""The audit in figures.

report       the audit -> a `Report`
tables       segments -> tables, by DuckDB (queries/*.sql)
figures      the values
words        how they are said
"""
