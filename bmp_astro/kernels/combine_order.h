/* The order of a tile's values, in the precision REAL; part of combine_tile.h. */

/* Integers that are ordered like the values; the same function turns them back. */
INLINE KEY OF(turned)(KEY bits) { return bits ^ ((bits >> (8 * sizeof(KEY) - 1)) & KEY_MAX); }

INLINE REAL OF(of_key)(KEY key)
{
    REAL value;
    key = OF(turned)(key);
    memcpy(&value, &key, sizeof value);
    return value;
}

/* The key of each rank among the keys (n, lanes), by bisection of the range of keys. */
PART void OF(bisect)(const KEY *keys, size_t n, size_t lanes, const int32_t *restrict rank,
                       KEY *restrict low)
{
    KEY high[LANES], middle[LANES], below[LANES];
    for (size_t i = 0; i < lanes; i++) {
        low[i] = keys[i];
        high[i] = keys[i] == KEY_MAX ? -KEY_MAX : keys[i];
    }
    for (size_t f = 1; f < n; f++) {
        const KEY *restrict k = keys + f * lanes;
        for (size_t i = 0; i < lanes; i++) {
            low[i] = k[i] < low[i] ? k[i] : low[i];
            high[i] = k[i] != KEY_MAX && k[i] > high[i] ? k[i] : high[i];
        }
    }
    for (;;) {
        KEY open = 0;
        for (size_t i = 0; i < lanes; i++) {
            middle[i] = (low[i] & high[i]) + ((low[i] ^ high[i]) >> 1);
            below[i] = 0;
            open |= low[i] < high[i];
        }
        if (!open)
            return;
        for (size_t f = 0; f < n; f++) {
            const KEY *restrict k = keys + f * lanes;
            for (size_t i = 0; i < lanes; i++)
                below[i] += k[i] <= middle[i];
        }
        for (size_t i = 0; i < lanes; i++) {
            const int found = below[i] > rank[i];
            const int going = low[i] < high[i];
            high[i] = going && found ? middle[i] : high[i];
            low[i] = going && !found ? middle[i] + 1 : low[i];
        }
    }
}

/* The least key above each, or itself where it reaches the rank too. */
PART void OF(next)(const KEY *keys, size_t n, size_t lanes, const int32_t *restrict rank,
                     const KEY *restrict key, KEY *restrict next)
{
    KEY reach[LANES];
    for (size_t i = 0; i < lanes; i++) {
        reach[i] = 0;
        next[i] = KEY_MAX;
    }
    for (size_t f = 0; f < n; f++) {
        const KEY *restrict k = keys + f * lanes;
        for (size_t i = 0; i < lanes; i++) {
            reach[i] += k[i] <= key[i];
            next[i] = k[i] > key[i] && k[i] < next[i] ? k[i] : next[i];
        }
    }
    for (size_t i = 0; i < lanes; i++)
        next[i] = reach[i] > rank[i] ? key[i] : next[i];
}

/* The values of two ranks in each of the lanes that are listed. */
PART void OF(pick_listed)(OF(tile) *t, const REAL *from, const int32_t *restrict listed,
                            size_t n_listed, const int32_t *first, const int32_t *second,
                            int adjacent, REAL *restrict lower, REAL *restrict upper)
{
    int32_t rank[LANES], other[LANES];
    KEY key[LANES], next[LANES];
    for (size_t f = 0; f < t->n; f++)
        for (size_t j = 0; j < n_listed; j++) {
            const REAL value = from[f * t->room + (size_t)listed[j]];
            KEY bits;
            memcpy(&bits, &value, sizeof bits);
            t->keys[f * n_listed + j] = value == value ? OF(turned)(bits) : KEY_MAX;
        }
    for (size_t j = 0; j < n_listed; j++) {
        rank[j] = first[listed[j]];
        other[j] = second[listed[j]];
    }
    OF(bisect)(t->keys, t->n, n_listed, rank, key);
    if (adjacent)
        OF(next)(t->keys, t->n, n_listed, other, key, next);
    else
        OF(bisect)(t->keys, t->n, n_listed, other, next);
    for (size_t j = 0; j < n_listed; j++) {
        lower[listed[j]] = OF(of_key)(key[j]);
        upper[listed[j]] = OF(of_key)(next[j]);
    }
}

/* The lesser and the greater of two rows, which may be where they were. */
INLINE void OF(exchange)(const REAL *one, const REAL *other, size_t lanes, REAL *lesser,
                         REAL *greater)
{
    INDEPENDENT
    for (size_t i = 0; i < lanes; i++) {
        const REAL a = one[i], b = other[i];
        lesser[i] = a < b ? a : b;
        greater[i] = a > b ? a : b;
    }
}

#include "combine_middle.h"

/* The values of the network's two ranks in each lane, where no value is missing. */
PART void OF(pick_full)(OF(tile) *t, const REAL *from, const network *net, REAL *restrict lower,
                          REAL *restrict upper)
{
    const REAL *rows[LARGEST_NETWORK]; /* where each is: it moves when it is first compared */
    for (size_t f = 0; f < t->n; f++)
        rows[f] = from + f * t->room;
    for (int k = 0; k < net->n_pairs; k++) {
        const size_t first = net->pairs[k][0], second = net->pairs[k][1];
        OF(exchange)(rows[first], rows[second], t->lanes, t->sorted + first * t->room,
                     t->sorted + second * t->room);
        rows[first] = t->sorted + first * t->room;
        rows[second] = t->sorted + second * t->room;
    }
    memcpy(lower, rows[net->first], t->lanes * sizeof(REAL));
    memcpy(upper, rows[net->second], t->lanes * sizeof(REAL));
}

/* The values of two ranks in each lane; those of the network, or the middle ones without one, are
 * found faster where no value is missing. */
PART void OF(pick)(OF(tile) *t, const REAL *from, const int32_t *restrict count,
                     const network *net, const int32_t *low, const int32_t *high, int adjacent,
                     REAL *restrict lower, REAL *restrict upper)
{
    int32_t listed[LANES];
    size_t n_listed = 0;
    const int32_t full = t->n <= LARGEST_NETWORK ? (int32_t)t->n : INT32_MAX;
    if (least(count, t->lanes) < full)
        for (size_t i = 0; i < t->lanes; i++) {
            listed[n_listed] = (int32_t)i;
            n_listed += count[i] < full;
        }
    if (n_listed < t->lanes) {
        if (net == NULL)
            OF(middle)(t, from, lower, upper);
        else
            OF(pick_full)(t, from, net, lower, upper);
    }
    if (n_listed > 0)
        OF(pick_listed)(t, from, listed, n_listed, low, high, adjacent, lower, upper);
}

/* The median of what counts, 0 where nothing does. */
PART void OF(median)(OF(tile) *t, const REAL *from, const int32_t *restrict count,
                       REAL *restrict median)
{
    int32_t first[LANES], second[LANES];
    REAL upper[LANES];
    for (size_t i = 0; i < t->lanes; i++) {
        const int32_t last = count[i] > 0 ? count[i] - 1 : 0;
        first[i] = last / 2;
        second[i] = (last + 1) / 2;
    }
    OF(pick)(t, from, count, NULL, first, second, 1, median, upper);
    for (size_t i = 0; i < t->lanes; i++)
        median[i] = count[i] > 0 ? (REAL)(((double)median[i] + (double)upper[i]) * 0.5) : 0;
}
