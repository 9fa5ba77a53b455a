/* The tiles of combine.c in the precision REAL; included once for each. */

typedef struct {
    size_t n, room, lanes;   /* frames, lanes between two frames, lanes in use */
    REAL *values, *kept;     /* (n, room): those that count; those that survive rejection */
    const REAL *left;        /* (n, room): what the next pass of rejection looks at */
    REAL *distance;          /* (n, room): from the center */
    REAL *sorted;            /* (n, room) to sort in */
    KEY *keys;               /* the same memory */
    network median, extremes;
    int32_t n_valid[LANES], n_kept[LANES], n_used[LANES];
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

/* Load the values of a frame, NaN where they are not finite after scaling; return whether any. */
PART int OF(load)(const combination *c, size_t f, ptrdiff_t y, ptrdiff_t x, size_t lanes,
                    double *restrict wide, REAL *restrict to)
{
    const double scale = c->scale[f], offset = c->offset[f];
    const plane *p = &c->frames[f];
    const REAL *from = to;
    int32_t bad = 0;
    if (scale != 1 || offset != 0) {
        load_doubles(p, y, x, lanes, wide);
        for (size_t i = 0; i < lanes; i++)
            to[i] = (REAL)(wide[i] * scale + offset);
    } else if (p->type == STORED && !p->swapped && p->step == (ptrdiff_t)sizeof(REAL)) {
        from = (const REAL *)at(p, y, x);
    } else {
        LOAD(p, y, x, lanes, to);
    }
    INDEPENDENT
    for (size_t i = 0; i < lanes; i++) {
        const REAL value = from[i];
        const int finite = value - value == 0;
        to[i] = finite ? value : (REAL)NAN;
        bad |= !finite;
    }
    return bad;
}

/* Load the values of all frames, NaN where they do not count, and count those that do. */
PART void OF(load_tile)(const combination *c, OF(tile) *t, ptrdiff_t y, ptrdiff_t x)
{
    int bad = c->flags != NULL;
    for (size_t f = 0; f < t->n; f++) {
        REAL *restrict to = t->values + f * t->room;
        bad |= OF(load)(c, f, y, x, t->lanes, t->wide, to);
        ask_for(&c->frames[f], y, x + (ptrdiff_t)t->lanes, c->nx, t->lanes);
        if (c->flags != NULL) {
            const uint8_t *flags = (const uint8_t *)at(&c->flags[f], y, x);
            const ptrdiff_t step = c->flags[f].step;
            if (step == 1)
                for (size_t i = 0; i < t->lanes; i++)
                    to[i] = flags[i] ? (REAL)NAN : to[i];
            else
                for (size_t i = 0; i < t->lanes; i++)
                    to[i] = flags[(ptrdiff_t)i * step] ? (REAL)NAN : to[i];
        }
    }
    if (bad)
        OF(count)(t, t->values, t->n_valid);
    else
        for (size_t i = 0; i < t->lanes; i++)
            t->n_valid[i] = (int32_t)t->n;
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
#include "combine_reject.h"

/* In a pixel with too few values left, use all that count, or all where none does; flag it. */
PART size_t OF(use_lost)(const combination *c, OF(tile) *t, ptrdiff_t y, ptrdiff_t x,
                           uint8_t *restrict flags, int32_t *restrict lost)
{
    size_t n_lost = 0;
    memcpy(t->n_used, t->n_kept, t->lanes * sizeof *t->n_used);
    memset(flags, 0, t->lanes);
    if (least(t->n_kept, t->lanes) < c->min_keep)
        for (size_t i = 0; i < t->lanes; i++) {
            lost[n_lost] = (int32_t)i;
            n_lost += t->n_kept[i] < c->min_keep;
        }
    for (size_t j = 0; j < n_lost; j++) {
        const size_t i = (size_t)lost[j];
        const int unseen = t->n_valid[i] == 0 && c->flags != NULL;
        flags[i] = c->lost_bit;
        t->n_used[i] = 0;
        for (size_t f = 0; f < t->n; f++) {
            REAL value = t->values[f * t->room + i];
            if (unseen) {
                double wide;
                OF(load)(c, f, y, x + (ptrdiff_t)i, 1, &wide, &value);
                flags[i] |= *(const uint8_t *)at(&c->flags[f], y, x + (ptrdiff_t)i);
            }
            t->kept[f * t->room + i] = value;
            t->n_used[i] += value == value;
        }
    }
    return n_lost;
}

/* The mean, median or sum of what is used, the median where a pixel is lost. */
PART void OF(average)(const combination *c, OF(tile) *t, const int32_t *lost, size_t n_lost)
{
    double *restrict sum = t->sum;
    if (c->method == MEDIAN) {
        OF(median)(t, t->kept, t->n_used, t->center);
        for (size_t i = 0; i < t->lanes; i++)
            sum[i] = t->center[i];
        return;
    }
    if (c->weights == NULL)
        OF(add_up)(t, t->kept, sum);
    else
        memset(sum, 0, sizeof t->sum);
    for (size_t f = 0; c->weights != NULL && f < t->n; f++) {
        const REAL *restrict v = t->kept + f * t->room;
        const double weight = c->weights[f];
        for (size_t i = 0; i < t->lanes; i++)
            sum[i] += v[i] == v[i] ? v[i] * weight : 0;
    }
    if (c->method == MEAN)
        for (size_t i = 0; i < t->lanes; i++)
            sum[i] /= t->weight[i];
    if (n_lost == 0)
        return;
    int32_t first[LANES], second[LANES];
    REAL lower[LANES], upper[LANES];
    for (size_t j = 0; j < n_lost; j++) {
        const int32_t i = lost[j], last = t->n_used[i] > 0 ? t->n_used[i] - 1 : 0;
        first[i] = last / 2;
        second[i] = (last + 1) / 2;
    }
    OF(pick_listed)(t, t->kept, lost, n_lost, first, second, 1, lower, upper);
    for (size_t j = 0; j < n_lost; j++) {
        const int32_t i = lost[j];
        sum[i] = (REAL)(((double)lower[i] + (double)upper[i]) * 0.5);
        if (t->n_used[i] == 0)
            sum[i] = 0;
        if (c->method == SUM)
            sum[i] *= t->n_used[i];
    }
}

/* The sum of the weights of what is used, by which a mean is divided. */
PART void OF(sum_weights)(const combination *c, OF(tile) *t)
{
    double *restrict weight = t->weight;
    if (c->weights == NULL) {
        for (size_t i = 0; i < t->lanes; i++)
            weight[i] = t->n_used[i] > 1 ? t->n_used[i] : 1;
        return;
    }
    memset(weight, 0, sizeof t->weight);
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->kept + f * t->room;
        for (size_t i = 0; i < t->lanes; i++)
            weight[i] += v[i] == v[i] ? c->weights[f] : 0;
    }
    double least = c->weights[0]; /* for pixels that have no value at all */
    for (size_t f = 1; f < t->n; f++)
        least = c->weights[f] < least ? c->weights[f] : least;
    for (size_t i = 0; i < t->lanes; i++)
        weight[i] = MAXIMUM(weight[i], least);
}

/* The square of the standard error. */
PART void OF(spread)(const combination *c, OF(tile) *t, ptrdiff_t y, ptrdiff_t x,
                       float *restrict out)
{
    double spread[LANES];
    if (c->variances == NULL)
        for (size_t i = 0; i < t->lanes; i++) {
            const double number = t->n_used[i] > 1 ? t->n_used[i] : 1;
            t->level[i] = (float)(c->method == SUM ? t->sum[i] / number : t->sum[i]);
        }
    if (c->variances == NULL && c->weights == NULL && c->spread_alike) {
        expect_float(c, 0, 0, t->lanes, t->level, t->expected);
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] = t->expected[i] / t->weight[i];
    } else {
        memset(spread, 0, sizeof spread);
        for (size_t f = 0; f < t->n; f++) {
            const REAL *restrict v = t->kept + f * t->room;
            const double weight = c->weights == NULL ? 1 : c->weights[f] * c->weights[f];
            double *restrict part = t->wide;
            if (c->variances != NULL) {
                load_doubles(&c->variances[f], y, x, t->lanes, part);
                for (size_t i = 0; i < t->lanes; i++)
                    part[i] = part[i] * c->scale[f] * c->scale[f];
            } else {
                if (f == 0 || !c->spread_alike)
                    expect_float(c, f, 0, t->lanes, t->level, t->expected);
                for (size_t i = 0; i < t->lanes; i++)
                    part[i] = t->expected[i];
            }
            for (size_t i = 0; i < t->lanes; i++)
                spread[i] += v[i] == v[i] ? part[i] * weight : 0;
        }
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] /= t->weight[i] * t->weight[i];
    }
    if (least(t->n_valid, t->lanes) == c->n) {
        const double factor = c->k2[c->n];
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] *= factor;
    } else {
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] *= c->k2[t->n_valid[i]];
    }
    for (size_t i = 0; i < t->lanes; i++) {
        const double number = t->n_used[i] > 1 ? t->n_used[i] : 1;
        out[i] = (float)(c->method == SUM ? spread[i] * (number * number) : spread[i]);
    }
}

