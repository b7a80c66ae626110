/* Counts what a program allocates: preloaded, it stands in front of the C library's allocator, glibc's. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *place, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t count;

uint64_t slotwise_counted(void);
uint64_t slotwise_counted(void) { return atomic_load(&count); }

static void one(void) { atomic_fetch_add_explicit(&count, 1, memory_order_relaxed); }

void *malloc(size_t size) {
    one();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    one();
    return __libc_calloc(number, size);
}

void *realloc(void *place, size_t size) {
    one();
    return __libc_realloc(place, size);
}

int posix_memalign(void **place, size_t alignment, size_t size) {
    one();
    *place = __libc_memalign(alignment, size);
    return *place == NULL ? 12 : 0;
}

void *aligned_alloc(size_t alignment, size_t size) {
    one();
    return __libc_memalign(alignment, size);
}
