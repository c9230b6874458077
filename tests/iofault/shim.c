/* Makes the Nth file operation of a program fail. Preloaded into it by tests/it/iofault.
 *
 *   CTX_FAULT_DIR     operations on files below this folder count, no others
 *   CTX_FAULT_KIND    enospc | eio | short | torn | fsync
 *   CTX_FAULT_AT      the operation that fails, from 1; 0 for none
 *   CTX_FAULT_STICKY  1: every operation from that one on
 *   CTX_FAULT_LOG     a file outside the folder; a line for each operation that failed
 *
 * Each kind counts only the operations that it can strike, so that N covers each of them once.
 * A `short` write takes half of the bytes and says so; a `torn` one takes half and says EIO; an
 * `fsync` fails with EIO while what was written stays in the system's memory. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, ENOSPC_KIND, EIO_KIND, SHORT, TORN, FSYNC };
enum operation { MAKES, WRITES, SYNCS, MOVES };

static enum kind kind;
static long at;
static int sticky;
static const char *folder, *journal;
static atomic_long count;

__attribute__((constructor)) static void begin(void) {
    const char *named = getenv("CTX_FAULT_KIND");
    const char *nth = getenv("CTX_FAULT_AT"), *keeps = getenv("CTX_FAULT_STICKY");
    folder = getenv("CTX_FAULT_DIR");
    journal = getenv("CTX_FAULT_LOG");
    if (!named || !nth || !folder) return;
    at = atol(nth);
    sticky = keeps && *keeps == '1';
    kind = !strcmp(named, "enospc") ? ENOSPC_KIND
         : !strcmp(named, "eio")    ? EIO_KIND
         : !strcmp(named, "short")  ? SHORT
         : !strcmp(named, "torn")   ? TORN
         : !strcmp(named, "fsync")  ? FSYNC
                                    : NONE;
}

static int below(const char *path) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static int named(int dir, const char *path) {
    char whole[2 * PATH_MAX], base[PATH_MAX], link[64];
    if (path[0] == '/') return below(path);
    if (dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t read = readlink(link, base, sizeof base - 1);
        if (read < 0) return 0;
        base[read] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return below(whole);
}

static int opened(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t read = readlink(link, path, PATH_MAX - 1);
    if (read < 0) return 0;
    path[read] = 0;
    return below(path);
}

static int strikes(enum operation operation) {
    switch (kind) {
    case ENOSPC_KIND: return operation != SYNCS;
    case EIO_KIND: return 1;
    case SHORT:
    case TORN: return operation == WRITES;
    case FSYNC: return operation == SYNCS;
    default: return 0;
    }
}

/* Whether this operation, which is below the folder, fails. */
static int fails(enum operation operation, const char *name, const char *path) {
    if (!strikes(operation)) return 0;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (!at || (sticky ? number < at : number != at)) return 0;
    if (journal) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%ld %s %s\n", number, name, path);
        int fd = (int)syscall(SYS_openat, AT_FDCWD, journal, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0) {
            syscall(SYS_write, fd, line, (size_t)length);
            syscall(SYS_close, fd);
        }
    }
    errno = kind == ENOSPC_KIND ? ENOSPC : EIO;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int ready(void) { return kind != NONE; }

/* Opening: only what can change something counts. */
#define OPENS(name)                                                                                \
    int name(const char *path, int flags, ...) {                                                   \
        static __typeof__(&name) next;                                                             \
        if (!next) next = NEXT(name);                                                              \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list list;                                                                          \
            va_start(list, flags);                                                                 \
            mode = va_arg(list, mode_t);                                                           \
            va_end(list);                                                                          \
        }                                                                                          \
        if (ready() && (flags & (O_WRONLY | O_RDWR | O_CREAT)) && named(AT_FDCWD, path) &&         \
            fails(MAKES, "open", path))                                                            \
            return -1;                                                                             \
        return next(path, flags, mode);                                                            \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                                             \
    int name(int dir, const char *path, int flags, ...) {                                          \
        static __typeof__(&name) next;                                                             \
        if (!next) next = NEXT(name);                                                              \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list list;                                                                          \
            va_start(list, flags);                                                                 \
            mode = va_arg(list, mode_t);                                                           \
            va_end(list);                                                                          \
        }                                                                                          \
        if (ready() && (flags & (O_WRONLY | O_RDWR | O_CREAT)) && named(dir, path) &&              \
            fails(MAKES, "openat", path))                                                          \
            return -1;                                                                             \
        return next(dir, path, flags, mode);                                                       \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

