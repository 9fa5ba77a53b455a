/* Stored bytes at the speed of memory, as a module of the stable ABI: the twin of words_numpy.py.
 *
 * Arrays come by the buffer protocol, contiguous.  Everything about them is checked before the
 * interpreter's lock is released; a wrong call is a ValueError, never a wild pointer.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../vectorized.h"

/* A word of a file, which is big-endian, as a number. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define WORD(stored) (stored)
#else
#define WORD(stored) __builtin_bswap32(stored)
#endif

/* So many words add up to less than 64 bits. */
static const size_t FEW_WORDS = (size_t)1 << 30;

VECTORIZED static uint64_t sum_of_words(const char *bytes, size_t words)
{
    uint64_t total = 0;
    for (size_t i = 0; i < words; i++) {
        uint32_t word;
        memcpy(&word, bytes + 4 * i, sizeof word);
        total += WORD(word);
    }
    return total;
}

/* The sum with its carry brought around (FITS standard 4.0, appendix J.1). */
static uint32_t folded(uint64_t total)
{
    while (total >> 32)
        total = (total & UINT32_MAX) + (total >> 32);
    return (uint32_t)total;
}

static uint32_t add_up(const char *bytes, size_t n)
{
    uint64_t total = 0;
    size_t words = n / 4;
    char rest[4] = {0};
    memcpy(rest, bytes + 4 * words, n % 4);
    while (words > 0) {
        const size_t few = words < FEW_WORDS ? words : FEW_WORDS;
        total = folded(total + folded(sum_of_words(bytes, few)));
        bytes += 4 * few;
        words -= few;
    }
    return folded(total + sum_of_words(rest, 1));
}

