/* One build serves every x86-64: the loader picks the widest vectors that the processor has.
 * The sanitizers cannot run before the loader has finished, so they get the plain functions. */
#ifndef BMP_ASTRO_VECTORIZED_H
#define BMP_ASTRO_VECTORIZED_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__) \
    && !defined(__SANITIZE_ADDRESS__)
#define VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VECTORIZED
#endif

#endif
