"""Outside values → typed arrays: the one door for JSON, CSV, Parquet, rows and tensors. Exact, or refused.

numbers   values and arrays of a datatype        cells     what one cell of a table is: a gap, a number, a category
table     rows of named cells → a model's inputs csvfile   the one dialect reader, of whole files and of records
plain     what files of columns hold, as JSON has it
place     where a value stands, in words         texts     bytes → text, by its byte order mark and its charset

docs/decisions/0055-one-door.md has the rules.
"""
