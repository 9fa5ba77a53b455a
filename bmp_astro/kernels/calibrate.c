/* A raw frame to a calibrated one: see `calibrate` in calibrate.py for the equation, and its twin
 * in calibrate_numpy.py, whose operations these are, in the same order and precision. */
#include "kernels.h"

#include <string.h>

/* Room for a segment of each term that cannot be read where it is. */
typedef struct {
    float terms[N_TERMS][SEGMENT];
    float inverse_gain[SEGMENT], noise_floor[SEGMENT];
    double wide[SEGMENT], saturation[SEGMENT];
    uint32_t flags[SEGMENT]; /* as wide as the pixels that they are set by */
} scratch;

/* Return the segment of a float32 term at (y, x), or NULL when the term is absent. */
INLINE const float *piece(const calibration *c, term which, ptrdiff_t y, ptrdiff_t x, size_t n,
                          scratch *s)
{
    const plane *p = &c->terms[which];
    if (p->start == NULL)
        return NULL;
    if (p->step == (ptrdiff_t)sizeof(float))
        return (const float *)at(p, y, x);
    float *to = s->terms[which];
    if (p->step == 0) {
        const float value = *(const float *)at(p, y, 0);
        for (size_t i = 0; i < n; i++)
            to[i] = value;
    } else {
        load_floats(p, y, x, n, to);
    }
    return to;
}

INLINE int constant(const plane *p) { return p->step == 0 && p->row_step == 0; }

INLINE void subtract(float *restrict a, const float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] -= b[i];
}

INLINE void subtract_product(float *restrict a, const float *restrict b, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] -= b[i] * factor;
}

INLINE void add_product(float *restrict a, const float *restrict b, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] += b[i] * factor;
}

INLINE void first_flags(const calibration *c, ptrdiff_t y, ptrdiff_t x, size_t n, uint32_t *flags)
{
    const plane *p = &c->terms[FLAGS];
    if (p->start == NULL) {
        memset(flags, 0, n * sizeof *flags);
    } else if (p->step == 1) {
        const uint8_t *from = (const uint8_t *)at(p, y, x);
        for (size_t i = 0; i < n; i++)
            flags[i] = from[i];
    } else {
        for (size_t i = 0; i < n; i++)
            flags[i] = *(const uint8_t *)at(p, y, x + (ptrdiff_t)i);
    }
}

