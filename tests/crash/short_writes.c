/* Every write to a file writes the first half of its bytes only, as the system may do at any time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The number of bytes to write; notes in the file of that name that it was cut. */
static size_t half(int fd, size_t length) {
    struct stat found;
    if (length < 2 || fstat(fd, &found) || !S_ISREG(found.st_mode))
        return length;
    const char *name = getenv("SHORT_WRITES");
    int note = name ? open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (note >= 0) {
        syscall(SYS_write, note, "x", 1);
        close(note);
    }
    return length / 2;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return syscall(SYS_write, fd, bytes, half(fd, length));
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
    return syscall(SYS_pwrite64, fd, bytes, half(fd, length), at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t length = count > 0 ? parts[0].iov_len : 0;
    size_t written = half(fd, length);
    if (written == length)
        return syscall(SYS_writev, fd, parts, count);
    return syscall(SYS_write, fd, parts[0].iov_base, written);
}
