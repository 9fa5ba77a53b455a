/* The middle of up to LARGEST_NETWORK values, in the precision REAL; part of combine_order.h.
 *
 * Values are sorted in registers.  Where few have functions APART, their number is known where these
 * are compiled, and comparators that the middle does not need are left out by the compiler.
 */

#define C(one, other)                                                                   \
    if (other < n) {                                                                    \
        const REAL a = v[one], b = v[other];                                            \
        v[one] = a < b ? a : b;                                                         \
        v[other] = a > b ? a : b;                                                       \
    }
/* The comparators of make_network for 16 values. */
#define SORTED \
    C(0, 8) C(1, 9) C(2, 10) C(3, 11) C(4, 12) C(5, 13) C(6, 14) C(7, 15) C(0, 4) \
    C(1, 5) C(2, 6) C(3, 7) C(8, 12) C(9, 13) C(10, 14) C(11, 15) C(4, 8) C(5, 9) \
    C(6, 10) C(7, 11) C(0, 2) C(1, 3) C(4, 6) C(5, 7) C(8, 10) C(9, 11) C(12, 14) \
    C(13, 15) C(2, 8) C(3, 9) C(6, 12) C(7, 13) C(2, 4) C(3, 5) C(6, 8) C(7, 9) \
    C(10, 12) C(11, 13) C(0, 1) C(2, 3) C(4, 5) C(6, 7) C(8, 9) C(10, 11) C(12, 13) \
    C(14, 15) C(1, 8) C(3, 10) C(5, 12) C(7, 14) C(1, 4) C(3, 6) C(5, 8) C(7, 10) \
    C(9, 12) C(11, 14) C(1, 2) C(3, 4) C(5, 6) C(7, 8) C(9, 10) C(11, 12) C(13, 14)

#if APART
/* The two middle values of n <= SMALL_NETWORK ones, none of which is missing. */
INLINE void OF(middle_of)(const int n, const REAL *from, size_t room, size_t lanes,
                          REAL *restrict lower, REAL *restrict upper)
{
    INDEPENDENT
    for (size_t i = 0; i < lanes; i++) {
        REAL v[SMALL_NETWORK];
#define L(f) v[f] = f < n ? from[(f < n ? f : 0) * room + i] : 0;
        L(0) L(1) L(2) L(3) L(4) L(5) L(6) L(7)
        L(8) L(9) L(10) L(11) L(12) L(13) L(14) L(15)
#undef L
        SORTED
        lower[i] = v[(n - 1) / 2];
        upper[i] = v[n / 2];
    }
}

#define FOR_EACH_SMALL                                                                  \
    NUMBER(1) NUMBER(2) NUMBER(3) NUMBER(4) NUMBER(5) NUMBER(6) NUMBER(7) NUMBER(8)     \
    NUMBER(9) NUMBER(10) NUMBER(11) NUMBER(12) NUMBER(13) NUMBER(14) NUMBER(15) NUMBER(16)

#define NUMBER(n)                                                                       \
    PART void OF(middle_of_##n)(const REAL *from, size_t room, size_t lanes, REAL *lower, \
                                REAL *upper)                                            \
    {                                                                                   \
        OF(middle_of)(n, from, room, lanes, lower, upper);                              \
    }
FOR_EACH_SMALL
#undef NUMBER
#endif

/* Sort at most SMALL_NETWORK rows; infinity fills the rest of as many. */
PART void OF(sort_run)(const REAL *from, size_t n_rows, size_t room, size_t lanes, REAL *restrict to)
{
    enum { n = SMALL_NETWORK };
    REAL filling[LANES];
    for (size_t i = 0; i < lanes; i++)
        filling[i] = (REAL)INFINITY;
#define R(f) const REAL *const row##f = f < n_rows ? from + f * room : filling;
    R(0) R(1) R(2) R(3) R(4) R(5) R(6) R(7) R(8) R(9) R(10) R(11) R(12) R(13) R(14) R(15)
#undef R
    INDEPENDENT
    for (size_t i = 0; i < lanes; i++) {
        REAL v[SMALL_NETWORK];
#define L(f) v[f] = row##f[i];
        L(0) L(1) L(2) L(3) L(4) L(5) L(6) L(7)
        L(8) L(9) L(10) L(11) L(12) L(13) L(14) L(15)
#undef L
        SORTED
#define S(f) to[f * room + i] = v[f];
        S(0) S(1) S(2) S(3) S(4) S(5) S(6) S(7)
        S(8) S(9) S(10) S(11) S(12) S(13) S(14) S(15)
#undef S
    }
}
#undef C
#undef SORTED

