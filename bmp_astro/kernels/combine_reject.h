/* Which of a tile's values are kept, in the precision REAL; part of combine_tile.h. */

/* Drop the lowest and highest values, the first frames' first where values are equal. */
PART void OF(drop_extremes)(const combination *c, OF(tile) *t)
{
    int32_t low[LANES], high[LANES], first[LANES] = {0}, second[LANES] = {0};
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
    OF(add_up)(t, t->left, mean);
    for (size_t i = 0; i < t->lanes; i++)
        mean[i] /= t->n_kept[i] > 1 ? t->n_kept[i] : 1;
}

PART void OF(standard_deviation)(const OF(tile) *t, const double *restrict mean,
                                   double *restrict out)
{
    double squares[LANES] = {0};
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->left + f * t->room;
        for (size_t i = 0; i < t->lanes; i++) {
            const double d = v[i] - mean[i];
            squares[i] += v[i] == v[i] ? d * d : 0;
        }
    }
    for (size_t i = 0; i < t->lanes; i++)
        out[i] = sqrt(squares[i] / (t->n_kept[i] > 2 ? t->n_kept[i] - 1 : 1));
}

/* The standard deviation of what is kept, after what is beyond the reach of the center is drawn in
 * to there; the moments are those about the center, which one pass finds. */
PART void OF(deviation_within)(const OF(tile) *t, const double *restrict reach,
                                 double *restrict out)
{
    double total[LANES] = {0}, squares[LANES] = {0};
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->left + f * t->room;
        for (size_t i = 0; i < t->lanes; i++) {
            double distance = (double)v[i] - (double)t->center[i];
            distance = distance < -reach[i] ? -reach[i] : distance;
            distance = distance > reach[i] ? reach[i] : distance;
            distance = v[i] == v[i] ? distance : 0;
            total[i] += distance;
            squares[i] += distance * distance;
        }
    }
    for (size_t i = 0; i < t->lanes; i++) {
        const double number = t->n_kept[i] > 1 ? t->n_kept[i] : 1;
        const double spread = squares[i] - total[i] * total[i] / number;
        out[i] = sqrt(MAXIMUM(spread, 0) / (number > 2 ? number - 1 : 1));
    }
}

/* The standard deviation with far values drawn in, again and again until it settles. */
PART void OF(winsorized_deviation)(OF(tile) *t, REAL *restrict out)
{
    double deviation[LANES], settled[LANES], reach[LANES];
    int32_t moving[LANES], any = 1;
    for (size_t i = 0; i < t->lanes; i++) {
        moving[i] = 1;
        reach[i] = INFINITY;
    }
    OF(deviation_within)(t, reach, deviation);
    for (int pass = 0; pass < MOST_WINSORIZATIONS && any; pass++) {
        for (size_t i = 0; i < t->lanes; i++)
            reach[i] = 1.5 * deviation[i];
        OF(deviation_within)(t, reach, settled);
        any = 0;
        for (size_t i = 0; i < t->lanes; i++) {
            const double value = 1.134 * settled[i];
            moving[i] &= fabs(value - deviation[i]) > 5e-4 * deviation[i];
            deviation[i] = moving[i] ? value : deviation[i];
            any |= moving[i];
        }
    }
    for (size_t i = 0; i < t->lanes; i++)
        out[i] = (REAL)deviation[i];
}

/* The median distance from the center, in units in which it is the deviation of normal values. */
PART void OF(median_deviation)(OF(tile) *t, REAL *restrict out)
{
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict v = t->left + f * t->room;
        REAL *restrict to = t->distance + f * t->room;
        for (size_t i = 0; i < t->lanes; i++)
            to[i] = FABS(v[i] - t->center[i]);
    }
    OF(median)(t, t->distance, t->n_kept, out);
    for (size_t i = 0; i < t->lanes; i++)
        out[i] = (REAL)1.4826 * out[i];
}

/* What the deviation is not less than: the scatter of each pixel's own values, rounding; or, since
 * it takes long, what that scatter is not less than. */
