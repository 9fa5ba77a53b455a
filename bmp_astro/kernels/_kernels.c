/* The compiled kernels as a module of the stable ABI.
 *
 * Arrays come by the buffer protocol.  Everything about them is checked here: types, shapes,
 * alignment, and that no output shares memory with anything else; a wrong call is a ValueError,
 * never a wild pointer.  The kernels themselves run with the interpreter's lock released.
 */
#include "buffers.h"

static const char *const TERM_NAMES[N_TERMS] = {
    "level", "level_variance", "bias", "dark", "masters_variance", "gain", "read_noise",
    "flat", "flat_sigma", "variance", "saturation",
};

/* Read all of a calibration but the arrays that it fills. */
static int read_terms(buffers *held, PyObject *raw, PyObject *terms, PyObject *flags,
                      PyObject *rules, calibration *c)
{
    PyObject *linearity;
    unsigned char saturated, low_flat, no_data;
    if (!PyArg_ParseTuple(rules, "pddfOfpbbbpp:rules", &c->wide, &c->bscale, &c->bzero,
                          &c->dark_scale, &linearity, &c->flat_min, &c->apply_gain, &saturated,
                          &low_flat, &no_data, &c->clean, &c->deviation))
        return -1;
    c->saturated = saturated;
    c->low_flat = low_flat;
    c->no_data = no_data;
    c->n_flags = PyTuple_Size(flags);
    if (PyTuple_Size(terms) != N_TERMS || c->n_flags > MOST_FLAGS) {
        PyErr_Format(PyExc_ValueError, "expected %d terms, and at most %d planes of flags",
                     (int)N_TERMS, (int)MOST_FLAGS);
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
        const element wanted = which == SATURATION && c->wide ? F64 : F32;
        if (read_plane(held, PyTuple_GetItem(terms, which), TERM_NAMES[which], ny, nx, wanted,
                       &c->terms[which]) < 0)
            return -1;
    }
    for (Py_ssize_t i = 0; i < c->n_flags; i++)
        if (read_plane(held, PyTuple_GetItem(flags, i), "flags", ny, nx, U8, &c->flags[i]) < 0)
            return -1;
    if (linearity != Py_None) {
        c->linearity = read_numbers(held, linearity, "linearity", F32, &c->n_linearity);
        if (c->linearity == NULL)
            return -1;
    }
    if (c->apply_gain && c->terms[GAIN].start == NULL) {
        PyErr_SetString(PyExc_ValueError, "terms that the result needs are absent");
        return -1;
    }
    return 0;
}

static int read_calibration(buffers *held, PyObject *args, calibration *c)
{
    PyObject *raw, *terms, *flags, *rules, *data, *variance, *flags_out;
    memset(c, 0, sizeof *c);
    if (!PyArg_ParseTuple(args, "OO!O!O!(OOO):calibrate", &raw, &PyTuple_Type, &terms, &PyTuple_Type,
                          &flags, &PyTuple_Type, &rules, &data, &variance, &flags_out)
        || read_terms(held, raw, terms, flags, rules, c) < 0)
        return -1;
    if (data == Py_None || read_target(held, data, "data", c->ny, c->nx, F32, &c->data) < 0
        || read_target(held, variance, "variance", c->ny, c->nx, F32, &c->variance) < 0
        || read_target(held, flags_out, "flags", c->ny, c->nx, U8, &c->flags_out) < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "data: expected an array");
        return -1;
    }
    const int from_signal = c->terms[GAIN].start != NULL && c->terms[READ_NOISE].start != NULL;
    if (c->variance.start != NULL && c->terms[VARIANCE].start == NULL && !from_signal) {
        PyErr_SetString(PyExc_ValueError, "terms that the result needs are absent");
        return -1;
    }
    return 0;
}

