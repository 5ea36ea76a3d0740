/*
 * LD_PRELOAD recorder: logs every write, truncation and sync on files under $PC_DIR to $PC_LOG.
 * test_powercut.py replays the log into disk images as a power cut could have left them.
 *
 * Build:  gcc -shared -fPIC -o shim.so shim.c -ldl        (needs: apt install gcc libc6-dev)
 * Record: type (1) | name length (u16) | offset (i64) | data length (u32) | name | data, little-endian host order
 *         'W' write   'D' write on an O_DSYNC descriptor (LMDB's meta pages): durable by itself
 *         'T' truncate (offset = new length)   'S' sync of that file
 * fsync and fdatasync on recorded files do not reach the disk: the run is fast and wears nothing.
 * Not recorded: lock.mdb, writes through a shared mapping, rename, unlink, directory syncs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NAME_SIZE 256
#define REAL(function, type) \
    static type real; \
    if (!real) real = (type)dlsym(RTLD_NEXT, function)

typedef ssize_t (*write_fn)(int, const void *, size_t);
typedef ssize_t (*pwrite_fn)(int, const void *, size_t, off64_t);
typedef ssize_t (*writev_fn)(int, const struct iovec *, int);
typedef ssize_t (*pwritev_fn)(int, const struct iovec *, int, off_t);
typedef int (*truncate_fn)(int, off64_t);
typedef int (*sync_fn)(int);

static int log_fd = -1;
static const char *watched;

static ssize_t real_write(int fd, const void *data, size_t size)
{
    REAL("write", write_fn);
    return real(fd, data, size);
}

static void open_log(void)
{
    if (log_fd >= 0) return;
    const char *path = getenv("PC_LOG");
    watched = getenv("PC_DIR");
    if (path && watched) log_fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0644);
}

/* Is fd one of the watched files? Then name holds its path. */
static int is_watched(int fd, char *name)
{
    char link[64];
    open_log();
    if (log_fd < 0 || fd == log_fd) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, NAME_SIZE - 1);
    if (length < 0) return 0;
    name[length] = 0;
    size_t prefix = strlen(watched);
    return !strncmp(name, watched, prefix) && name[prefix] == '/' && !strstr(name, "lock.mdb");
}

static void record(char type, const char *name, int64_t offset, const void *data, uint32_t size)
{
    uint16_t name_size = strlen(name);
    size_t total = 1 + sizeof name_size + sizeof offset + sizeof size + name_size + size;
    char *buffer = malloc(total), *at = buffer;
    *at++ = type;
    memcpy(at, &name_size, sizeof name_size); at += sizeof name_size;
    memcpy(at, &offset, sizeof offset);       at += sizeof offset;
    memcpy(at, &size, sizeof size);           at += sizeof size;
    memcpy(at, name, name_size);              at += name_size;
    if (size) memcpy(at, data, size);
    real_write(log_fd, buffer, total);        /* one append: records of several threads stay whole */
    free(buffer);
}

static void record_write(int fd, const char *name, int64_t offset, const void *data, size_t size)
{
    record(fcntl(fd, F_GETFL) & O_DSYNC ? 'D' : 'W', name, offset, data, size);
}

/* `done` bytes of the vector were written: record each part, the last one cut short if need be. */
static void record_vector(int fd, const char *name, int64_t offset, const struct iovec *parts, int count, ssize_t done)
{
    for (int i = 0; i < count && done > 0; i++) {
        size_t size = (size_t)done < parts[i].iov_len ? (size_t)done : parts[i].iov_len;
        record_write(fd, name, offset, parts[i].iov_base, size);
        offset += size;
        done -= size;
    }
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    char name[NAME_SIZE];
    REAL("pwrite64", pwrite_fn);
    ssize_t done = real(fd, data, size, offset);
    if (done > 0 && is_watched(fd, name)) record_write(fd, name, offset, data, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    char name[NAME_SIZE];
    REAL("pwritev", pwritev_fn);
    ssize_t done = real(fd, parts, count, offset);
    if (done > 0 && is_watched(fd, name)) record_vector(fd, name, offset, parts, count, done);
    return done;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return pwritev(fd, parts, count, offset);
}

ssize_t write(int fd, const void *data, size_t size)
{
    char name[NAME_SIZE];
    int mine = is_watched(fd, name);
    off_t offset = mine ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = real_write(fd, data, size);
    if (mine && done > 0) record_write(fd, name, offset, data, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char name[NAME_SIZE];
    REAL("writev", writev_fn);
    int mine = is_watched(fd, name);
    off_t offset = mine ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = real(fd, parts, count);
    if (mine && done > 0) record_vector(fd, name, offset, parts, count, done);
    return done;
}

int ftruncate64(int fd, off64_t length)
{
    char name[NAME_SIZE];
    REAL("ftruncate64", truncate_fn);
    int failed = real(fd, length);
    if (!failed && is_watched(fd, name)) record('T', name, length, NULL, 0);
    return failed;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int fdatasync(int fd)
{
    char name[NAME_SIZE];
    if (is_watched(fd, name)) {
        record('S', name, 0, NULL, 0);
        return 0;
    }
    REAL("fdatasync", sync_fn);
    return real(fd);
}

int fsync(int fd)
{
    char name[NAME_SIZE];
    if (is_watched(fd, name)) {
        record('S', name, 0, NULL, 0);
        return 0;
    }
    REAL("fsync", sync_fn);
    return real(fd);
}
