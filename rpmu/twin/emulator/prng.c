/* prng.c: xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64, and Gaussian numbers by the polar method.
 * Every purpose has its own stream, so that changing one (bus jitter) leaves the others (noise) as they were. */
#include "internal.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void random_seed(Random *random, uint64_t seed, uint64_t stream)
{
    uint64_t state = stream;
    state = splitmix64(&state) ^ seed;
    for (int k = 0; k < 4; k++)
        random->state[k] = splitmix64(&state);
    random->has_spare = false;
}

uint64_t random_bits(Random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static double uniform(Random *random) /* [-1, 1) */
{
    return (double)(random_bits(random) >> 11) * 0x1p-52 - 1.0;
}

double random_gaussian(Random *random)
{
    if (random->has_spare) {
        random->has_spare = false;
        return random->spare;
    }
    double u, v, s;
    do {
        u = uniform(random);
        v = uniform(random);
        s = u * u + v * v;
    } while (s >= 1.0 || s == 0.0);
    double factor = sqrt(-2.0 * log(s) / s);
    random->spare = v * factor;
    random->has_spare = true;
    return u * factor;
}
