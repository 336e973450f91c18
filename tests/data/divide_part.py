# SPDX-License-Identifier: Apache-2.0
# Prints what divide.c knows about the part that is drawn from its data: fraction .2, seed 5.
# Written from the header's words, with exact fractions.
from fractions import Fraction

from sampler_order import philox

SPLIT, COUNT, SEED, SHARE = 4, 997, 5, Fraction(1, 5)
labels = [i * i % 10 for i in range(COUNT)]
labels[500] = 10
lots = [philox((SEED, 0), (0, i, 0, SPLIT)) for i in range(COUNT)]
classes = {k: [i for i in range(COUNT) if labels[i] == k] for k in range(11)}
exact = {k: SHARE * len(ids) for k, ids in classes.items()}
wanted = {k: int(x) for k, x in exact.items()}
missing = round(SHARE * COUNT) - sum(wanted.values())
for k in sorted(classes, key=lambda k: (wanted[k] - exact[k], k)):
    if missing > 0 and wanted[k] + 1 < len(classes[k]):
        wanted[k] += 1
        missing -= 1
part = sorted(i for k, ids in classes.items()
              for i in sorted(ids, key=lambda i: (lots[i][0] << 32 | lots[i][1], i))[:wanted[k]])
print(len(part), part[:12])
print(sum(i * i for i in part))
