/* Preloaded into a Linux guest: /proc/cpuinfo is that of the processor that QEMU is told to be, in
 * place of the host's, from which onnxruntime would not learn what it runs on, and crash. The
 * environment variable CPU_PART holds Arm's number of the processor, such as 0xd0b. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static int cpuinfo(void) {
    const char *part = getenv("CPU_PART");
    int file = memfd_create("cpuinfo", 0);
    if (!part || file < 0) return -1;
    for (int number = 0; number < get_nprocs_conf(); number++)
        dprintf(file,
                "processor\t: %d\nBogoMIPS\t: 100.00\nFeatures\t: fp asimd\n"
                "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\n"
                "CPU part\t: %s\nCPU revision\t: 0\n\n",
                number, part);
    lseek(file, 0, SEEK_SET);
    return file;
}

static int opened(const char *name, const char *path, int flags, va_list rest) {
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    return strcmp(path, "/proc/cpuinfo") ? next(path, flags, mode) : cpuinfo();
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int file = opened("open", path, flags, rest);
    va_end(rest);
    return file;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int file = opened("open64", path, flags, rest);
    va_end(rest);
    return file;
}

FILE *fopen(const char *path, const char *mode) {
    FILE *(*next)(const char *, const char *) =
        (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    return strcmp(path, "/proc/cpuinfo") ? next(path, mode) : fdopen(cpuinfo(), mode);
}