/* Load the raw values, and flag those that are saturated. */
INLINE void load_raw(const calibration *c, ptrdiff_t y, ptrdiff_t x, size_t n, float *restrict to,
                     scratch *s)
{
    const int flagging = c->terms[SATURATION].start != NULL && c->saturated;
    const uint32_t bit = c->saturated;
    uint32_t *restrict flags = s->flags;
    if (!c->wide) {
        load_floats(&c->raw, y, x, n, to);
        const float zero = (float)c->bzero;
        if (zero != 0)
            for (size_t i = 0; i < n; i++)
                to[i] += zero;
        if (flagging) {
            const float *restrict limit = piece(c, SATURATION, y, x, n, s);
            for (size_t i = 0; i < n; i++)
                flags[i] |= to[i] >= limit[i] ? bit : 0;
        }
        return;
    }
    double *restrict wide = s->wide;
    load_doubles(&c->raw, y, x, n, wide);
    if (c->bscale != 1 || c->bzero != 0)
        for (size_t i = 0; i < n; i++)
            wide[i] = wide[i] * c->bscale + c->bzero;
    if (flagging) {
        double *restrict limit = s->saturation;
        load_doubles(&c->terms[SATURATION], y, x, n, limit);
        for (size_t i = 0; i < n; i++)
            flags[i] |= wide[i] >= limit[i] ? bit : 0;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = (float)wide[i];
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

/* The variance in adu2 after the dark; `signal` is the one before it. */
INLINE void make_variance(const calibration *c, ptrdiff_t y, ptrdiff_t x, size_t n,
                          const float *restrict signal, float *restrict out, scratch *s)
{
    const float *restrict known = piece(c, VARIANCE, y, x, n, s);
    if (known != NULL) {
        for (size_t i = 0; i < n; i++)
            out[i] = known[i];
    } else {
        if (!constant(&c->terms[GAIN]) || !constant(&c->terms[READ_NOISE]) || (y == 0 && x == 0)) {
            const float *restrict gain = piece(c, GAIN, y, x, n, s);
            const float *restrict noise = piece(c, READ_NOISE, y, x, n, s);
            for (size_t i = 0; i < n; i++) {
                const float adu = noise[i] / gain[i];
                s->inverse_gain[i] = 1 / gain[i];
                s->noise_floor[i] = adu * adu;
            }
        }
        for (size_t i = 0; i < n; i++) {
            const float light = signal[i] <= 0 ? 0 : signal[i]; /* NaN stays */
            out[i] = light * s->inverse_gain[i] + s->noise_floor[i];
        }
    }
    const struct { term which; float factor; } parts[] = {
        {LEVEL_VARIANCE, 1}, {BIAS_VARIANCE, c->bias_share}, {DARK_VARIANCE, c->dark_share},
    };
    for (int k = 0; k < 3; k++) {
        const float *part = piece(c, parts[k].which, y, x, n, s);
        if (part != NULL)
            add_product(out, part, parts[k].factor, n);
    }
    if (c->floored)
        for (size_t i = 0; i < n; i++)
            out[i] = out[i] <= 0 ? 0 : out[i];
}

/* Multiply by gain / flat, by the gain alone where the flat is too low, which is flagged. */
INLINE void apply_gain_and_flat(const calibration *c, ptrdiff_t y, ptrdiff_t x, size_t n,
                                float *restrict data, float *restrict variance, scratch *s)
{
    const float *restrict flat = piece(c, FLAT, y, x, n, s);
    const float *restrict gain = c->apply_gain ? piece(c, GAIN, y, x, n, s) : NULL;
    if (gain == NULL && flat == NULL)
        return;
    if (gain == NULL) {
        for (size_t i = 0; i < n; i++)
            s->terms[GAIN][i] = 1;
        gain = s->terms[GAIN];
    }
    float factor[SEGMENT];
    const float least = c->flat_min;
    const uint32_t bit = c->low_flat;
    uint32_t *restrict flags = s->flags;
    for (size_t i = 0; i < n; i++) {
        const int low = flat != NULL && !(flat[i] >= least);
        factor[i] = flat == NULL ? gain[i] : gain[i] / (low ? 1.0f : flat[i]);
        flags[i] |= low ? bit : 0;
        data[i] *= factor[i];
    }
    if (variance == NULL)
        return;
    const float *restrict flat_variance = flat == NULL ? NULL : piece(c, FLAT_VARIANCE, y, x, n, s);
    for (size_t i = 0; i < n; i++) {
        float sum = variance[i];
        if (flat_variance != NULL) {
            const float part = data[i] * data[i] * flat_variance[i] * (1 / (gain[i] * gain[i]));
            sum += flat[i] >= least ? part : 0;
        }
        variance[i] = sum * factor[i] * factor[i];
    }
}

/* Replace what is not finite by 0, and flag it. */
INLINE void clean(size_t n, float *restrict data, float *restrict variance,
                  uint32_t *restrict flags, uint32_t no_data)
{
    if (variance == NULL)
        for (size_t i = 0; i < n; i++) {
            const float wrong = data[i] - data[i]; /* 0, or NaN of what is not finite */
            flags[i] |= wrong == 0 ? 0 : no_data;
            data[i] = wrong == 0 ? data[i] : 0;
        }
    else
        for (size_t i = 0; i < n; i++) {
            const float wrong = data[i] - data[i] + (variance[i] - variance[i]);
            flags[i] |= wrong == 0 ? 0 : no_data;
            data[i] = wrong == 0 ? data[i] : 0;
            variance[i] = wrong == 0 ? variance[i] : 0;
        }
}

VECTORIZED
void calibrate_frame(const calibration *c)
{
    scratch s;
    for (ptrdiff_t y = 0; y < c->ny; y++) {
        for (ptrdiff_t x = 0; x < c->nx; x += SEGMENT) {
            const size_t n = (size_t)(c->nx - x < SEGMENT ? c->nx - x : SEGMENT);
            float *data = (float *)(c->data.start + y * c->data.row_step) + x;
            float *variance = NULL;
            if (c->variance.start != NULL)
                variance = (float *)(c->variance.start + y * c->variance.row_step) + x;
            first_flags(c, y, x, n, s.flags);
            load_raw(c, y, x, n, data, &s);
            const float *pedestal = piece(c, LEVEL, y, x, n, &s);
            if (pedestal != NULL)
                subtract(data, pedestal, n);
            pedestal = piece(c, BIAS, y, x, n, &s);
            if (pedestal != NULL)
                subtract(data, pedestal, n);
            if (c->n_linearity > 0)
                linearize(c, data, n);
            if (variance != NULL)
                make_variance(c, y, x, n, data, variance, &s);
            const float *dark = piece(c, DARK, y, x, n, &s);
            if (dark != NULL)
                subtract_product(data, dark, c->dark_scale, n);
            apply_gain_and_flat(c, y, x, n, data, variance, &s);
            if (c->clean)
                clean(n, data, variance, s.flags, c->no_data);
            if (c->flags.start != NULL) {
                uint8_t *flags = (uint8_t *)c->flags.start + y * c->flags.row_step + x;
                for (size_t i = 0; i < n; i++)
                    flags[i] = (uint8_t)s.flags[i];
            }
        }
    }
}
