/* The tiles of combine.c in the precision REAL; included once for each. */

typedef struct {
    size_t n, room, lanes;   /* frames, lanes between two frames, lanes in use */
    int whole;               /* all values are kept */
    ptrdiff_t y, column[LANES]; /* where the pixels are; the columns ascend */
    REAL *values, *kept;     /* (n, room): those that count; those that survive rejection */
    const REAL *left;        /* (n, room): what the next pass of rejection looks at */
    REAL *distance;          /* (n, room): from the center */
    REAL *sorted;            /* (n or a few more, room) to sort in */
    KEY *keys;               /* the same memory */
    network extremes;
    int32_t n_valid[LANES], n_kept[LANES], n_used[LANES];
    uint8_t flags[LANES];
    REAL center[LANES], own[LANES], noise[LANES], low[LANES], high[LANES];
    double sum[LANES], weight[LANES], wide[LANES];
    float level[LANES], expected[LANES];
} OF(tile);

PART void OF(count)(const OF(tile) *t, const REAL *values, int32_t *restrict count)
{
    memset(count, 0, t->lanes * sizeof *count);
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = values + f * t->room;
        for (size_t i = 0; i < t->lanes; i++)
            count[i] += v[i] == v[i];
    }
}

/* Return a value, or NaN if it is not finite; then no longer is `bad` 0. */
INLINE REAL OF(checked)(REAL value, KEY *bad)
{
    const REAL none = value - value;
    KEY bits;
    memcpy(&bits, &none, sizeof bits);
    *bad |= bits;
    return value + none;
}

/* Load the values of a frame, NaN where they are not finite after scaling; return whether any. */
PART int OF(load)(const combination *c, size_t f, ptrdiff_t y, ptrdiff_t x, size_t lanes,
                  double *restrict wide, REAL *restrict to)
{
    const double scale = c->scale[f], offset = c->offset[f];
    const plane *p = &c->frames[f];
    const int native = p->type == STORED && !p->swapped && p->step == (ptrdiff_t)sizeof(REAL);
    const REAL *from = native ? (const REAL *)at(p, y, x) : to;
    KEY bad = 0;
    if (scale != 1 || offset != 0) {
        if (native) {
            for (size_t i = 0; i < lanes; i++)
                to[i] = OF(checked)((REAL)(from[i] * scale + offset), &bad);
            return bad != 0;
        }
        load_doubles(p, y, x, lanes, wide);
        for (size_t i = 0; i < lanes; i++)
            to[i] = OF(checked)((REAL)(wide[i] * scale + offset), &bad);
        return bad != 0;
    }
    if (!native)
        LOAD(p, y, x, lanes, to);
    INDEPENDENT
    for (size_t i = 0; i < lanes; i++)
        to[i] = OF(checked)(from[i], &bad);
    return bad != 0;
}

/* Make the flagged values of a frame NaN; return whether there are any. */
PART int OF(drop_flagged)(const plane *p, ptrdiff_t y, ptrdiff_t x, size_t lanes,
                          REAL *restrict values)
{
    const uint8_t *flags = (const uint8_t *)at(p, y, x);
    uint8_t any = p->step != 1;
    for (size_t i = 0; p->step == 1 && i < lanes; i++)
        any |= flags[i];
    for (size_t i = 0; any && i < lanes; i++)
        values[i] = flags[(ptrdiff_t)i * p->step] ? (REAL)NAN : values[i];
    return any;
}

/* Load some pixels of all frames, NaN where they do not count; return whether that is anywhere. */
PART int OF(load_tile)(const combination *c, OF(tile) *t, ptrdiff_t y, ptrdiff_t x, size_t lanes)
{
    int bad = 0;
    t->y = y;
    t->lanes = lanes;
    for (size_t i = 0; i < lanes; i++)
        t->column[i] = x + (ptrdiff_t)i;
    for (size_t f = 0; f < t->n; f++) {
        REAL *restrict to = t->values + f * t->room;
        bad |= OF(load)(c, f, y, x, lanes, t->wide, to);
        ask_for(&c->frames[f], y, x + (ptrdiff_t)lanes, c->nx, lanes);
        if (c->flags != NULL)
            bad |= OF(drop_flagged)(&c->flags[f], y, x, lanes, to);
    }
    return bad;
}

