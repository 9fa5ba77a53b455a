/* The middle of few values, in the precision REAL; part of combine_order.h.
 *
 * All values of a lane are sorted in registers.  The number of values is known where this is
 * compiled, and comparators that the middle does not need are left out by the compiler.
 */

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
#define C(one, other)                                                                   \
    if (other < n) {                                                                    \
        const REAL a = v[one], b = v[other];                                            \
        v[one] = a < b ? a : b;                                                         \
        v[other] = a > b ? a : b;                                                       \
    }
        /* The comparators of make_network for 16 values. */
        C(0, 8) C(1, 9) C(2, 10) C(3, 11) C(4, 12) C(5, 13) C(6, 14) C(7, 15) C(0, 4)
        C(1, 5) C(2, 6) C(3, 7) C(8, 12) C(9, 13) C(10, 14) C(11, 15) C(4, 8) C(5, 9)
        C(6, 10) C(7, 11) C(0, 2) C(1, 3) C(4, 6) C(5, 7) C(8, 10) C(9, 11) C(12, 14)
        C(13, 15) C(2, 8) C(3, 9) C(6, 12) C(7, 13) C(2, 4) C(3, 5) C(6, 8) C(7, 9)
        C(10, 12) C(11, 13) C(0, 1) C(2, 3) C(4, 5) C(6, 7) C(8, 9) C(10, 11) C(12, 13)
        C(14, 15) C(1, 8) C(3, 10) C(5, 12) C(7, 14) C(1, 4) C(3, 6) C(5, 8) C(7, 10)
        C(9, 12) C(11, 14) C(1, 2) C(3, 4) C(5, 6) C(7, 8) C(9, 10) C(11, 12) C(13, 14)
#undef C
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

static void OF(middle)(const OF(tile) *t, const REAL *from, REAL *lower, REAL *upper)
{
    switch (t->n) {
#define NUMBER(n) case n: OF(middle_of_##n)(from, t->room, t->lanes, lower, upper); break;
    FOR_EACH_SMALL
#undef NUMBER
    }
}
#undef FOR_EACH_SMALL
