/* The tiles of combine.c in the precision REAL; included once for each. */

typedef struct {
    size_t n, room, lanes;   /* frames, lanes between two frames, lanes in use */
    REAL *values, *kept;     /* (n, room): those that count; those that survive rejection */
    REAL *distance;          /* (n, room): from the center */
    REAL *sorted;            /* (n, room) to sort in */
    KEY *keys;               /* the same memory */
    network median, extremes;
    int32_t n_valid[LANES], n_kept[LANES], n_used[LANES];
    REAL center[LANES], own[LANES], noise[LANES], low[LANES], high[LANES];
    double sum[LANES], weight[LANES], wide[LANES];
    float level[LANES], expected[LANES];
} OF(tile);

/* Load the values of a frame, NaN where they are not finite after scaling. */
PART void OF(load)(const combination *c, size_t f, ptrdiff_t y, ptrdiff_t x, size_t lanes,
                     double *restrict wide, REAL *restrict to)
{
    const double scale = c->scale[f], offset = c->offset[f];
    if (scale == 1 && offset == 0) {
        LOAD(&c->frames[f], y, x, lanes, to);
    } else {
        load_doubles(&c->frames[f], y, x, lanes, wide);
        for (size_t i = 0; i < lanes; i++)
            to[i] = (REAL)(wide[i] * scale + offset);
    }
    for (size_t i = 0; i < lanes; i++)
        to[i] = to[i] - to[i] == 0 ? to[i] : (REAL)NAN;
}

PART void OF(load_tile)(const combination *c, OF(tile) *t, ptrdiff_t y, ptrdiff_t x)
{
    int32_t *restrict n_valid = t->n_valid;
    memset(n_valid, 0, sizeof t->n_valid);
    for (size_t f = 0; f < t->n; f++) {
        REAL *restrict to = t->values + f * t->room;
        OF(load)(c, f, y, x, t->lanes, t->wide, to);
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
        for (size_t i = 0; i < t->lanes; i++)
            n_valid[i] += to[i] == to[i];
    }
}

PART void OF(count)(const OF(tile) *t, const REAL *values, int32_t *restrict count)
{
    memset(count, 0, LANES * sizeof *count);
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = values + f * t->room;
        for (size_t i = 0; i < t->lanes; i++)
            count[i] += v[i] == v[i];
    }
}

/* Order. ------------------------------------------------------------------------------------ */

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

/* The values of two ranks in each lane: by the network where no value is missing. */
PART void OF(pick)(OF(tile) *t, const REAL *from, const int32_t *restrict count,
                     const network *net, const int32_t *first, const int32_t *second, int adjacent,
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
        for (size_t f = 0; f < t->n; f++)
            memcpy(t->sorted + f * t->room, from + f * t->room, t->lanes * sizeof(REAL));
        for (int k = 0; k < net->n_pairs; k++) {
            REAL *restrict a = t->sorted + net->pairs[k][0] * t->room;
            REAL *restrict b = t->sorted + net->pairs[k][1] * t->room;
            for (size_t i = 0; i < t->lanes; i++) {
                const REAL one = a[i], other = b[i];
                a[i] = one < other ? one : other;
                b[i] = one > other ? one : other;
            }
        }
        memcpy(lower, t->sorted + (size_t)net->first * t->room, t->lanes * sizeof(REAL));
        memcpy(upper, t->sorted + (size_t)net->second * t->room, t->lanes * sizeof(REAL));
    }
    if (n_listed > 0)
        OF(pick_listed)(t, from, listed, n_listed, first, second, adjacent, lower, upper);
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
    OF(pick)(t, from, count, &t->median, first, second, 1, median, upper);
    for (size_t i = 0; i < t->lanes; i++)
        median[i] = count[i] > 0 ? (REAL)(((double)median[i] + (double)upper[i]) * 0.5) : 0;
}

/* Rejection. -------------------------------------------------------------------------------- */