/* The sum of what is in each lane, one frame after the other; several are added in one pass. */
PART void OF(add_up)(const OF(tile) *t, const REAL *values, double *restrict sum)
{
    size_t f = 0;
    memset(sum, 0, t->lanes * sizeof *sum);
    for (; f + 4 <= t->n; f += 4) {
        const REAL *restrict a = values + f * t->room, *restrict b = a + t->room;
        const REAL *restrict d = b + t->room, *restrict e = d + t->room;
        for (size_t i = 0; i < t->lanes; i++) {
            double total = sum[i];
            total += a[i] == a[i] ? a[i] : 0;
            total += b[i] == b[i] ? b[i] : 0;
            total += d[i] == d[i] ? d[i] : 0;
            total += e[i] == e[i] ? e[i] : 0;
            sum[i] = total;
        }
    }
    for (; f < t->n; f++) {
        const REAL *restrict v = values + f * t->room;
        for (size_t i = 0; i < t->lanes; i++)
            sum[i] += v[i] == v[i] ? v[i] : 0;
    }
}

#include "combine_order.h"
#include "combine_noise.h"
#include "combine_reject.h"
#include "combine_result.h"

/* Apply all rules to the pixels of a tile. */
PART void OF(settle)(const combination *c, OF(tile) *t)
{
    double spread[LANES];
    int32_t lost[LANES];
    OF(count)(t, t->values, t->n_valid);
    OF(clip)(c, t);
    const size_t n_lost = OF(use_lost)(c, t, lost);
    OF(sum_weights)(c, t);
    OF(average)(c, t);
    OF(average_lost)(c, t, lost, n_lost);
    if (c->variance.start != NULL)
        OF(spread)(c, t, spread);
    OF(store)(c, t, spread);
}

#include "combine_whole.h"

/* Prepare tiles with their memory, of which they share what is needed for a while only. */
static int OF(new_tiles)(const combination *c, OF(tile) *tiles)
{
    size_t room = LANES;
    while (room > FEWEST_LANES && (size_t)c->n * room * sizeof(REAL) > TILE_BYTES)
        room /= 2;
    const size_t size = (size_t)c->n * room;
    const size_t runs = ((size_t)c->n + SMALL_NETWORK - 1) / SMALL_NETWORK * SMALL_NETWORK * room;
    REAL *memory = calloc(size * 4 + runs, sizeof(REAL));
    if (memory == NULL)
        return -1;
    const ptrdiff_t low = share((int32_t)c->n, c->n_low, c->n);
    const ptrdiff_t high = share((int32_t)c->n, c->n_high, c->n);
    for (int which = 0; which < 2; which++) {
        OF(tile) *t = &tiles[which];
        t->n = (size_t)c->n;
        t->room = room;
        t->values = memory + (size_t)which * size;
        t->distance = memory + 2 * size;
        t->kept = c->clip == NO_CLIP ? t->values : memory + 3 * size;
        t->sorted = memory + 4 * size;
        t->keys = (KEY *)t->sorted;
        make_network(&t->extremes, c->n, low > 0 ? low - 1 : 0, high > 0 ? c->n - high : c->n - 1);
    }
    return 0;
}

int OF(combine)(const combination *c)
{
    OF(tile) *tiles = calloc(2, sizeof *tiles);
    if (tiles == NULL)
        return -1;
    if (OF(new_tiles)(c, tiles) < 0) {
        free(tiles);
        return -1;
    }
    const int quick = OF(may_be_whole)(c);
    if (quick)
        OF(begin_whole)(c, &tiles[0]);
    for (ptrdiff_t y = 0; y < c->ny; y++) {
        for (ptrdiff_t x = 0; x < c->nx; x += (ptrdiff_t)tiles->room) {
            const size_t left = (size_t)(c->nx - x), lanes = left < tiles->room ? left : tiles->room;
            if (quick) {
                OF(combine_whole)(c, &tiles[0], &tiles[1], y, x, lanes);
            } else {
                OF(load_tile)(c, &tiles[1], y, x, lanes);
                OF(settle)(c, &tiles[1]);
            }
        }
        if (quick)
            OF(settle_others)(c, &tiles[1]);
    }
    free(tiles[0].values);
    free(tiles);
    return 0;
}
