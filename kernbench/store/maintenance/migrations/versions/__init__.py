"""One file for each version of the result tables.

A migration is frozen: it imports nothing of kernbench, whose tables go on changing. Beside `upgrade` it has `fill`,
which gives new columns the values that older ones imply, and changes no value that is there.
"""
