"""The command line: one short file a command; ``console.py`` draws what several of them show."""