PART void OF(combine_tile)(const combination *c, OF(tile) *t, ptrdiff_t y, ptrdiff_t x)
{
    float *data = (float *)(c->data.start + y * c->data.row_step) + x;
    uint16_t *count = (uint16_t *)(c->count.start + y * c->count.row_step) + x;
    uint8_t *flags = (uint8_t *)(c->flags_out.start + y * c->flags_out.row_step) + x;
    int32_t lost[LANES];
    OF(load_tile)(c, t, y, x);
    OF(clip)(c, t);
    const size_t n_lost = OF(use_lost)(c, t, y, x, flags, lost);
    OF(sum_weights)(c, t);
    OF(average)(c, t, lost, n_lost);
    if (c->variance.start != NULL)
        OF(spread)(c, t, y, x, (float *)(c->variance.start + y * c->variance.row_step) + x);
    for (size_t i = 0; i < t->lanes; i++) {
        data[i] = (float)(t->sum[i] + 0.0); /* no negative zero */
        count[i] = (uint16_t)t->n_kept[i];
    }
}

/* Return a tile with its memory, or NULL. */
static OF(tile) *OF(new_tile)(const combination *c)
{
    OF(tile) *t = malloc(sizeof *t);
    if (t == NULL)
        return NULL;
    t->n = (size_t)c->n;
    t->room = LANES;
    while (t->room > FEWEST_LANES && t->n * t->room * sizeof(REAL) > TILE_BYTES)
        t->room /= 2;
    const size_t size = t->n * t->room;
    t->values = calloc(size * 4, sizeof(REAL));
    if (t->values == NULL) {
        free(t);
        return NULL;
    }
    t->sorted = t->values + size;
    t->distance = t->sorted + size;
    t->kept = c->clip == NO_CLIP ? t->values : t->distance + size;
    t->keys = (KEY *)t->sorted;
    make_network(&t->median, c->n, (c->n - 1) / 2, c->n / 2);
    const ptrdiff_t low = share((int32_t)c->n, c->n_low, c->n);
    const ptrdiff_t high = share((int32_t)c->n, c->n_high, c->n);
    make_network(&t->extremes, c->n, low > 0 ? low - 1 : 0, high > 0 ? c->n - high : c->n - 1);
    return t;
}

int OF(combine)(const combination *c)
{
    OF(tile) *t = OF(new_tile)(c);
    if (t == NULL)
        return -1;
    for (ptrdiff_t y = 0; y < c->ny; y++)
        for (ptrdiff_t x = 0; x < c->nx; x += (ptrdiff_t)t->room) {
            t->lanes = c->nx - x < (ptrdiff_t)t->room ? (size_t)(c->nx - x) : t->room;
            OF(combine_tile)(c, t, y, x);
        }
    free(t->values);
    free(t);
    return 0;
}
