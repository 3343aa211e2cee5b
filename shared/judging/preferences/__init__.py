"""Preference pairs and the judges that are fitted to them, for owners and miners alike.

`pairs` reads and splits them, `agreement` measures a judge on them, `bradley_terry` and `head` fit one.
Duels never call it.
"""
