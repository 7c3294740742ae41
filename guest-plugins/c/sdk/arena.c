#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The first is kept between calls; more are taken for a call and given back after it. With what is written before them
// they fill pages of WebAssembly.
enum { KEPT = 64 * 1024 - 64, MORE = 1024 * 1024 - 64 };

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(16) uint8_t bytes[];
};

static struct chunk *chunks;

static void *or_trap(void *memory) {
    if (memory == NULL)
        __builtin_trap();
    return memory;
}

void *nz_alloc(size_t size) {
    if (size > SIZE_MAX / 2)
        __builtin_trap();
    size = (size + 15) & ~(size_t)15;
    if (chunks == NULL || chunks->size - chunks->used < size) {
        size_t room = chunks == NULL ? KEPT : MORE;
        room = size > room ? size : room;
        struct chunk *chunk = or_trap(malloc(sizeof(struct chunk) + room));
        chunk->next = chunks;
        chunk->size = room;
        chunk->used = 0;
        chunks = chunk;
    }
    void *start = chunks->bytes + chunks->used;
    chunks->used += size;
    return start;
}

void *nz_keep(const void *start, size_t size) {
    void *copy = or_trap(malloc(size + 1));
    if (size > 0)
        memcpy(copy, start, size);
    return copy;
}

void nz_release(void) {
    struct chunk *kept = NULL;
    while (chunks != NULL) {
        struct chunk *next = chunks->next;
        if (kept == NULL && chunks->size == KEPT) {
            kept = chunks;
            kept->used = 0;
        } else {
            free(chunks);
        }
        chunks = next;
    }
    if (kept != NULL)
        kept->next = NULL;
    chunks = kept;
}