/* Merge two sorted runs of SMALL_NETWORK rows, one after the other, as Batcher does. */
PART void OF(merge_runs)(REAL *rows, size_t room, size_t lanes)
{
    for (size_t i = 0; i < SMALL_NETWORK; i++)
        OF(exchange)(rows + i * room, rows + (i + SMALL_NETWORK) * room, lanes, rows + i * room,
                     rows + (i + SMALL_NETWORK) * room);
    for (size_t d = SMALL_NETWORK / 2; d > 0; d /= 2)
        for (size_t j = d; j + d < 2 * SMALL_NETWORK; j += 2 * d)
            for (size_t i = j; i < j + d; i++)
                OF(exchange)(rows + i * room, rows + (i + d) * room, lanes, rows + i * room,
                             rows + (i + d) * room);
}

/* The value of a rank in the union of two sorted runs: the least, over all ways to take so many
 * values from the two, of the greatest that is taken. */
PART void OF(rank_of_two)(const REAL *one, size_t n_one, const REAL *other, size_t n_other,
                          size_t rank, size_t room, size_t lanes, REAL *restrict value)
{
    const size_t taken = rank + 1, first = taken > n_other ? taken - n_other : 0;
    const size_t last = taken < n_one ? taken : n_one;
    for (size_t i = 0; i < lanes; i++)
        value[i] = (REAL)INFINITY;
    for (size_t from_one = first; from_one <= last; from_one++) {
        const size_t from_other = taken - from_one;
        const REAL *restrict a = (from_one > 0 ? one + (from_one - 1) * room : other);
        const REAL *restrict b = (from_other > 0 ? other + (from_other - 1) * room : one);
        const int both = from_one > 0 && from_other > 0;
        if (both)
            for (size_t i = 0; i < lanes; i++) {
                const REAL greater = a[i] > b[i] ? a[i] : b[i];
                value[i] = greater < value[i] ? greater : value[i];
            }
        else
            for (size_t i = 0; i < lanes; i++) {
                const REAL only = from_one > 0 ? a[i] : b[i];
                value[i] = only < value[i] ? only : value[i];
            }
    }
}

/* The two middle values of up to LARGEST_NETWORK ones: of sorted runs, of which each two are merged
 * until there are two. */
PART void OF(middle_of_runs)(OF(tile) *t, const REAL *from, REAL *restrict lower,
                             REAL *restrict upper)
{
    const size_t n = t->n, half = n > 2 * SMALL_NETWORK ? 2 * SMALL_NETWORK : SMALL_NETWORK;
    for (size_t f = 0; f < n; f += SMALL_NETWORK)
        OF(sort_run)(from + f * t->room, n - f < SMALL_NETWORK ? n - f : SMALL_NETWORK, t->room,
                     t->lanes, t->sorted + f * t->room);
    for (size_t f = 0; half > SMALL_NETWORK && f + SMALL_NETWORK < n; f += half)
        OF(merge_runs)(t->sorted + f * t->room, t->room, t->lanes);
    if (n <= SMALL_NETWORK) {
        memcpy(lower, t->sorted + (n - 1) / 2 * t->room, t->lanes * sizeof *lower);
        memcpy(upper, t->sorted + n / 2 * t->room, t->lanes * sizeof *upper);
        return;
    }
    const REAL *rest = t->sorted + half * t->room;
    OF(rank_of_two)(t->sorted, half, rest, n - half, (n - 1) / 2, t->room, t->lanes, lower);
    OF(rank_of_two)(t->sorted, half, rest, n - half, n / 2, t->room, t->lanes, upper);
}

static void OF(middle)(OF(tile) *t, const REAL *from, REAL *lower, REAL *upper)
{
    switch (t->n) {
#if APART
#define NUMBER(n) case n: OF(middle_of_##n)(from, t->room, t->lanes, lower, upper); break;
    FOR_EACH_SMALL
#undef NUMBER
#undef FOR_EACH_SMALL
#endif
    default: OF(middle_of_runs)(t, from, lower, upper);
    }
}