PART void OF(own_deviation)(const combination *c, OF(tile) *t, int least)
{
    REAL *restrict own = t->own;
    const REAL quantum = (REAL)(0.5 * c->quantum);
    for (size_t i = 0; i < t->lanes; i++)
        own[i] = 4 * EPSILON * FABS(t->center[i]);
    if (c->clip == NOISE)
        return;
    if (!least && c->n >= c->fewest_for_mad) {
        REAL sigma[LANES];
        if (c->deviation == MAD)
            OF(median_deviation)(t, sigma);
        else
            OF(winsorized_deviation)(t, sigma);
        for (size_t i = 0; i < t->lanes; i++)
            if (t->n_kept[i] >= c->fewest_for_mad)
                own[i] = MAXIMUM(sigma[i], own[i]);
    }
    for (size_t i = 0; i < t->lanes; i++)
        own[i] = MAXIMUM(own[i], quantum);
}

/* Find the center, and what of the deviation is the same for all frames (or is not less than that);
 * return whether that is all of it. */
PART int OF(find_center)(const combination *c, OF(tile) *t, int least)
{
    const int by_std = c->clip == SIGMA && c->deviation == STD;
    if (c->center_is_mean || by_std)
        OF(mean)(t, t->sum);
    if (c->center_is_mean)
        for (size_t i = 0; i < t->lanes; i++)
            t->center[i] = (REAL)t->sum[i];
    else
        OF(median)(t, t->left, t->n_kept, t->center);
    if (by_std) {
        OF(standard_deviation)(t, t->sum, t->wide);
        for (size_t i = 0; i < t->lanes; i++)
            t->own[i] = (REAL)t->wide[i];
    } else if (c->clip == PERCENTILE) {
        for (size_t i = 0; i < t->lanes; i++)
            t->own[i] = t->center[i] > 0 ? t->center[i] : (REAL)INFINITY;
    } else {
        OF(own_deviation)(c, t, least);
    }
    return by_std || c->clip == PERCENTILE;
}

/* Set the limits about the center, of values of which this noise is expected. */
PART void OF(set_limits)(const combination *c, OF(tile) *t, const OF(law) *noise)
{
    const REAL below = (REAL)c->limit_low, above = (REAL)c->limit_high;
    REAL *restrict deviation = t->noise;
    if (noise == NULL) {
        memcpy(deviation, t->own, t->lanes * sizeof *deviation);
    } else {
        OF(expect)(c, noise, t->lanes, t->center, deviation);
        for (size_t i = 0; i < t->lanes; i++) {
            const REAL sigma = SQRT(deviation[i]);
            deviation[i] = MAXIMUM(sigma, t->own[i]);
        }
    }
    for (size_t i = 0; i < t->lanes; i++) {
        const int enough = t->n_kept[i] >= c->fewest_for_clipping;
        t->low[i] = enough ? t->center[i] - below * deviation[i] : -(REAL)INFINITY;
        t->high[i] = enough ? t->center[i] + above * deviation[i] : (REAL)INFINITY;
    }
}

/* Drop what is strictly beyond the limits about the center; return whether anything was. */
PART int OF(clip_once)(const combination *c, OF(tile) *t)
{
    int32_t n_inside[LANES] = {0}, any = 0;
    const int own_only = OF(find_center)(c, t, 0);
    for (size_t f = 0; f < t->n; f++) {
        if (f == 0 || !(own_only || c->alike)) {
            const OF(law) noise = OF(law_of)(c, f, c->fraction);
            OF(set_limits)(c, t, own_only ? NULL : &noise);
        }
        const REAL *v = t->left + f * t->room;
        REAL *kept = t->kept + f * t->room;
        INDEPENDENT
        for (size_t i = 0; i < t->lanes; i++) {
            const int inside = v[i] >= t->low[i] && v[i] <= t->high[i];
            n_inside[i] += inside;
            kept[i] = inside ? v[i] : (REAL)NAN;
        }
    }
    for (size_t i = 0; i < t->lanes; i++)
        any |= n_inside[i] < t->n_kept[i];
    memcpy(t->n_kept, n_inside, t->lanes * sizeof *n_inside);
    t->left = t->kept;
    return any;
}

PART void OF(clip)(const combination *c, OF(tile) *t)
{
    memcpy(t->n_kept, t->n_valid, t->lanes * sizeof *t->n_kept);
    if (c->clip == NO_CLIP)
        return;
    if (c->clip == MINMAX) {
        OF(drop_extremes)(c, t);
        OF(count)(t, t->kept, t->n_kept);
        return;
    }
    t->left = t->values;
    for (int32_t pass = 0; pass < c->max_iterations; pass++)
        if (!OF(clip_once)(c, t))
            return;
}