/* The variance that is expected of a frame's values at each level. */
PART void OF(expect)(const combination *c, size_t f, double fraction, size_t lanes,
                       const REAL *restrict level, REAL *restrict out)
{
    if (c->n_levels > 0) {
        const REAL least = (REAL)c->levels[0], most = (REAL)c->levels[c->n_levels - 1];
        REAL base[LANES], slope[LANES], lowest = most, highest = least;
        for (size_t i = 0; i < lanes; i++) {
            lowest = level[i] < lowest ? level[i] : lowest;
            highest = level[i] > highest ? level[i] : highest;
        }
        ptrdiff_t start = 0;
        while (start + 1 < c->n_levels && (REAL)c->levels[start + 1] <= lowest)
            start++;
        for (size_t i = 0; i < lanes; i++) {
            base[i] = (REAL)c->levels[start];
            out[i] = (REAL)c->level_variances[start];
            slope[i] = (REAL)c->level_slopes[start];
        }
        for (ptrdiff_t k = start + 1; k < c->n_levels && (REAL)c->levels[k] <= highest; k++) {
            const REAL edge = (REAL)c->levels[k], value = (REAL)c->level_variances[k],
                       steep = (REAL)c->level_slopes[k];
            for (size_t i = 0; i < lanes; i++) {
                base[i] = level[i] >= edge ? edge : base[i];
                out[i] = level[i] >= edge ? value : out[i];
                slope[i] = level[i] >= edge ? steep : slope[i];
            }
        }
        for (size_t i = 0; i < lanes; i++) {
            REAL x = level[i] < least ? least : level[i];
            x = x > most ? most : x;
            out[i] = slope[i] * (x - base[i]) + out[i];
        }
        return;
    }
    const double squared = c->scale[f] * c->scale[f];
    const REAL scale = (REAL)c->scale[f], offset = (REAL)c->offset[f];
    const REAL floor = (REAL)c->floor[f], slope = (REAL)c->slope, share = (REAL)fraction;
    const REAL factor = (REAL)squared;
    if (c->slope == 0 && fraction == 0) {
        for (size_t i = 0; i < lanes; i++)
            out[i] = (REAL)(squared * c->floor[f]);
        return;
    }
    for (size_t i = 0; i < lanes; i++) {
        const REAL raw = (level[i] - offset) / scale;
        REAL variance = raw <= 0 ? 0 : raw;
        variance *= slope;
        variance += floor;
        if (fraction != 0)
            variance += share * raw * (share * raw);
        out[i] = variance * factor;
    }
}

/* Drop the lowest and highest values, the first frames' first where values are equal. */
PART void OF(drop_extremes)(const combination *c, OF(tile) *t)
{
    int32_t low[LANES], high[LANES], first[LANES], second[LANES];
    REAL bottom[LANES], top[LANES];
    for (size_t i = 0; i < t->lanes; i++) {
        const int32_t present = t->n_valid[i];
        low[i] = share(present, c->n_low, c->n);
        high[i] = share(present, c->n_high, c->n);
        first[i] = low[i] > 0 ? low[i] - 1 : 0;
        second[i] = high[i] > 0 ? present - high[i] : (present > 0 ? present - 1 : 0);
    }
    OF(pick)(t, t->values, t->n_valid, &t->extremes, first, second, 0, bottom, top);
    for (size_t i = 0; i < t->lanes; i++) {
        bottom[i] = low[i] > 0 ? bottom[i] : -(REAL)INFINITY;
        top[i] = high[i] > 0 ? top[i] : (REAL)INFINITY;
    }
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->values + f * t->room;
        for (size_t i = 0; i < t->lanes; i++)
            low[i] -= v[i] < bottom[i];
    }
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->values + f * t->room;
        REAL *restrict kept = t->kept + f * t->room;
        for (size_t i = 0; i < t->lanes; i++) {
            const int tie = v[i] == bottom[i] && low[i] > 0;
            kept[i] = v[i] < bottom[i] || tie ? (REAL)NAN : v[i];
            low[i] -= tie;
            high[i] -= kept[i] > top[i];
        }
    }
    for (size_t f = 0; f < t->n; f++) {
        REAL *restrict kept = t->kept + f * t->room;
        for (size_t i = 0; i < t->lanes; i++) {
            const int tie = kept[i] == top[i] && high[i] > 0;
            kept[i] = kept[i] > top[i] || tie ? (REAL)NAN : kept[i];
            high[i] -= tie;
        }
    }
}

/* The mean of what is kept, in the order of the frames, 0 where nothing is. */
PART void OF(mean)(const OF(tile) *t, double *restrict mean)
{
    memset(mean, 0, LANES * sizeof *mean);
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->kept + f * t->room;
        for (size_t i = 0; i < t->lanes; i++)
            mean[i] += v[i] == v[i] ? v[i] : 0;
    }
    for (size_t i = 0; i < t->lanes; i++)
        mean[i] /= t->n_kept[i] > 1 ? t->n_kept[i] : 1;
}

PART void OF(standard_deviation)(const OF(tile) *t, const double *restrict mean,
                                   REAL *restrict out)
{
    double squares[LANES] = {0};
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->kept + f * t->room;
        for (size_t i = 0; i < t->lanes; i++) {
            const double d = v[i] - mean[i];
            squares[i] += v[i] == v[i] ? d * d : 0;
        }
    }
    for (size_t i = 0; i < t->lanes; i++)
        out[i] = (REAL)sqrt(squares[i] / (t->n_kept[i] > 2 ? t->n_kept[i] - 1 : 1));
}

