/* A stack of frames to one: see `combine` in combine.py for the rules, and its twin in
 * combine_numpy.py and clipping.py, whose operations these are, in the same order and precision.
 *
 * A tile is a piece of one row: `lanes` pixels of all frames.  Every loop runs over the lanes
 * innermost, so that it becomes one of vectors.  A value that does not count is NaN.
 */
#include "kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 512, FEWEST_LANES = 64, TILE_BYTES = 24576, SMALL_NETWORK = 16, LARGEST_NETWORK = 64 };
enum { MOST_WINSORIZATIONS = 20 };

/* Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M),
 * of which only the comparators are kept that two ranks need. */
typedef struct {
    int n_pairs;
    ptrdiff_t first, second;
    uint8_t pairs[600][2];
} network;

static void make_network(network *net, ptrdiff_t n, ptrdiff_t first, ptrdiff_t second)
{
    uint8_t needed[LARGEST_NETWORK] = {0};
    int n_all = 0, top = 1;
    uint8_t all[600][2];
    net->first = first;
    net->second = second;
    net->n_pairs = 0;
    if (n > LARGEST_NETWORK)
        return;
    while (top * 2 < n)
        top *= 2;
    for (int p = top; p > 0; p /= 2) {
        int q = top, r = 0, d = p;
        for (;;) {
            for (int i = 0; i < n - d; i++)
                if ((i & p) == r) {
                    all[n_all][0] = (uint8_t)i;
                    all[n_all++][1] = (uint8_t)(i + d);
                }
            if (q == p)
                break;
            d = q - p;
            q /= 2;
            r = p;
        }
    }
    needed[first] = needed[second] = 1;
    for (int i = n_all - 1; i >= 0; i--) {
        if (!needed[all[i][0]] && !needed[all[i][1]])
            continue;
        needed[all[i][0]] = needed[all[i][1]] = 1;
        memcpy(net->pairs[net->n_pairs++], all[i], 2);
    }
    for (int i = 0; i < net->n_pairs / 2; i++) {
        uint8_t pair[2];
        memcpy(pair, net->pairs[i], 2);
        memcpy(net->pairs[i], net->pairs[net->n_pairs - 1 - i], 2);
        memcpy(net->pairs[net->n_pairs - 1 - i], pair, 2);
    }
}

/* How many values are dropped of `present` ones where `number` are of all n. */
INLINE int32_t share(int32_t present, int32_t number, ptrdiff_t n)
{
    return (int32_t)floor(present * ((double)number / (double)n) + 0.001);
}

/* Ask memory for the pixels of the next tile, which come while this one is worked on. */
INLINE void ask_for(const plane *p, ptrdiff_t y, ptrdiff_t x, ptrdiff_t nx, size_t n)
{
#if defined(__GNUC__)
    const size_t left = x < nx ? (size_t)(nx - x) : 0, step = p->step > 0 ? (size_t)p->step : 0;
    const size_t size = step * (n < left ? n : left);
    const char *from = left > 0 ? at(p, y, x) : NULL;
    for (size_t i = 0; i < size; i += 64)
        __builtin_prefetch(from + i);
#else
    (void)p, (void)y, (void)x, (void)nx, (void)n;
#endif
}

/* Whether columns, which ascend, are neighbors. */
INLINE int is_run(const ptrdiff_t *column, size_t n)
{
    return n > 0 && column[n - 1] - column[0] == (ptrdiff_t)n - 1;
}

/* Put elements of some size into columns of a row. */
INLINE void put(const target *to, ptrdiff_t y, const ptrdiff_t *column, size_t n,
                const void *elements, size_t size)
{
    char *row = to->start + y * to->row_step;
    if (is_run(column, n))
        memcpy(row + (size_t)column[0] * size, elements, n * size);
    else
        for (size_t i = 0; i < n; i++)
            memcpy(row + (size_t)column[i] * size, (const char *)elements + i * size, size);
}

INLINE int32_t least(const int32_t *numbers, size_t n)
{
    int32_t smallest = INT32_MAX;
    for (size_t i = 0; i < n; i++)
        smallest = numbers[i] < smallest ? numbers[i] : smallest;
    return smallest;
}

/* Functions of their own rather than one large one, which takes compilers minutes. */
#define PART VECTORIZED static

#define REAL float
#define KEY int32_t
#define KEY_MAX INT32_MAX
#define EPSILON 1.1920928955078125e-07f
#define SQRT sqrtf
#define FABS fabsf
#define LOAD load_floats
#define STORED F32
#define APART 1
#define OF(name) name##_float
#include "combine_tile.h"
#undef REAL
#undef KEY
#undef KEY_MAX
#undef EPSILON
#undef SQRT
#undef FABS
#undef LOAD
#undef STORED
#undef APART
#undef OF

#define REAL double
#define KEY int64_t
#define KEY_MAX INT64_MAX
#define EPSILON 2.220446049250313e-16
#define SQRT sqrt
#define FABS fabs
#define LOAD load_doubles
#define STORED F64
#define APART 0 /* they take compilers long */
#define OF(name) name##_double
#include "combine_tile.h"
