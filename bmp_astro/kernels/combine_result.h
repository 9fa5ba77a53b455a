/* What is made of a tile's kept values, in the precision REAL; part of combine_tile.h. */

/* In a pixel with too few values left, use all that count, or all where none does; flag it. */
PART size_t OF(use_lost)(const combination *c, OF(tile) *t, int32_t *restrict lost)
{
    size_t n_lost = 0;
    memcpy(t->n_used, t->n_kept, t->lanes * sizeof *t->n_used);
    memset(t->flags, 0, t->lanes);
    if (least(t->n_kept, t->lanes) < c->min_keep)
        for (size_t i = 0; i < t->lanes; i++) {
            lost[n_lost] = (int32_t)i;
            n_lost += t->n_kept[i] < c->min_keep;
        }
    for (size_t j = 0; j < n_lost; j++) {
        const size_t i = (size_t)lost[j];
        const int unseen = t->n_valid[i] == 0 && c->flags != NULL;
        t->flags[i] = c->lost_bit;
        t->n_used[i] = 0;
        for (size_t f = 0; f < t->n; f++) {
            REAL value = t->values[f * t->room + i];
            if (unseen) {
                double wide;
                OF(load)(c, f, t->y, t->column[i], 1, &wide, &value);
                t->flags[i] |= *(const uint8_t *)at(&c->flags[f], t->y, t->column[i]);
            }
            t->kept[f * t->room + i] = value;
            t->n_used[i] += value == value;
        }
    }
    return n_lost;
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

/* The mean, median or sum of what is used. */
PART void OF(average)(const combination *c, OF(tile) *t)
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
}

/* The median, or that so many times, of what is used where a pixel is lost. */
PART void OF(average_lost)(const combination *c, OF(tile) *t, const int32_t *lost, size_t n_lost)
{
    if (n_lost == 0 || c->method == MEDIAN)
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
        t->sum[i] = (REAL)(((double)lower[i] + (double)upper[i]) * 0.5);
        if (t->n_used[i] == 0)
            t->sum[i] = 0;
        if (c->method == SUM)
            t->sum[i] *= t->n_used[i];
    }
}

/* Load the variances that are known of the values of frame f, scaled as they are. */
PART void OF(load_variances)(const combination *c, const OF(tile) *t, size_t f,
                             double *restrict to)
{
    const double scale = c->scale[f];
    if (is_run(t->column, t->lanes))
        load_doubles(&c->variances[f], t->y, t->column[0], t->lanes, to);
    else
        for (size_t i = 0; i < t->lanes; i++)
            load_doubles(&c->variances[f], t->y, t->column[i], 1, to + i);
    for (size_t i = 0; i < t->lanes; i++)
        to[i] = to[i] * scale * scale;
}

/* Add the variance of what is used of frame f, known or expected; `whole` if all values are. */
INLINE void OF(add_variance)(const combination *c, OF(tile) *t, size_t f, const int whole,
                             double *restrict spread)
{
    const REAL *restrict v = t->kept + f * t->room;
    const double weight = c->weights == NULL ? 1 : c->weights[f] * c->weights[f];
    const law_float law = law_of_float(c, f, 0);
    if (c->variances != NULL) {
        OF(load_variances)(c, t, f, t->wide);
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] += whole || v[i] == v[i] ? t->wide[i] * weight : 0;
    } else if (c->spread_alike) {
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] += whole || v[i] == v[i] ? t->expected[i] * weight : 0;
    } else if (law.constant) {
        const double part = law.variance * weight;
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] += whole || v[i] == v[i] ? part : 0;
    } else {
        for (size_t i = 0; i < t->lanes; i++) {
            const double part = expected_at_float(law, t->level[i]);
            spread[i] += whole || v[i] == v[i] ? part * weight : 0;
        }
    }
}

/* Functions of their own, since one that asks in its loops is not made of vectors. */
PART void OF(add_variance_of_whole)(const combination *c, OF(tile) *t, size_t f, double *spread)
{
    OF(add_variance)(c, t, f, 1, spread);
}

PART void OF(add_variance_of_kept)(const combination *c, OF(tile) *t, size_t f, double *spread)
{
    OF(add_variance)(c, t, f, 0, spread);
}

/* The square of the standard error. */
PART void OF(spread)(const combination *c, OF(tile) *t, double *restrict spread)
{
    if (c->variances == NULL) {
        const law_float law = law_of_float(c, 0, 0);
        for (size_t i = 0; i < t->lanes; i++) {
            const double number = t->n_used[i] > 1 ? t->n_used[i] : 1;
            t->level[i] = (float)(c->method == SUM ? t->sum[i] / number : t->sum[i]);
        }
        if (c->spread_alike)
            expect_float(c, &law, t->lanes, t->level, t->expected);
    }
    if (c->variances == NULL && c->weights == NULL && c->spread_alike) {
        for (size_t i = 0; i < t->lanes; i++)
            spread[i] = t->expected[i] / t->weight[i];
    } else {
        memset(spread, 0, t->lanes * sizeof *spread);
        for (size_t f = 0; f < t->n; f++)
            if (t->whole)
                OF(add_variance_of_whole)(c, t, f, spread);
            else
                OF(add_variance_of_kept)(c, t, f, spread);
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
    if (c->method == SUM)
        for (size_t i = 0; i < t->lanes; i++) {
            const double number = t->n_used[i] > 1 ? t->n_used[i] : 1;
            spread[i] *= number * number;
        }
}

/* Put what was made of the pixels where they belong. */
PART void OF(store)(const combination *c, const OF(tile) *t, const double *restrict spread)
{
    float data[LANES], variance[LANES];
    uint16_t count[LANES];
    for (size_t i = 0; i < t->lanes; i++) {
        data[i] = (float)(t->sum[i] + 0.0); /* no negative zero */
        count[i] = (uint16_t)t->n_kept[i];
    }
    put(&c->data, t->y, t->column, t->lanes, data, sizeof *data);
    put(&c->count, t->y, t->column, t->lanes, count, sizeof *count);
    put(&c->flags_out, t->y, t->column, t->lanes, t->flags, sizeof *t->flags);
    if (c->variance.start == NULL)
        return;
    for (size_t i = 0; i < t->lanes; i++)
        variance[i] = (float)spread[i];
    put(&c->variance, t->y, t->column, t->lanes, variance, sizeof *variance);
}
