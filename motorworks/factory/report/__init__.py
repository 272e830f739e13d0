"""The report of a turn: one self-contained HTML file, made from the records and files that stages leave."""
