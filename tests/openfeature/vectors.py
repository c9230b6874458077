"""Recomputes flagd's `fractional`, second version, for random keys and weights.

Usage: vectors.py COUNT SEED. Prints a JSON list of cases. Nothing here comes from ctx: the hash is
mmh3's, and the arithmetic is Python's own whole numbers. flagd's `cat` trims what it has joined.
"""

import json
import random
import sys

import mmh3

count, seed = int(sys.argv[1]), int(sys.argv[2])
dice = random.Random(seed)
LETTERS = "abcXYZ0189-_./:@ äßλж日本😀"


def text(longest):
    return "".join(dice.choice(LETTERS) for _ in range(dice.randint(1, longest)))


def weights():
    largest = dice.choice([1, 3, 100, 100_000, 2**31 // 8 - 1])
    return [dice.randint(0, largest) for _ in range(dice.randint(1, 8))]


def place(key, weights):
    total = sum(weights)
    if total == 0:
        return None
    bucket = (mmh3.hash(key, 0, signed=False) * total) >> 32
    reached = 0
    for part, weight in enumerate(weights):
        reached += weight
        if bucket < reached:
            return part


cases = []
for _ in range(count):
    flag, user, salt, shares = text(20), text(60), text(10), weights()
    thousandths = dice.randint(1, 99_999)
    cases.append({
        "flag": flag,
        "user": user,
        "salt": salt,
        "weights": shares,
        "part": place(flag + user, shares),
        "salted": place((salt + user).strip(), shares),
        "thousandths": thousandths,
        "on": place(flag + user, [thousandths, 100_000 - thousandths]) == 0,
    })
print(json.dumps(cases))
