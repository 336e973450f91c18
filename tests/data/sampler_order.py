# SPDX-License-Identifier: Apache-2.0
"""The orders that sampler.c expects, from Python's integers alone."""


def philox(key, counter):
    k, c = list(key), list(counter)
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [q >> 32 ^ c[1] ^ k[0], q & 0xFFFFFFFF, p >> 32 ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def draws(seed, epoch):
    block = 0
    while True:
        yield from philox((seed & 0xFFFFFFFF, seed >> 32), (block, 0, epoch, 2))
        block += 1


def below(stream, n):
    """Uniform in 0 .. n-1: draws whose bin would be one too many are left out."""
    while True:
        product = next(stream) * n
        if product % 2**32 >= 2**32 % n:
            return product >> 32


def order(seed, epoch, count):
    stream, o = draws(seed, epoch), list(range(count))
    for i in range(count, 1, -1):
        j = below(stream, i)
        o[i - 1], o[j] = o[j], o[i - 1]
    return o


assert philox((0, 0), (0, 0, 0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
if __name__ == "__main__":
    for seed, epoch in ((0, 0), (42, 3), (0x123456789ABCDEF0, 9)):
        numbers = ", ".join(map(str, order(seed, epoch, 12)))
        print("      {0x%xu, %d, {%s}}," % (seed, epoch, numbers))