static PyObject *kernels_calibrate(PyObject *Py_UNUSED(module), PyObject *args)
{
    buffers held;
    calibration c;
    if (hold(&held, N_TERMS + MOST_FLAGS + 5) < 0)
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

/* Fill one plane for each array of a list, which all have the shape of the first frame; an element
 * is of any type that can be loaded, or uint8.  The planes lie in memory that the caller frees. */
static int read_stack(buffers *held, PyObject *list, const char *name, int bytes, plane *planes,
                      combination *c)
{
    if (!PyList_Check(list) || PyList_Size(list) != c->n) {
        PyErr_Format(PyExc_ValueError, "%s: expected a list of %zd arrays", name, c->n);
        return -1;
    }
    for (Py_ssize_t f = 0; f < c->n; f++) {
        Py_ssize_t ny, nx;
        if (read_raw(held, PyList_GetItem(list, f), name, &planes[f], &ny, &nx) < 0)
            return -1;
        if (c->ny < 0) {
            c->ny = ny;
            c->nx = nx;
        }
        if (ny != c->ny || nx != c->nx || (bytes && planes[f].type != U8)) {
            PyErr_Format(PyExc_ValueError, "%s: wrong shape or type of element", name);
            return -1;
        }
    }
    return 0;
}

/* Return the doubles of an array of this length, or NULL. */
static const double *read_doubles(buffers *held, PyObject *object, const char *name, Py_ssize_t n)
{
    Py_ssize_t length;
    const double *numbers = read_numbers(held, object, name, F64, &length);
    if (numbers != NULL && length != n) {
        PyErr_Format(PyExc_ValueError, "%s: expected %zd numbers", name, n);
        return NULL;
    }
    return numbers;
}

static int read_noise(buffers *held, PyObject *noise, combination *c)
{
    PyObject *floor, *levels, *variances, *slopes;
    if (!PyArg_ParseTuple(noise, "OddOOOpp:noise", &floor, &c->slope, &c->fraction, &levels,
                          &variances, &slopes, &c->alike, &c->spread_alike))
        return -1;
    if (levels == Py_None)
        return (c->floor = read_doubles(held, floor, "floor", c->n)) == NULL ? -1 : 0;
    c->levels = read_numbers(held, levels, "levels", F64, &c->n_levels);
    if (c->levels == NULL)
        return -1;
    if (c->n_levels == 0) {
        PyErr_SetString(PyExc_ValueError, "levels: expected at least one");
        return -1;
    }
    c->level_variances = read_doubles(held, variances, "variances", c->n_levels);
    if (c->level_variances == NULL)
        return -1;
    c->level_slopes = read_doubles(held, slopes, "slopes", c->n_levels);
    return c->level_slopes == NULL ? -1 : 0;
}

/* Whether the numbers of the rule are within what the loops rely on. */
static int rule_is_sound(const combination *c, PyObject *variances, PyObject *noise,
                         PyObject *variance)
{
    const int uses_noise = c->clip == NOISE || (c->clip == SIGMA && c->deviation != STD);
    return c->n > 0 && c->n <= UINT16_MAX && c->method >= MEAN && c->method <= SUM
           && c->clip >= NO_CLIP && c->clip <= PERCENTILE && c->n_low >= 0 && c->n_high >= 0
           && (Py_ssize_t)c->n_low + c->n_high < c->n && c->max_iterations >= 1
           && c->deviation >= MAD && c->deviation <= WINSORIZED
           && !(uses_noise && noise == Py_None)
           && !(variance != Py_None && variances == Py_None && noise == Py_None);
}

/* Read how to combine frames of a shape that is known, and the arrays to fill. */
static int read_rule(buffers *held, PyObject *numbers, PyObject *rule, PyObject *noise,
                     PyObject *out, PyObject *variances, combination *c)
{
    PyObject *scale, *offset, *k2, *weights, *data, *variance, *count, *flags_out;
    if (!PyArg_ParseTuple(numbers, "OOOO:numbers", &scale, &offset, &k2, &weights)
        || !PyArg_ParseTuple(rule, "iiiiiiiidddiibp:rule", &c->method, &c->clip,
                             &c->center_is_mean, &c->deviation, &c->n_low, &c->n_high,
                             &c->max_iterations, &c->min_keep, &c->limit_low, &c->limit_high,
                             &c->quantum, &c->fewest_for_clipping, &c->fewest_for_mad,
                             &c->lost_bit, &c->wide)
        || !PyArg_ParseTuple(out, "OOOO:out", &data, &variance, &count, &flags_out))
        return -1;
    if ((c->scale = read_doubles(held, scale, "scale", c->n)) == NULL
        || (c->offset = read_doubles(held, offset, "offset", c->n)) == NULL
        || (c->k2 = read_doubles(held, k2, "k2", c->n + 1)) == NULL)
        return -1;
    if (weights != Py_None && (c->weights = read_doubles(held, weights, "weights", c->n)) == NULL)
        return -1;
    if (noise != Py_None && read_noise(held, noise, c) < 0)
        return -1;
    if (data == Py_None || count == Py_None || flags_out == Py_None
        || !rule_is_sound(c, variances, noise, variance)) {
        PyErr_SetString(PyExc_ValueError, "the rule does not fit the frames, or lacks a noise");
        return -1;
    }
    if (read_target(held, data, "data", c->ny, c->nx, F32, &c->data) < 0
        || read_target(held, variance, "variance", c->ny, c->nx, F32, &c->variance) < 0
        || read_target(held, count, "count", c->ny, c->nx, U16, &c->count) < 0)
        return -1;
    return read_target(held, flags_out, "flags", c->ny, c->nx, U8, &c->flags_out);
}

static int read_combination(buffers *held, PyObject *args, combination *c, plane *planes)
{
    PyObject *frames, *variances, *flags, *numbers, *rule, *noise, *out;
    if (!PyArg_ParseTuple(args, "OOOO!O!OO!:combine", &frames, &variances, &flags, &PyTuple_Type,
                          &numbers, &PyTuple_Type, &rule, &noise, &PyTuple_Type, &out))
        return -1;
    c->ny = -1;
    c->frames = planes;
    if (read_stack(held, frames, "frames", 0, planes, c) < 0)
        return -1;
    if (variances != Py_None) {
        c->variances = planes + c->n;
        if (read_stack(held, variances, "variances", 0, planes + c->n, c) < 0)
            return -1;
    }
    if (flags != Py_None) {
        c->flags = planes + 2 * c->n;
        if (read_stack(held, flags, "flags", 1, planes + 2 * c->n, c) < 0)
            return -1;
    }
    if (read_rule(held, numbers, rule, noise, out, variances, c) < 0)
        return -1;
    for (Py_ssize_t f = 0; f < c->n; f++)
        if (!c->wide && planes[f].type > I16 && planes[f].type != F32) {
            PyErr_SetString(PyExc_ValueError, "frames: this type is wide");
            return -1;
        }
    return 0;
}

/* The number of frames in the list that is the first of the arguments; 0 if it is none. */
static Py_ssize_t number_of_frames(PyObject *args)
{
    PyObject *frames = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;
    return frames != NULL && PyList_Check(frames) ? PyList_Size(frames) : 0;
}

static PyObject *kernels_combine(PyObject *Py_UNUSED(module), PyObject *args)
{
    buffers held;
    combination c;
    int done = 0;
    memset(&c, 0, sizeof c);
    c.n = number_of_frames(args);
    plane *planes = PyMem_Calloc(3 * (size_t)c.n + 1, sizeof *planes);
    if (planes == NULL)
        return PyErr_NoMemory();
    if (hold(&held, 3 * c.n + 12) < 0) {
        PyMem_Free(planes);
        return NULL;
    }
    const int wrong = read_combination(&held, args, &c, planes);
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        done = c.wide ? combine_double(&c) : combine_float(&c);
        Py_END_ALLOW_THREADS
    }
    let_go(&held);
    PyMem_Free(planes);
    if (wrong)
        return NULL;
    if (done < 0)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* Read raw frames with their terms, all of one shape, and how to combine them. */
static int read_raw_frames(buffers *held, PyObject *args, combination *c, calibration *frames)
{
    PyObject *list, *numbers, *rule, *noise, *out;
    if (!PyArg_ParseTuple(args, "O!O!O!OO!:combine_raw", &PyList_Type, &list, &PyTuple_Type,
                          &numbers, &PyTuple_Type, &rule, &noise, &PyTuple_Type, &out))
        return -1;
    for (Py_ssize_t f = 0; f < c->n; f++) {
        PyObject *raw, *terms, *flags, *rules;
        if (!PyArg_ParseTuple(PyList_GetItem(list, f), "OO!O!O!:frame", &raw, &PyTuple_Type, &terms,
                              &PyTuple_Type, &flags, &PyTuple_Type, &rules)
            || read_terms(held, raw, terms, flags, rules, &frames[f]) < 0)
            return -1;
        if (frames[f].ny != frames[0].ny || frames[f].nx != frames[0].nx) {
            PyErr_SetString(PyExc_ValueError, "frames: they have different shapes");
            return -1;
        }
    }
    c->ny = c->n > 0 ? frames[0].ny : 0;
    c->nx = c->n > 0 ? frames[0].nx : 0;
    if (read_rule(held, numbers, rule, noise, out, Py_None, c) < 0)
        return -1;
    if (c->wide) {
        PyErr_SetString(PyExc_ValueError, "frames: calibrated ones are not wide");
        return -1;
    }
    return 0;
}

static PyObject *kernels_combine_raw(PyObject *Py_UNUSED(module), PyObject *args)
{
    buffers held;
    combination c;
    int done = 0;
    memset(&c, 0, sizeof c);
    c.n = number_of_frames(args);
    calibration *frames = PyMem_Calloc((size_t)c.n + 1, sizeof *frames);
    if (frames == NULL)
        return PyErr_NoMemory();
    if (hold(&held, c.n * (N_TERMS + MOST_FLAGS + 2) + 12) < 0) {
        PyMem_Free(frames);
        return NULL;
    }
    const int wrong = read_raw_frames(&held, args, &c, frames);
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        done = combine_raw(frames, &c);
        Py_END_ALLOW_THREADS
    }
    let_go(&held);
    PyMem_Free(frames);
    if (wrong)
        return NULL;
    if (done < 0)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"calibrate", kernels_calibrate, METH_VARARGS,
     "calibrate(raw, terms, flags, rules, out)\n--\n\nThe twin of calibrate_numpy.calibrate."},
    {"combine", kernels_combine, METH_VARARGS,
     "combine(frames, variances, flags, numbers, rule, noise, out)\n--\n\n"
     "The twin of combine_numpy.combine."},
    {"combine_raw", kernels_combine_raw, METH_VARARGS,
     "combine_raw(frames, numbers, rule, noise, out)\n--\n\n"
     "The twin of combine_raw.combine_blocks."},
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
