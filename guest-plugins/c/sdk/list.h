// For the SDK itself: lists that grow.
#ifndef NOZZLE_LIST_H
#define NOZZLE_LIST_H

#include <string.h>

#include "arena.h"

// Room for one more in a list, which has no place for its room: it is the next power of two.
static inline void *nz_grow(void *list, size_t len, size_t size) {
    if ((len & (len - 1)) != 0)
        return list;
    void *grown = nz_alloc((len == 0 ? 1 : len * 2) * size);
    if (len > 0)
        memcpy(grown, list, len * size);
    return grown;
}

#define APPEND(list, ...)                                                      \
    do {                                                                       \
        (list)->ptr = nz_grow((list)->ptr, (list)->len, sizeof *(list)->ptr);  \
        (list)->ptr[(list)->len++] = __VA_ARGS__;                              \
    } while (0)

#endif
