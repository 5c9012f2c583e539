"""What the first lines of a file ask for, before it is trained on.

A file of pairs: its first lines (``first_lines.py``), what their columns are (``columns.py``), how
they are read (``pairs.py``), which of them are odd (``odd_lines.py``), and what so few pairs are
trained with (``size.py``). ``text.py`` looks at a text.
"""
