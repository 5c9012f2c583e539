"""Pairs that are made, not collected: dates, sums, turned strings, numbers in words.

Each generator draws rows; ``draw.py`` sees to it that none comes twice and that a seed gives the
same rows everywhere, ``write.py`` splits them and writes a folder.
"""
