// Memory for one call of the plugin: all of it is taken back at once when the host has read the answer.
#ifndef NOZZLE_ARENA_H
#define NOZZLE_ARENA_H

#include <stddef.h>

// Memory until the end of the call, aligned for any value. It is not cleared. Without memory the plugin traps.
void *nz_alloc(size_t size);

// A copy that outlives the call: for what `nozzle_configure` remembers. It is never freed.
void *nz_keep(const void *start, size_t size);

// Takes everything back that nz_alloc has given. The SDK calls it; tests may.
void nz_release(void);

#endif
