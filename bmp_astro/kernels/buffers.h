/* The arrays of a call: held by the buffer protocol, checked, and described for the kernels. */
#ifndef BMP_ASTRO_BUFFERS_H
#define BMP_ASTRO_BUFFERS_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <string.h>

#include "kernels.h"

/* The buffers that a call holds; the outputs are the last ones. */
typedef struct {
    Py_buffer *views;
    Py_ssize_t n, room;
} buffers;

static int hold(buffers *held, Py_ssize_t room)
{
    held->n = 0;
    held->room = room;
    held->views = PyMem_Calloc((size_t)room, sizeof(Py_buffer));
    if (held->views == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void let_go(buffers *held)
{
    for (Py_ssize_t i = 0; i < held->n; i++)
        PyBuffer_Release(&held->views[i]);
    PyMem_Free(held->views);
}

static Py_buffer *take(buffers *held, PyObject *object, int flags)
{
    if (held->n == held->room) {
        PyErr_SetString(PyExc_SystemError, "more buffers than foreseen");
        return NULL;
    }
    Py_buffer *view = &held->views[held->n];
    if (PyObject_GetBuffer(object, view, flags) < 0)
        return NULL;
    held->n++;
    return view;
}

/* Tell the element type of a buffer from its format, which numpy writes as one letter with an
 * optional byte order before it. */
static int read_format(const Py_buffer *view, element *type, int *swapped)
{
    static const char letters[] = "BHILQ" "bhilq" "fd";
    static const int one = 1;
    const int little = *(const char *)&one == 1;
    const char *format = view->format == NULL ? "B" : view->format;
    *swapped = 0;
    if (*format != '\0' && strchr("<>=@!", *format) != NULL) {
        *swapped = little ? (*format == '>' || *format == '!') : *format == '<';
        format++;
    }
    const char *found = *format == '\0' ? NULL : strchr(letters, *format);
    if (found == NULL || format[1] != '\0')
        return -1;
    const int kind = (int)((found - letters) / 5);
    switch (view->itemsize) {
    case 1: *type = kind == 0 ? U8 : I8; return 0;
    case 2: *type = kind == 0 ? U16 : I16; return 0;
    case 4: *type = kind == 0 ? U32 : kind == 1 ? I32 : F32; return 0;
    case 8: *type = kind == 0 ? U64 : kind == 1 ? I64 : F64; return 0;
    default: return -1;
    }
}

/* Whether all elements lie at multiples of their size, as the processor wants them. */
static int aligned(const Py_buffer *view)
{
    size_t joined = (size_t)view->buf;
    for (int axis = 0; axis < view->ndim; axis++)
        if (view->shape[axis] > 1)
            joined |= (size_t)view->strides[axis];
    return joined % (size_t)view->itemsize == 0;
}

/* Fill `p` from an array (ny, nx) of native elements `wanted`; an axis of length 1 serves all. */
static int read_plane(buffers *held, PyObject *object, const char *name, Py_ssize_t ny,
                      Py_ssize_t nx, element wanted, plane *p)
{
    memset(p, 0, sizeof *p);
    if (object == Py_None)
        return 0;
    const Py_buffer *view = take(held, object, PyBUF_RECORDS_RO);
    if (view == NULL)
        return -1;
    if (read_format(view, &p->type, &p->swapped) < 0 || p->type != wanted || p->swapped
        || !aligned(view)) {
        PyErr_Format(PyExc_ValueError, "%s: wrong type of element, or not aligned", name);
        return -1;
    }
    if (view->ndim != 2 || (view->shape[0] != ny && view->shape[0] != 1)
        || (view->shape[1] != nx && view->shape[1] != 1)) {
        PyErr_Format(PyExc_ValueError, "%s: wrong shape", name);
        return -1;
    }
    p->start = view->buf;
    p->row_step = view->shape[0] == 1 ? 0 : view->strides[0];
    p->step = view->shape[1] == 1 ? 0 : view->strides[1];
    return 0;
}

/* Fill `p` from a two-dimensional array of any type that the kernels load. */
static int read_raw(buffers *held, PyObject *object, const char *name, plane *p, Py_ssize_t *ny,
                    Py_ssize_t *nx)
{
    const Py_buffer *view = take(held, object, PyBUF_RECORDS_RO);
    if (view == NULL)
        return -1;
    if (view->ndim != 2 || read_format(view, &p->type, &p->swapped) < 0 || !aligned(view)) {
        PyErr_Format(PyExc_ValueError, "%s: expected two axes of aligned numbers", name);
        return -1;
    }
    p->start = view->buf;
    p->row_step = view->strides[0];
    p->step = view->strides[1];
    *ny = view->shape[0];
    *nx = view->shape[1];
    return 0;
}

/* The bytes from the first to the last element of a buffer. */
static void extent(const Py_buffer *view, const char **first, const char **last)
{
    *first = *last = view->buf;
    for (int axis = 0; axis < view->ndim; axis++) {
        const Py_ssize_t reach = view->strides[axis] * (view->shape[axis] - 1);
        if (view->shape[axis] == 0) {
            *last = *first - 1;
            return;
        }
        if (reach > 0)
            *last += reach;
        else
            *first += reach;
    }
    *last += view->itemsize - 1;
}

/* Fill `t` from an output; it shares no memory with what is held already. */
static int read_target(buffers *held, PyObject *object, const char *name, Py_ssize_t ny,
                       Py_ssize_t nx, element wanted, target *t)
{
    element type;
    int swapped;
    memset(t, 0, sizeof *t);
    if (object == Py_None)
        return 0;
    const Py_buffer *view = take(held, object, PyBUF_RECORDS);
    if (view == NULL)
        return -1;
    if (read_format(view, &type, &swapped) < 0 || type != wanted || swapped || !aligned(view)
        || view->ndim != 2 || view->shape[0] != ny || view->shape[1] != nx
        || (nx > 1 && view->strides[1] != view->itemsize)
        || (ny > 1 && view->strides[0] < nx * view->itemsize)) {
        PyErr_Format(PyExc_ValueError, "%s: wrong type, shape or order in memory", name);
        return -1;
    }
    const char *first, *last, *other_first, *other_last;
    extent(view, &first, &last);
    for (const Py_buffer *other = held->views; other < view; other++) {
        extent(other, &other_first, &other_last);
        if (first <= other_last && other_first <= last) {
            PyErr_Format(PyExc_ValueError, "%s: shares memory with another array", name);
            return -1;
        }
    }
    t->start = view->buf;
    t->row_step = view->strides[0];
    return 0;
}

/* Return the one-dimensional numbers of a buffer of native doubles (or floats). */
static const void *read_numbers(buffers *held, PyObject *object, const char *name, element wanted,
                                Py_ssize_t *n)
{
    element type;
    int swapped;
    const Py_buffer *view = take(held, object, PyBUF_RECORDS_RO);
    if (view == NULL)
        return NULL;
    if (read_format(view, &type, &swapped) < 0 || type != wanted || swapped || !aligned(view)
        || view->ndim != 1 || (view->shape[0] > 1 && view->strides[0] != view->itemsize)) {
        PyErr_Format(PyExc_ValueError, "%s: expected a contiguous row of numbers", name);
        return NULL;
    }
    *n = view->shape[0];
    return view->buf;
}

#endif
