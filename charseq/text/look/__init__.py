"""What the first lines of a file ask for, before it is trained on.

``pairs.py`` looks at a file of pairs (``first_lines.py``): what its columns are (``columns.py``),
and which lines are odd (``odd_lines.py``). ``text.py`` looks at a text.
"""
