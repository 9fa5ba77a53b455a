/* The compiled kernels as a module of the stable ABI.
 *
 * Arrays come by the buffer protocol.  Everything about them is checked here: types, shapes,
 * alignment, and that no output shares memory with anything else; a wrong call is a ValueError,
 * never a wild pointer.  The kernels themselves run with the interpreter's lock released.
 */
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

static const char *const TERM_NAMES[N_TERMS] = {
    "level", "level_variance", "bias", "bias_variance", "dark", "dark_variance", "gain",
    "read_noise", "flat", "flat_variance", "variance", "saturation", "flags",
};

static int read_calibration(buffers *held, PyObject *args, calibration *c)
{
    PyObject *raw, *terms, *linearity, *data, *variance, *flags;
    unsigned char saturated, low_flat, no_data;
    memset(c, 0, sizeof *c);
    if (!PyArg_ParseTuple(args, "OO!(pddfffpOfpbbbp)(OOO):calibrate", &raw, &PyTuple_Type, &terms,
                          &c->wide, &c->bscale, &c->bzero, &c->bias_share, &c->dark_scale,
                          &c->dark_share, &c->floored, &linearity, &c->flat_min, &c->apply_gain,
                          &saturated, &low_flat, &no_data, &c->clean, &data, &variance, &flags))
        return -1;
    c->saturated = saturated;
    c->low_flat = low_flat;
    c->no_data = no_data;
    if (PyTuple_Size(terms) != N_TERMS) {
        PyErr_Format(PyExc_ValueError, "expected %d terms", (int)N_TERMS);
        return -1;
    }
    Py_ssize_t ny, nx;
    if (read_raw(held, raw, "raw", &c->raw, &ny, &nx) < 0)
        return -1;
    if (!c->wide && c->raw.type > I16 && c->raw.type != F32) {
        PyErr_SetString(PyExc_ValueError, "raw: this type is wide");
        return -1;
    }
    c->ny = ny;
    c->nx = nx;
    for (int which = 0; which < N_TERMS; which++) {
        const element wanted = which == FLAGS ? U8 : which == SATURATION && c->wide ? F64 : F32;
        if (read_plane(held, PyTuple_GetItem(terms, which), TERM_NAMES[which], ny, nx, wanted,
                       &c->terms[which]) < 0)
            return -1;
    }
    if (linearity != Py_None) {
        c->linearity = read_numbers(held, linearity, "linearity", F32, &c->n_linearity);
        if (c->linearity == NULL)
            return -1;
    }
    if (data == Py_None || read_target(held, data, "data", ny, nx, F32, &c->data) < 0
        || read_target(held, variance, "variance", ny, nx, F32, &c->variance) < 0
        || read_target(held, flags, "flags", ny, nx, U8, &c->flags) < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "data: expected an array");
        return -1;
    }
    const int from_signal = c->terms[GAIN].start != NULL && c->terms[READ_NOISE].start != NULL;
    if ((c->apply_gain && c->terms[GAIN].start == NULL)
        || (c->variance.start != NULL && c->terms[VARIANCE].start == NULL && !from_signal)) {
        PyErr_SetString(PyExc_ValueError, "terms that the result needs are absent");
        return -1;
    }
    return 0;
}

static PyObject *kernels_calibrate(PyObject *Py_UNUSED(module), PyObject *args)
{
    buffers held;
    calibration c;
    if (hold(&held, N_TERMS + 5) < 0)
        return NULL;
    const int wrong = read_calibration(&held, args, &c);
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        calibrate_frame(&c);
        Py_END_ALLOW_THREADS
    }
    let_go(&held);
    if (wrong)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"calibrate", kernels_calibrate, METH_VARARGS,
     "calibrate(raw, terms, rules, out)\n--\n\nThe twin of calibrate_numpy.calibrate."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_kernels",
    .m_doc = "The compiled kernels.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    return PyModuleDef_Init(&module);
}