/* What the deviation is not less than: the scatter of each pixel's own values, rounding. */
PART void OF(own_deviation)(const combination *c, OF(tile) *t)
{
    REAL *restrict own = t->own;
    const REAL quantum = (REAL)(0.5 * c->quantum);
    for (size_t i = 0; i < t->lanes; i++)
        own[i] = 4 * EPSILON * FABS(t->center[i]);
    if (c->clip == NOISE)
        return;
    if (c->n >= c->fewest_for_mad) {
        REAL mad[LANES];
        for (size_t f = 0; f < t->n; f++) {
            const REAL *restrict v = t->kept + f * t->room;
            REAL *restrict to = t->distance + f * t->room;
            for (size_t i = 0; i < t->lanes; i++)
                to[i] = FABS(v[i] - t->center[i]);
        }
        OF(median)(t, t->distance, t->n_kept, mad);
        for (size_t i = 0; i < t->lanes; i++) {
            const REAL sigma = (REAL)1.4826 * mad[i];
            if (t->n_kept[i] >= c->fewest_for_mad)
                own[i] = MAXIMUM(sigma, own[i]);
        }
    }
    for (size_t i = 0; i < t->lanes; i++)
        own[i] = MAXIMUM(own[i], quantum);
}

PART void OF(set_limits)(const combination *c, OF(tile) *t, const REAL *restrict deviation)
{
    const REAL below = (REAL)c->sigma_low, above = (REAL)c->sigma_high;
    for (size_t i = 0; i < t->lanes; i++) {
        const int enough = t->n_kept[i] >= c->fewest_for_clipping;
        t->low[i] = enough ? t->center[i] - below * deviation[i] : -(REAL)INFINITY;
        t->high[i] = enough ? t->center[i] + above * deviation[i] : (REAL)INFINITY;
    }
}

/* Drop what is strictly beyond the limits about the center; return whether anything was. */
PART int OF(clip_once)(const combination *c, OF(tile) *t)
{
    int32_t dropped[LANES] = {0}, any = 0;
    const int by_std = c->clip == SIGMA && c->deviation_is_std;
    if (c->center_is_mean || by_std)
        OF(mean)(t, t->sum);
    if (c->center_is_mean)
        for (size_t i = 0; i < t->lanes; i++)
            t->center[i] = (REAL)t->sum[i];
    else
        OF(median)(t, t->kept, t->n_kept, t->center);
    if (by_std) {
        OF(standard_deviation)(t, t->sum, t->own);
        OF(set_limits)(c, t, t->own);
    } else {
        OF(own_deviation)(c, t);
    }
    for (size_t f = 0; f < t->n; f++) {
        if (!by_std && (f == 0 || !c->alike)) {
            REAL *restrict noise = t->noise;
            OF(expect)(c, f, c->fraction, t->lanes, t->center, noise);
            for (size_t i = 0; i < t->lanes; i++) {
                const REAL sigma = SQRT(noise[i]);
                noise[i] = MAXIMUM(sigma, t->own[i]);
            }
            OF(set_limits)(c, t, noise);
        }
        REAL *restrict v = t->kept + f * t->room;
        for (size_t i = 0; i < t->lanes; i++) {
            const int inside = v[i] >= t->low[i] && v[i] <= t->high[i];
            dropped[i] |= !inside && v[i] == v[i];
            v[i] = inside ? v[i] : (REAL)NAN;
        }
    }
    for (size_t i = 0; i < t->lanes; i++)
        any |= dropped[i];
    return any;
}

PART void OF(clip)(const combination *c, OF(tile) *t)
{
    memcpy(t->n_kept, t->n_valid, sizeof t->n_kept);
    if (c->clip == NO_CLIP)
        return;
    if (c->clip == MINMAX) {
        OF(drop_extremes)(c, t);
        OF(count)(t, t->kept, t->n_kept);
        return;
    }
    for (size_t f = 0; f < t->n; f++)
        memcpy(t->kept + f * t->room, t->values + f * t->room, t->lanes * sizeof(REAL));
    for (int32_t pass = 0; pass < c->max_iterations && OF(clip_once)(c, t); pass++)
        OF(count)(t, t->kept, t->n_kept);
}

/* Results. ---------------------------------------------------------------------------------- */

/* In a pixel with too few values left, use all that count, or all where none does; flag it. */
PART size_t OF(use_lost)(const combination *c, OF(tile) *t, ptrdiff_t y, ptrdiff_t x,
                           uint8_t *restrict flags, int32_t *restrict lost)
{
    size_t n_lost = 0;
    memcpy(t->n_used, t->n_kept, sizeof t->n_used);
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
    memset(sum, 0, sizeof t->sum);
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->kept + f * t->room;
        const double weight = c->weights == NULL ? 1 : c->weights[f];
        if (c->weights == NULL)
            for (size_t i = 0; i < t->lanes; i++)
                sum[i] += v[i] == v[i] ? v[i] : 0;
        else
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
    for (size_t i = 0; i < t->lanes; i++) {
        const double number = t->n_used[i] > 1 ? t->n_used[i] : 1;
        spread[i] *= c->k2[t->n_valid[i]];
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
