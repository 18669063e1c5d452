/* A disk that fails: LD_PRELOAD it, then call fault_arm. The n-th write, fsync or rename below a
   folder fails with an error number, or kills the process (error 0). A full disk stays full.
   With fault_ask, a function is asked at every call: it returns the error, or 0 for none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static long at = -1, calls = 0;
static int error_number = 0;
static char prefix[4096] = "", named[4096] = "";
static int (*ask)(const char *path) = NULL;
static int forked = 0;

void fault_arm(long n, int error, const char *folder) {
    calls = 0;
    error_number = error;
    strncpy(prefix, folder, sizeof prefix - 1);
    at = n;
}

void fault_ask(int (*function)(const char *), const char *folder) {
    ask = function;
    strncpy(prefix, folder, sizeof prefix - 1);
    at = ask ? LONG_MAX : -1;
}

long fault_calls(void) { return calls; }

static int below(const char *path) {
    if (at < 0 || strncmp(path, prefix, strlen(prefix))) return 0;
    strncpy(named, path, sizeof named - 1);
    return 1;
}

static int fd_below(int fd) {
    char link[64], path[4096];
    if (at < 0 || fd <= 2) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int fails(int hit, int writes) {
    if (at < 0 || !hit) return 0;
    if (ask) {
        static int asking = 0; /* what it writes itself is no call of the run */
        if (asking) return 0;
        asking = 1;
        int error = ask(named);
        asking = 0;
        if (!error) return 0;
        ask = NULL;
        forked = 1;
        error_number = error;
        at = calls + 1;
    }
    calls++;
    if (calls != at && !(calls > at && writes && error_number == ENOSPC)) return 0;
    if (error_number == 0) kill(getpid(), SIGKILL);
    errno = error_number;
    return 1;
}

#define WRAP(type, name, parameters, arguments, hit, writes)                   \
    type name parameters {                                                     \
        static __typeof__(name) *real;                                         \
        if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);         \
        return fails(hit, writes) ? -1 : real arguments;                       \
    }

WRAP(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), fd_below(fd), 1)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t o), (fd, data, n, o), fd_below(fd), 1)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t o), (fd, data, n, o), fd_below(fd), 1)
WRAP(ssize_t, writev, (int fd, const struct iovec *parts, int n), (fd, parts, n), fd_below(fd), 1)
WRAP(int, fsync, (int fd), (fd), fd_below(fd), 0)
WRAP(int, fdatasync, (int fd), (fd), fd_below(fd), 0)
WRAP(int, rename, (const char *from, const char *to), (from, to), below(to), 0)
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), below(to), 0)

/* A fork has not the locks of its parent, which waits for it: SQLite would wait for ever. */
#define LOCKS(name)                                                                   \
    int name(int fd, int command, ...) {                                              \
        static int (*real)(int, int, ...);                                            \
        va_list rest;                                                                 \
        va_start(rest, command);                                                      \
        void *argument = va_arg(rest, void *);                                        \
        va_end(rest);                                                                 \
        if (forked && command == F_GETLK) ((struct flock *)argument)->l_type = F_UNLCK; \
        if (forked && (command == F_GETLK || command == F_SETLK)) return 0;           \
        if (!real) real = (int (*)(int, int, ...))dlsym(RTLD_NEXT, #name);            \
        return real(fd, command, argument);                                           \
    }

LOCKS(fcntl)
LOCKS(fcntl64)
