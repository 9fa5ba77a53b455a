/* What the kernels share: strided planes of pixels, and how rows of them are loaded.
 *
 * Nothing here knows Python: `_kernels.c` checks every argument, and then calls with the
 * interpreter's lock released.
 */
#ifndef BMP_ASTRO_KERNELS_H
#define BMP_ASTRO_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../vectorized.h"

/* The arrays of the loop that follows do not overlap, though the compiler cannot tell. */
#if defined(__GNUC__) && !defined(__clang__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

typedef enum { U8, I8, U16, I16, U32, I32, U64, I64, F32, F64 } element;

/* A plane (ny, nx) in memory; a step is 0 along an axis where one value serves all. */
typedef struct {
    const char *start; /* NULL when the plane is absent */
    ptrdiff_t row_step, step;
    element type;
    int swapped;
} plane;

typedef struct {
    char *start; /* NULL when the plane is absent; neighbors in a row are contiguous */
    ptrdiff_t row_step;
} target;

INLINE const char *at(const plane *p, ptrdiff_t y, ptrdiff_t x)
{
    return p->start + y * p->row_step + x * p->step;
}

/* The larger value, or NaN where either is NaN, like numpy's. */
#define MAXIMUM(a, b) ((a) >= (b) || (a) != (a) ? (a) : (b))

/* Convert n elements to float, which must hold their type exactly, or to double. */
void load_floats(const plane *p, ptrdiff_t y, ptrdiff_t x, size_t n, float *restrict to);
void load_doubles(const plane *p, ptrdiff_t y, ptrdiff_t x, size_t n, double *restrict to);

/* calibrate.c */
typedef enum {
    LEVEL, LEVEL_VARIANCE, BIAS, DARK, MASTERS_VARIANCE, GAIN, READ_NOISE,
    FLAT, FLAT_SIGMA, VARIANCE, SATURATION, N_TERMS
} term;

enum { MOST_FLAGS = 8 };

typedef struct {
    ptrdiff_t ny, nx;
    plane raw;
    plane terms[N_TERMS];
    plane flags[MOST_FLAGS]; /* they are joined */
    ptrdiff_t n_flags;
    int wide; /* the raw values need double */
    double bscale, bzero;
    float dark_scale;
    const float *linearity;
    ptrdiff_t n_linearity; /* 0: none */
    float flat_min;
    int apply_gain;
    uint8_t saturated, low_flat, no_data;
    int clean; /* what is not finite becomes 0 and is flagged */
    int deviation; /* the square root of the variance is wanted */
    target data, variance, flags_out;
} calibration;

void calibrate_frame(const calibration *c);

/* combine.c */
enum { MEAN, MEDIAN, SUM };
enum { NO_CLIP, MINMAX, SIGMA, NOISE, PERCENTILE };
enum { MAD, STD, WINSORIZED };

typedef struct {
    ptrdiff_t n, ny, nx;
    const plane *frames;
    const plane *variances, *flags;               /* NULL: none */
    const double *scale, *offset, *k2;            /* n, n, n + 1 */
    const double *weights;                        /* n; NULL: all alike */
    int wide;                                     /* the values need double */
    int method, clip, center_is_mean, deviation;
    int32_t n_low, n_high, max_iterations, min_keep;
    double limit_low, limit_high, quantum;        /* in deviations; of what can be told apart */
    int32_t fewest_for_clipping, fewest_for_mad;
    uint8_t lost_bit;
    const double *floor;                          /* n; NULL: the noise is a table or not known */
    double slope, fraction;
    const double *levels, *level_variances, *level_slopes;
    ptrdiff_t n_levels;
    int alike, spread_alike;                      /* the same noise is expected of all frames */
    target data, variance, count, flags_out;
} combination;

/* Return 0, or -1 when there is no memory; in double where float cannot hold every value. */
int combine_float(const combination *c);
int combine_double(const combination *c);

/* combine_raw.c: the same of n frames that are still to be calibrated. */
int combine_raw(const calibration *frames, const combination *c);

#endif