/* Writing. `take` writes half of the bytes, as the real function would. */
#define STRUCK(fd, name, length, take)                                                             \
    do {                                                                                           \
        char path[PATH_MAX];                                                                       \
        size_t half = (length) / 2;                                                                \
        if (!ready() || (kind == SHORT && half == 0) || !opened(fd, path) ||                       \
            !fails(WRITES, name, path))                                                            \
            break;                                                                                 \
        if (kind == SHORT) return take;                                                            \
        if (kind == TORN && half > 0) {                                                            \
            ssize_t taken = take;                                                                  \
            (void)taken;                                                                           \
            errno = EIO;                                                                           \
        }                                                                                          \
        return -1;                                                                                 \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t length) {
    static __typeof__(&write) next;
    if (!next) next = NEXT(write);
    STRUCK(fd, "write", length, next(fd, bytes, half));
    return next(fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    static __typeof__(&pwrite) next;
    if (!next) next = NEXT(pwrite);
    STRUCK(fd, "pwrite", length, next(fd, bytes, half, offset));
    return next(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    static __typeof__(&pwrite64) next;
    if (!next) next = NEXT(pwrite64);
    STRUCK(fd, "pwrite64", length, next(fd, bytes, half, offset));
    return next(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int number) {
    static __typeof__(&writev) next;
    if (!next) next = NEXT(writev);
    /* The first part stands for half of them. */
    STRUCK(fd, "writev", number > 1 ? parts[0].iov_len * 2 : 0, next(fd, parts, half ? 1 : 1));
    return next(fd, parts, number);
}

/* Copies of whole files within the system are writes too; callers fall back to `write`. */
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length,
                        unsigned flags) {
    static __typeof__(&copy_file_range) next;
    char path[PATH_MAX];
    if (!next) next = NEXT(copy_file_range);
    if (ready() && opened(out, path)) {
        errno = ENOSYS;
        return -1;
    }
    return next(in, from, out, to, length, flags);
}

#define ON_FILE(type, name, operation, parameters, arguments, failed)                              \
    type name parameters {                                                                         \
        static __typeof__(&name) next;                                                             \
        char path[PATH_MAX];                                                                       \
        if (!next) next = NEXT(name);                                                              \
        if (ready() && opened(fd, path) && fails(operation, #name, path)) return failed;           \
        return next arguments;                                                                     \
    }
ON_FILE(int, fsync, SYNCS, (int fd), (fd), -1)
ON_FILE(int, fdatasync, SYNCS, (int fd), (fd), -1)
ON_FILE(int, ftruncate, MAKES, (int fd, off_t length), (fd, length), -1)
ON_FILE(int, ftruncate64, MAKES, (int fd, off64_t length), (fd, length), -1)
ON_FILE(int, fallocate, MAKES, (int fd, int mode, off_t from, off_t length),
        (fd, mode, from, length), -1)
ON_FILE(int, fallocate64, MAKES, (int fd, int mode, off64_t from, off64_t length),
        (fd, mode, from, length), -1)
ON_FILE(int, posix_fallocate, MAKES, (int fd, off_t from, off_t length), (fd, from, length), errno)
ON_FILE(int, posix_fallocate64, MAKES, (int fd, off64_t from, off64_t length), (fd, from, length),
        errno)

int mkdir(const char *path, mode_t mode) {
    static __typeof__(&mkdir) next;
    if (!next) next = NEXT(mkdir);
    if (ready() && named(AT_FDCWD, path) && fails(MAKES, "mkdir", path)) return -1;
    return next(path, mode);
}

int rename(const char *from, const char *to) {
    static __typeof__(&rename) next;
    if (!next) next = NEXT(rename);
    if (ready() && named(AT_FDCWD, to) && fails(MOVES, "rename", to)) return -1;
    return next(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    static __typeof__(&renameat) next;
    if (!next) next = NEXT(renameat);
    if (ready() && named(to_dir, to) && fails(MOVES, "renameat", to)) return -1;
    return next(from_dir, from, to_dir, to);
}

/* A full disk lets a file be removed. */
int unlink(const char *path) {
    static __typeof__(&unlink) next;
    if (!next) next = NEXT(unlink);
    if (ready() && kind == EIO_KIND && named(AT_FDCWD, path) && fails(MOVES, "unlink", path))
        return -1;
    return next(path);
}
