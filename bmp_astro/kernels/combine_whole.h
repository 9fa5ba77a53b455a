/* Pixels that are whole, all of whose values are kept, in the precision REAL; part of
 * combine_tile.h.
 *
 * Nearly all are, and that takes less to see than what the rules ask for: no frame's limits are
 * narrower than those for the least noise that is expected of any.  So a tile is combined as if
 * all its pixels were whole, and the others are gathered and settled afterwards.
 */

/* Whether it pays to look for whole pixels, and the least noise is certain. */
static int OF(may_be_whole)(const combination *c)
{
    int sound = c->floor == NULL || c->slope >= 0;
    for (ptrdiff_t f = 0; c->floor != NULL && f < c->n; f++)
        sound &= c->floor[f] >= 0 && c->scale[f] > 0;
    /* Sums of squares of doubles may overflow. */
    const int overflows = c->wide && c->clip == SIGMA && c->deviation == WINSORIZED;
    return sound && !overflows && c->clip != MINMAX && c->n <= LARGEST_NETWORK
           && c->min_keep <= c->n;
}

/* Set what is the same for all whole pixels. */
static void OF(begin_whole)(const combination *c, OF(tile) *t)
{
    t->whole = 1;
    t->kept = t->values;
    t->left = t->values;
    t->lanes = t->room;
    for (size_t i = 0; i < t->room; i++)
        t->n_valid[i] = t->n_kept[i] = t->n_used[i] = (int32_t)t->n;
    OF(sum_weights)(c, t);
}

/* List the pixels that may have to lose a value, or lack one; return how many they are. */
PART size_t OF(list_others)(const combination *c, OF(tile) *t, int bad, int32_t *restrict others)
{
    int32_t whole[LANES];
    size_t n_others = 0;
    if (c->clip == NO_CLIP && !bad)
        return 0;
    for (size_t i = 0; i < t->lanes; i++)
        whole[i] = 1;
    if (bad)
        for (size_t f = 0; f < t->n; f++) {
            const REAL *restrict v = t->values + f * t->room;
            for (size_t i = 0; i < t->lanes; i++)
                whole[i] &= v[i] == v[i];
        }
    if (c->clip != NO_CLIP) {
        const OF(law) noise = OF(least_law)(c);
        const int own_only = OF(find_center)(c, t, 1);
        OF(set_limits)(c, t, own_only ? NULL : &noise);
        for (size_t f = 0; f < t->n; f++) {
            const REAL *restrict v = t->values + f * t->room;
            for (size_t i = 0; i < t->lanes; i++)
                whole[i] &= v[i] >= t->low[i] && v[i] <= t->high[i];
        }
    }
    for (size_t i = 0; i < t->lanes; i++) {
        others[n_others] = (int32_t)i;
        n_others += !whole[i];
    }
    return n_others;
}

/* Settle what was gathered. */
static void OF(settle_others)(const combination *c, OF(tile) *others)
{
    if (others->lanes > 0)
        OF(settle)(c, others);
    others->lanes = 0;
}

/* Combine the pixels of a tile as if they were whole, and gather those that are not. */
PART void OF(combine_whole)(const combination *c, OF(tile) *t, OF(tile) *others, ptrdiff_t y,
                            ptrdiff_t x, size_t lanes)
{
    double spread[LANES];
    int32_t listed[LANES];
    const int bad = OF(load_tile)(c, t, y, x, lanes);
    const size_t n_listed = OF(list_others)(c, t, bad, listed);
    OF(average)(c, t);
    if (c->variance.start != NULL)
        OF(spread)(c, t, spread);
    OF(store)(c, t, spread);
    if (others->lanes + n_listed > others->room)
        OF(settle_others)(c, others);
    others->y = y;
    for (size_t j = 0; j < n_listed; j++)
        others->column[others->lanes + j] = t->column[listed[j]];
    for (size_t f = 0; f < t->n; f++) {
        const REAL *restrict from = t->values + f * t->room;
        REAL *restrict to = others->values + f * t->room + others->lanes;
        for (size_t j = 0; j < n_listed; j++)
            to[j] = from[listed[j]];
    }
    others->lanes += n_listed;
}
