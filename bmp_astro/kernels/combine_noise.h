/* The noise that is expected of values, in the precision REAL; part of combine_tile.h. */

/* The noise of one frame, or one that no frame's is less than: see Noise in noise.py. */
typedef struct {
    int constant, least;
    REAL variance; /* at any level, if it is constant */
    REAL scale, offset, floor, slope, share, factor;
} OF(law);

INLINE OF(law) OF(law_of)(const combination *c, size_t f, double fraction)
{
    OF(law) law = {.share = (REAL)fraction};
    if (c->floor == NULL)
        return law; /* there is a table, or nothing is known */
    const double squared = c->scale[f] * c->scale[f];
    law.constant = c->slope == 0 && fraction == 0;
    law.variance = (REAL)(squared * c->floor[f]);
    law.scale = (REAL)c->scale[f];
    law.offset = (REAL)c->offset[f];
    law.floor = (REAL)c->floor[f];
    law.slope = (REAL)c->slope;
    law.factor = (REAL)squared;
    return law;
}

/* Every operation of `expect` grows with each of these numbers, or falls; so does its rounding. */
static OF(law) OF(least_law)(const combination *c)
{
    OF(law) law = OF(law_of)(c, 0, c->fraction);
    law.least = 1;
    for (size_t f = 1; c->floor != NULL && f < (size_t)c->n; f++) {
        const OF(law) other = OF(law_of)(c, f, c->fraction);
        law.variance = other.variance < law.variance ? other.variance : law.variance;
        law.scale = other.scale > law.scale ? other.scale : law.scale;
        law.offset = other.offset > law.offset ? other.offset : law.offset;
        law.floor = other.floor < law.floor ? other.floor : law.floor;
        law.factor = other.factor < law.factor ? other.factor : law.factor;
    }
    return law;
}

INLINE REAL OF(expected_at)(const OF(law) law, REAL level)
{
    const REAL raw = law.scale != 1 ? (level - law.offset) / law.scale : level - law.offset;
    const REAL positive = raw <= 0 ? 0 : raw;
    REAL variance = positive * law.slope;
    variance += law.floor;
    if (law.share != 0) {
        const REAL part = law.share * (law.least ? positive : raw);
        variance += part * part;
    }
    variance *= law.factor;
    return law.constant ? law.variance : variance;
}

/* The variance by the table at each level. */
PART void OF(look_up)(const combination *c, size_t lanes, const REAL *restrict level,
                      REAL *restrict out)
{
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
}

/* The variance that is expected at each level. */
PART void OF(expect)(const combination *c, const OF(law) *law, size_t lanes,
                     const REAL *restrict level, REAL *restrict out)
{
    const OF(law) same = *law;
    if (c->n_levels > 0)
        OF(look_up)(c, lanes, level, out);
    else
        for (size_t i = 0; i < lanes; i++)
            out[i] = OF(expected_at)(same, level[i]);
}
