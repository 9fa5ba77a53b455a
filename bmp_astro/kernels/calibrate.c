/* A raw frame to a calibrated one: see `prepare` in calibrate.py for the equation, and its twin
 * in calibrate_numpy.py, whose operations these are, in the same order and precision.
 *
 * A segment of a row is worked on in one loop for all terms.  Absent ones have the values that
 * change nothing, not even the sign of a zero, so that one loop serves whatever is present.
 */
#include "kernels.h"

#include <math.h>

enum { SEGMENT = 256 }; /* pixels of a row: all that a segment needs stays in the first cache */

typedef struct {
    _Alignas(64) float signal[SEGMENT];
    uint32_t flags[SEGMENT]; /* as wide as the pixels that they are set by */
    float terms[N_TERMS][SEGMENT]; /* of those that cannot be read where they are */
    float numerator[SEGMENT];      /* of gain / flat */
    float inverse_gain[SEGMENT], inverse_square[SEGMENT], noise_floor[SEGMENT];
    double wide[SEGMENT], saturation[SEGMENT];
    const float *at[N_TERMS]; /* the segment of each term */
} scratch;

/* What an absent term is: it is subtracted, added, or divided by. */
INLINE float neutral(term which)
{
    switch (which) {
    case LEVEL: case BIAS: case DARK: return 0.0f;
    case GAIN: case FLAT: return 1.0f;
    case SATURATION: return NAN;
    default: return -0.0f;
    }
}

INLINE int present(const calibration *c, term which) { return c->terms[which].start != NULL; }

INLINE int constant(const plane *p)
{
    return p->start == NULL || (p->step == 0 && p->row_step == 0);
}

INLINE void fill(float *restrict to, float value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = value;
}

/* Whether a term consists of float, unlike the others. */
INLINE int is_single(const calibration *c, int which)
{
    return !(which == SATURATION && c->wide);
}

/* What is made of gain and read noise. */
INLINE void prepare_gain(const calibration *c, size_t n, scratch *s)
{
    const float *restrict gain = s->at[GAIN], *restrict noise = s->at[READ_NOISE];
    for (size_t i = 0; i < n; i++) {
        const float numerator = c->apply_gain ? gain[i] : 1.0f, adu = noise[i] / gain[i];
        s->numerator[i] = numerator;
        s->inverse_square[i] = 1 / (numerator * numerator);
        s->inverse_gain[i] = 1 / gain[i];
        s->noise_floor[i] = adu * adu;
    }
}

/* Set the terms that are the same in every segment. */
INLINE void prepare(const calibration *c, scratch *s)
{
    for (int which = 0; which < N_TERMS; which++)
        if (is_single(c, which) && constant(&c->terms[which])) {
            const char *start = c->terms[which].start;
            fill(s->terms[which], start == NULL ? neutral(which) : *(const float *)start, SEGMENT);
            s->at[which] = s->terms[which];
        }
    if (constant(&c->terms[GAIN]) && constant(&c->terms[READ_NOISE]))
        prepare_gain(c, SEGMENT, s);
}

/* Find the segments at (y, x) of the others. */
INLINE void locate(const calibration *c, ptrdiff_t y, ptrdiff_t x, size_t n, scratch *s)
{
    for (int which = 0; which < N_TERMS; which++) {
        const plane *p = &c->terms[which];
        if (!is_single(c, which) || constant(p))
            continue;
        s->at[which] = s->terms[which];
        if (p->step == (ptrdiff_t)sizeof(float))
            s->at[which] = (const float *)at(p, y, x);
        else if (p->step == 0)
            fill(s->terms[which], *(const float *)at(p, y, 0), n);
        else
            load_floats(p, y, x, n, s->terms[which]);
    }
    if (!constant(&c->terms[GAIN]) || !constant(&c->terms[READ_NOISE]))
        prepare_gain(c, n, s);
}

/* Join the flags that the pixels have already. */
INLINE void first_flags(const calibration *c, ptrdiff_t y, ptrdiff_t x, size_t n,
                        uint32_t *restrict flags)
{
    for (size_t i = 0; i < n; i++)
        flags[i] = 0;
    for (const plane *p = c->flags; p < c->flags + c->n_flags; p++) {
        const uint8_t *from = (const uint8_t *)at(p, y, x);
        if (p->step == 1)
            for (size_t i = 0; i < n; i++)
                flags[i] |= from[i];
        else
            for (size_t i = 0; i < n; i++)
                flags[i] |= from[(ptrdiff_t)i * p->step];
    }
}