static PyObject *words_add_up(PyObject *Py_UNUSED(module), PyObject *stored)
{
    Py_buffer view;
    uint32_t total;
    if (PyObject_GetBuffer(stored, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    total = add_up(view.buf, (size_t)view.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return PyLong_FromUnsignedLong(total);
}

/* Copy n numbers with their bytes in the other order and the bits of `flip` turned; return whether
 * one has all bits of `exponent`.  Both masks are in the order of what is read. */
#define COPY(bits)                                                                           \
    VECTORIZED static int copy##bits(const char *restrict from, char *restrict to, size_t n, \
                                     uint##bits##_t exponent, uint##bits##_t flip)           \
    {                                                                                        \
        int found = 0;                                                                       \
        for (size_t i = 0; i < n; i++) {                                                     \
            uint##bits##_t value;                                                            \
            memcpy(&value, from + i * sizeof value, sizeof value);                           \
            found |= (value & exponent) == exponent;                                         \
            value = __builtin_bswap##bits(value ^ flip);                                     \
            memcpy(to + i * sizeof value, &value, sizeof value);                             \
        }                                                                                    \
        return found;                                                                        \
    }

COPY(16)
COPY(32)
COPY(64)

/* Copy numbers of a size, turning their signs over if told so; return whether a float is not
 * finite. */
static int copy(const char *from, char *to, size_t n, int size, int is_native, int is_float,
                int flip)
{
    uint64_t exponent = size == 4 ? UINT64_C(0x7f8) << 20 : UINT64_C(0x7ff) << 52;
    uint64_t sign = flip ? UINT64_C(1) << (8 * size - 1) : 0;
    if (!is_native) {
        exponent = __builtin_bswap64(exponent) >> (64 - 8 * size);
        sign = __builtin_bswap64(sign) >> (64 - 8 * size);
    }
    const int found = size == 2   ? copy16(from, to, n, UINT16_MAX, (uint16_t)sign)
                      : size == 4 ? copy32(from, to, n, (uint32_t)exponent, (uint32_t)sign)
                                  : copy64(from, to, n, exponent, sign);
    return is_float && found;
}

static PyObject *words_copy(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *source, *target;
    Py_buffer from, to;
    int size, is_native, is_float, flip, lacks = 0;
    if (!PyArg_ParseTuple(args, "OOippp:copy", &source, &target, &size, &is_native, &is_float,
                          &flip))
        return NULL;
    if (PyObject_GetBuffer(source, &from, PyBUF_SIMPLE) < 0)
        return NULL;
    if (PyObject_GetBuffer(target, &to, PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&from);
        return NULL;
    }
    const char *first = from.buf, *second = to.buf;
    const int wrong = (size != 2 && size != 4 && size != 8) || (is_float && size == 2)
                      || from.len % size || from.len != to.len
                      || (first < second + to.len && second < first + from.len);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "expected as many numbers elsewhere in memory");
    } else {
        Py_BEGIN_ALLOW_THREADS
        lacks = copy(first, to.buf, (size_t)(from.len / size), size, is_native, is_float, flip);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&to);
    PyBuffer_Release(&from);
    return wrong ? NULL : PyBool_FromLong(!lacks);
}

/* Read pieces of `size` bytes that begin `step` apart; return how many bytes there were up to the
 * end of the file, or -1 with errno. */
static Py_ssize_t read_pieces(int file, char *to, Py_ssize_t n, Py_ssize_t size, Py_ssize_t offset,
                              Py_ssize_t step)
{
    Py_ssize_t done = 0;
    while (done < n) {
        const Py_ssize_t within = done % size;
        const ssize_t count = pread(file, to + done, (size_t)(size - within),
                                    (off_t)(offset + done / size * step + within));
        if (count < 0 && errno != EINTR)
            return -1;
        if (count == 0)
            break;
        if (count > 0)
            done += count;
    }
    return done;
}

static PyObject *words_read_pieces(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *target;
    Py_buffer to;
    int file;
    Py_ssize_t size, offset, step, done = -1;
    if (!PyArg_ParseTuple(args, "iOnnn:read_pieces", &file, &target, &size, &offset, &step))
        return NULL;
    if (PyObject_GetBuffer(target, &to, PyBUF_WRITABLE) < 0)
        return NULL;
    if (size < 1 || to.len % size || offset < 0 || step < size
        || to.len / size > (PY_SSIZE_T_MAX - offset) / step) {
        PyErr_SetString(PyExc_ValueError, "expected whole pieces within a file");
    } else {
        Py_BEGIN_ALLOW_THREADS
        done = read_pieces(file, to.buf, to.len, size, offset, step);
        Py_END_ALLOW_THREADS
        if (done < 0)
            PyErr_SetFromErrno(PyExc_OSError);
    }
    PyBuffer_Release(&to);
    return done < 0 ? NULL : PyLong_FromSsize_t(done);
}

/* Give bytes of a file their room on the disk; return -1 with errno if there is none.  A file system
 * that cannot do this ahead does it when they are written.  Not posix_fallocate, which would write
 * them there and then.  The size stays that of what is written, lest a file that a power cut took
 * half of look whole. */
static int reserve(int file, long long offset, long long length)
{
#ifdef __linux__
    if (fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) < 0)
        return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -1 : 0;
#else
    (void)file, (void)offset, (void)length;
#endif
    return 0;
}

static PyObject *words_reserve(PyObject *Py_UNUSED(module), PyObject *args)
{
    int file, failed;
    long long offset, length;
    if (!PyArg_ParseTuple(args, "iLL:reserve", &file, &offset, &length))
        return NULL;
    if (offset < 0 || length < 1 || length > INT64_MAX - offset) {
        PyErr_SetString(PyExc_ValueError, "expected bytes within a file");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    failed = reserve(file, offset, length);
    Py_END_ALLOW_THREADS
    if (failed)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"add_up", words_add_up, METH_O, "add_up(stored)\n--\n\nThe twin of words_numpy.add_up."},
    {"copy", words_copy, METH_VARARGS,
     "copy(source, target, size, is_native, is_float, flip)\n--\n\nThe twin of words_numpy.copy."},
    {"read_pieces", words_read_pieces, METH_VARARGS,
     "read_pieces(file, target, size, offset, step)\n--\n\nThe twin of words_numpy.read_pieces."},
    {"reserve", words_reserve, METH_VARARGS,
     "reserve(file, offset, length)\n--\n\nThe twin of words_numpy.reserve."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_words",
    .m_doc = "Stored bytes, compiled.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__words(void)
{
    return PyModuleDef_Init(&module);
}
