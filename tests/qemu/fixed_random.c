/* Preloaded into a Linux guest that is counted: the seeds of Rust's hash maps become the same every
 * time, and with them the order in which tract optimizes a model. */
#include <string.h>
#include <sys/types.h>

ssize_t getrandom(void *bytes, size_t count, unsigned flags) {
    (void)flags;
    memset(bytes, 0x5a, count);
    return (ssize_t)count;
}
