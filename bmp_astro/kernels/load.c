/* Rows of pixels of any type, byte order and step, as float or double. */
#include "kernels.h"

#include <string.h>

INLINE uint8_t swap8(uint8_t v) { return v; }
INLINE uint16_t swap16(uint16_t v) { return (uint16_t)(v << 8 | v >> 8); }
INLINE uint32_t swap32(uint32_t v)
{
    return v << 24 | (v & 0xff00u) << 8 | (v >> 8 & 0xff00u) | v >> 24;
}
INLINE uint64_t swap64(uint64_t v)
{
    return (uint64_t)swap32((uint32_t)v) << 32 | swap32((uint32_t)(v >> 32));
}

INLINE float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The step of neighbors is written out, since only then the loop becomes one of vectors. */
#define EACH(STORED, VALUE)                                                     \
    if (step == (ptrdiff_t)sizeof(STORED))                                      \
        for (size_t i = 0; i < n; i++) {                                        \
            const STORED v = ((const STORED *)from)[i];                         \
            to[i] = VALUE;                                                      \
        }                                                                       \
    else                                                                        \
        for (size_t i = 0; i < n; i++) {                                        \
            const STORED v = *(const STORED *)(from + (ptrdiff_t)i * step);     \
            to[i] = VALUE;                                                      \
        }                                                                       \
    break;

#define INTEGERS(BITS, WORK)                                              \
    case U##BITS:                                                               \
        if (p->swapped) { EACH(uint##BITS##_t, (WORK)swap##BITS(v)) }           \
        EACH(uint##BITS##_t, (WORK)v)                                           \
    case I##BITS:                                                               \
        if (p->swapped) { EACH(uint##BITS##_t, (WORK)(int##BITS##_t)swap##BITS(v)) } \
        EACH(int##BITS##_t, (WORK)v)

#define FLOATS(BITS, TYPE, WORK)                                                \
    case F##BITS:                                                               \
        if (p->swapped) { EACH(uint##BITS##_t, (WORK)TYPE##_of(swap##BITS(v))) } \
        EACH(TYPE, (WORK)v)

VECTORIZED
void load_floats(const plane *p, ptrdiff_t y, ptrdiff_t x, size_t n, float *restrict to)
{
    const char *from = at(p, y, x);
    const ptrdiff_t step = p->step;
    switch (p->type) {
        INTEGERS(8, float)
        INTEGERS(16, float)
        FLOATS(32, float, float)
    default:
        break;
    }
}

VECTORIZED
void load_doubles(const plane *p, ptrdiff_t y, ptrdiff_t x, size_t n, double *restrict to)
{
    const char *from = at(p, y, x);
    const ptrdiff_t step = p->step;
    switch (p->type) {
        INTEGERS(8, double)
        INTEGERS(16, double)
        INTEGERS(32, double)
        INTEGERS(64, double)
        FLOATS(32, float, double)
        FLOATS(64, double, double)
    }
}
