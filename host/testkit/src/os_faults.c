// Faults of the operating system, for one process: preloaded (LD_PRELOAD), it stands before the C library.
//
// NOZZLE_OS_FAULTS names a file of the numbers below, which the test changes while the process runs. Only files in the
// folder NOZZLE_OS_FAULTS_IN are concerned. Synced lengths of files that are appended to go to NOZZLE_OS_FAULTS.synced:
// what a power cut would leave of them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct faults {
    int64_t disk_full;     // writes fail with ENOSPC
    int64_t sync_fails;    // fsync and fdatasync fail with EIO
    int64_t short_writes;  // a write takes one byte
    int64_t names_fail;    // no name is resolved
    int64_t clock_offset;  // seconds that the wall clock is ahead
    int64_t fired;         // how often a fault was met
};

static volatile struct faults *faults;
static char folder[4096];
static int synced = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void set_up(void) {
    const char *control = getenv("NOZZLE_OS_FAULTS"), *in = getenv("NOZZLE_OS_FAULTS_IN");
    if (!control || !in || !realpath(in, folder)) return;
    int file = REAL(open64)(control, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page == MAP_FAILED) return;
    char log[4096];
    snprintf(log, sizeof log, "%s.synced", control);
    synced = REAL(open64)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    faults = page;
}

// The path of a file of the folder; 0 where it is none.
static int inside(int file, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    size_t prefix = strlen(folder);
    return !strncmp(path, folder, prefix) && path[prefix] == '/';
}

static int meets(int64_t fault, int file) {
    char path[4096];
    if (!fault || !inside(file, path, sizeof path)) return 0;
    __atomic_fetch_add(&faults->fired, 1, __ATOMIC_RELAXED);
    return 1;
}

static int full(int file) {
    if (!faults || !meets(faults->disk_full, file)) return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int file, const void *bytes, size_t size) {
    if (full(file)) return -1;
    if (faults && size > 1 && meets(faults->short_writes, file)) size = 1;
    return REAL(write)(file, bytes, size);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    return full(file) ? -1 : REAL(pwrite64)(file, bytes, size, at);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) { return pwrite64(file, bytes, size, at); }

int ftruncate64(int file, off64_t size) { return full(file) ? -1 : REAL(ftruncate64)(file, size); }

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

static int sync_with(int (*real)(int), int file) {
    if (faults && meets(faults->sync_fails, file)) {
        errno = EIO;
        return -1;
    }
    struct stat stat;
    char path[4096], line[4200];
    int appends = synced >= 0 && (fcntl(file, F_GETFL) & O_APPEND) && inside(file, path, sizeof path);
    // The length before: what is appended meanwhile may not be synced.
    if (appends && fstat(file, &stat)) appends = 0;
    int result = real(file);
    if (appends && !result) {
        int length = snprintf(line, sizeof line, "%lld %s\n", (long long)stat.st_size, path);
        if (REAL(write)(synced, line, length) < 0) abort();
    }
    return result;
}

int fsync(int file) { return sync_with(REAL(fsync), file); }

int fdatasync(int file) { return sync_with(REAL(fdatasync), file); }

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = REAL(clock_gettime)(clock, time);
    if (!result && faults && clock == CLOCK_REALTIME) time->tv_sec += faults->clock_offset;
    return result;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    if (faults && faults->names_fail) {
        __atomic_fetch_add(&faults->fired, 1, __ATOMIC_RELAXED);
        return EAI_AGAIN;
    }
    return REAL(getaddrinfo)(name, service, hints, found);
}
