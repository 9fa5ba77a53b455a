/* Raw frames to one: they are calibrated and combined block by block, so that what is between the
 * two stays in the processor's cache.  See `combine_raw` in combine_raw.py.
 */
#include "kernels.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 1 << 19, NARROWEST = 512 }; /* pixels */

/* The calibrated frames of a block. */
typedef struct {
    ptrdiff_t rows, columns; /* of the largest block */
    float *data;
    uint8_t *bits;
    plane *frames, *flags;
} room;

static void free_room(room *r)
{
    free(r->data);
    free(r->bits);
    free(r->frames);
}

/* Choose blocks of whole rows where several fit, else of parts of a row; return -1 without memory. */
static int new_room(const combination *c, room *r)
{
    const ptrdiff_t pixels = BLOCK_BYTES / ((ptrdiff_t)(sizeof(float) + 1) * c->n);
    r->rows = c->nx > 0 && pixels > c->nx ? pixels / c->nx : 1;
    r->columns = pixels / NARROWEST > 1 ? pixels / NARROWEST * NARROWEST : NARROWEST;
    if (r->rows > 1 || r->columns > c->nx)
        r->columns = c->nx;
    const size_t size = (size_t)c->n * (size_t)(r->rows * r->columns);
    r->data = malloc(size * sizeof *r->data + 1);
    r->bits = malloc(size + 1);
    r->frames = calloc(2 * (size_t)c->n, sizeof *r->frames);
    r->flags = r->frames + c->n;
    return r->data == NULL || r->bits == NULL || r->frames == NULL ? -1 : 0;
}

/* A plane from (y, x) on. */
INLINE plane from(const plane *p, ptrdiff_t y, ptrdiff_t x)
{
    plane part = *p;
    part.start = p->start == NULL ? NULL : at(p, y, x);
    return part;
}

/* An output, of elements of some size, from (y, x) on. */
INLINE target into(const target *t, ptrdiff_t y, ptrdiff_t x, size_t size)
{
    target part = *t;
    if (t->start != NULL)
        part.start += y * t->row_step + x * (ptrdiff_t)size;
    return part;
}

/* Calibrate the block at (y, x) of a frame. */
static void calibrate_block(const calibration *frame, ptrdiff_t y, ptrdiff_t x,
                            const combination *block, float *data, uint8_t *bits)
{
    calibration part = *frame;
    part.ny = block->ny;
    part.nx = block->nx;
    part.raw = from(&frame->raw, y, x);
    for (int which = 0; which < N_TERMS; which++)
        part.terms[which] = from(&frame->terms[which], y, x);
    for (ptrdiff_t i = 0; i < frame->n_flags; i++)
        part.flags[i] = from(&frame->flags[i], y, x);
    part.data = (target){(char *)data, part.nx * (ptrdiff_t)sizeof *data};
    part.flags_out = (target){(char *)bits, part.nx};
    calibrate_frame(&part);
}

/* Calibrate the block at (y, x) of all frames, and combine it. */
static int combine_block(const calibration *frames, const combination *c, const room *r,
                         ptrdiff_t y, ptrdiff_t x)
{
    combination block = *c;
    block.ny = c->ny - y < r->rows ? c->ny - y : r->rows;
    block.nx = c->nx - x < r->columns ? c->nx - x : r->columns;
    block.frames = r->frames;
    block.flags = r->flags;
    block.data = into(&c->data, y, x, sizeof(float));
    block.variance = into(&c->variance, y, x, sizeof(float));
    block.count = into(&c->count, y, x, sizeof(uint16_t));
    block.flags_out = into(&c->flags_out, y, x, sizeof(uint8_t));
    for (ptrdiff_t f = 0; f < c->n; f++) {
        float *data = r->data + f * block.ny * block.nx;
        uint8_t *bits = r->bits + f * block.ny * block.nx;
        const ptrdiff_t width = block.nx * (ptrdiff_t)sizeof *data;
        calibrate_block(&frames[f], y, x, &block, data, bits);
        r->frames[f] = (plane){(const char *)data, width, sizeof *data, F32, 0};
        r->flags[f] = (plane){(const char *)bits, block.nx, sizeof *bits, U8, 0};
    }
    return combine_float(&block);
}

int combine_raw(const calibration *frames, const combination *c)
{
    room r;
    int done = new_room(c, &r);
    for (ptrdiff_t y = 0; done == 0 && y < c->ny; y += r.rows)
        for (ptrdiff_t x = 0; done == 0 && x < c->nx; x += r.columns)
            done = combine_block(frames, c, &r, y, x);
    free_room(&r);
    return done;
}