/* Load the raw values as the signal, and flag those that are saturated. */
INLINE void load_raw(const calibration *c, ptrdiff_t y, ptrdiff_t x, size_t n, scratch *s)
{
    const uint32_t bit = c->saturated;
    float *restrict to = s->signal;
    uint32_t *restrict flags = s->flags;
    if (!c->wide) {
        load_floats(&c->raw, y, x, n, to);
        const float zero = (float)c->bzero, *restrict limit = s->at[SATURATION];
        for (size_t i = 0; i < n; i++) {
            to[i] = zero != 0 ? to[i] + zero : to[i];
            flags[i] |= to[i] >= limit[i] ? bit : 0;
        }
        return;
    }
    double *restrict wide = s->wide;
    load_doubles(&c->raw, y, x, n, wide);
    if (c->bscale != 1 || c->bzero != 0)
        for (size_t i = 0; i < n; i++)
            wide[i] = wide[i] * c->bscale + c->bzero;
    if (present(c, SATURATION)) {
        double *restrict limit = s->saturation;
        load_doubles(&c->terms[SATURATION], y, x, n, limit);
        for (size_t i = 0; i < n; i++)
            flags[i] |= wide[i] >= limit[i] ? bit : 0;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = (float)wide[i];
}

INLINE void subtract_pedestals(size_t n, scratch *s)
{
    const float *restrict level = s->at[LEVEL], *restrict bias = s->at[BIAS];
    float *restrict signal = s->signal;
    for (size_t i = 0; i < n; i++)
        signal[i] = signal[i] - level[i] - bias[i];
}

/* S (c0 + c1 S + c2 S^2 ...) by Horner's rule. */
INLINE void linearize(const calibration *c, float *restrict signal, size_t n)
{
    const float *restrict coefficients = c->linearity;
    const ptrdiff_t last = c->n_linearity - 1;
    for (size_t i = 0; i < n; i++) {
        float factor = coefficients[last];
        for (ptrdiff_t k = last - 1; k >= 0; k--) {
            factor *= signal[i];
            factor += coefficients[k];
        }
        signal[i] *= factor;
    }
}

/* From the linear signal to the result: the variance in adu2, the dark, gain / flat (the gain alone
 * where the flat is too low, which is flagged), and 0 for what is not finite, which is flagged. */
INLINE void finish(const calibration *c, size_t n, scratch *s, float *to, float *variance,
                   const int with_variance, const int flat_spreads)
{
    const float *restrict given = s->at[VARIANCE];
    const float *restrict level_variance = s->at[LEVEL_VARIANCE];
    const float *restrict masters_variance = s->at[MASTERS_VARIANCE];
    const float *restrict dark = s->at[DARK], *restrict flat = s->at[FLAT];
    const float *restrict flat_sigma = s->at[FLAT_SIGMA];
    const float dark_scale = present(c, DARK) ? c->dark_scale : 1;
    const int known = present(c, VARIANCE), cleaning = c->clean;
    /* Limits that do not apply are limits that nothing reaches: no number compares with NaN. */
    const float least = present(c, FLAT) ? c->flat_min : -INFINITY;
    const float lowest = present(c, MASTERS_VARIANCE) ? 0.0f : NAN; /* that may be negative */
    const uint32_t low_flat = c->low_flat, no_data = c->no_data;
    uint32_t *restrict flags = s->flags;
    INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        const float signal = s->signal[i], light = signal <= 0 ? 0 : signal; /* NaN stays */
        const float divisor = flat[i] >= least ? flat[i] : 1.0f;
        const float factor = s->numerator[i] / divisor;
        const float x = (signal - dark[i] * dark_scale) * factor;
        float v = 0, wrong = x - x; /* 0, or NaN of what is not finite */
        if (with_variance) {
            const float made = light * s->inverse_gain[i] + s->noise_floor[i];
            v = known ? given[i] : made;
            v += level_variance[i];
            v += masters_variance[i];
            v = v <= lowest ? 0 : v;
            if (flat_spreads) {
                const float spread = flat_sigma[i] * flat_sigma[i];
                const float part = x * x * spread * s->inverse_square[i];
                v += flat[i] >= least ? part : 0;
            }
            v = v * factor * factor;
            wrong += v - v;
        }
        wrong = cleaning ? wrong : 0;
        flags[i] |= flat[i] >= least ? 0 : low_flat;
        flags[i] |= wrong == 0 ? 0 : no_data;
        to[i] = wrong == 0 ? x : 0;
        if (with_variance)
            variance[i] = wrong == 0 ? v : 0;
    }
}

INLINE void take_roots(float *restrict variance, size_t n)
{
    for (size_t i = 0; i < n; i++)
        variance[i] = sqrtf(variance[i]);
}

INLINE void write_flags(const uint32_t *restrict flags, size_t n, uint8_t *restrict to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)flags[i];
}

VECTORIZED
void calibrate_frame(const calibration *c)
{
    scratch s;
    const target *d = &c->data, *v = &c->variance, *f = &c->flags_out;
    prepare(c, &s);
    for (ptrdiff_t y = 0; y < c->ny; y++) {
        for (ptrdiff_t x = 0; x < c->nx; x += SEGMENT) {
            const size_t n = (size_t)(c->nx - x < SEGMENT ? c->nx - x : SEGMENT);
            float *data = (float *)(d->start + y * d->row_step) + x;
            float *variance = NULL;
            if (v->start != NULL)
                variance = (float *)(v->start + y * v->row_step) + x;
            locate(c, y, x, n, &s);
            first_flags(c, y, x, n, s.flags);
            load_raw(c, y, x, n, &s);
            subtract_pedestals(n, &s);
            if (c->n_linearity > 0)
                linearize(c, s.signal, n);
            if (variance == NULL)
                finish(c, n, &s, data, NULL, 0, 0);
            else if (present(c, FLAT) && present(c, FLAT_SIGMA))
                finish(c, n, &s, data, variance, 1, 1);
            else
                finish(c, n, &s, data, variance, 1, 0);
            if (variance != NULL && c->deviation)
                take_roots(variance, n);
            if (f->start != NULL)
                write_flags(s.flags, n, (uint8_t *)f->start + y * f->row_step + x);
        }
    }
}
