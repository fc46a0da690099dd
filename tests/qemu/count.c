/* A plugin for QEMU's TCG (plugin interface version 1, QEMU 6 to 8): counts the instructions that
 * the guest executes and, with pages=on, the 4 KiB pages of memory that it loads from or stores to.
 *
 *     cc -O2 -shared -fPIC -o count.so count.c
 *     qemu-aarch64 -plugin count.so,out=FILE,pages=on PROGRAM
 *
 * FILE then holds both numbers. One virtual processor is assumed. QEMU's header comes in no package
 * of Debian's, so the few functions are declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t id_t_;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { ADD_U64 = 0, NO_REGISTERS = 0, LOADS_AND_STORES = 3 };
typedef void translated(id_t_, struct qemu_plugin_tb *);
typedef void touched(unsigned cpu, uint32_t info, uint64_t address, void *data);
typedef void ended(id_t_, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(id_t_, translated *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *counter,
                                              uint64_t add);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, touched *, int flags, int access,
                                      void *data);
void qemu_plugin_register_atexit_cb(id_t_, ended *, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t index);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static char path[4096];
static bool pages_wanted;
static uint64_t instructions, pages;

/* One bit a page, in chunks of 2^15 pages; the table of chunks spans 48 bits of address. */
enum { PAGE_BITS = 12, CHUNK_BITS = 15, TABLE_BITS = 48 - PAGE_BITS - CHUNK_BITS };
static uint8_t *table[1 << TABLE_BITS];

static void touch(unsigned cpu, uint32_t info, uint64_t address, void *data) {
    static uint64_t last = UINT64_MAX;
    uint64_t page = address >> PAGE_BITS;
    (void)cpu, (void)info, (void)data;
    if (page == last) return;
    last = page;
    uint8_t **chunk = &table[page >> CHUNK_BITS & ((1 << TABLE_BITS) - 1)];
    if (!*chunk) *chunk = calloc(1 << CHUNK_BITS, 1);
    if (!*chunk) abort();
    uint8_t *seen = &(*chunk)[page & ((1 << CHUNK_BITS) - 1)];
    pages += !*seen;
    *seen = 1;
}

static void translate(id_t_ id, struct qemu_plugin_tb *block) {
    size_t count = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &instructions, count);
    for (size_t index = 0; pages_wanted && index < count; index++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(block, index), touch,
                                         NO_REGISTERS, LOADS_AND_STORES, NULL);
}

static void end(id_t_ id, void *data) {
    FILE *file = fopen(path, "w");
    (void)id, (void)data;
    if (!file) return;
    fprintf(file, "%" PRIu64 " %" PRIu64 "\n", instructions, pages);
    fclose(file);
}

__attribute__((visibility("default"))) int qemu_plugin_install(id_t_ id, const void *info,
                                                               int count, char **arguments) {
    (void)info;
    for (int n = 0; n < count; n++) {
        if (!strncmp(arguments[n], "out=", 4))
            snprintf(path, sizeof path, "%s", arguments[n] + 4);
        else if (!strncmp(arguments[n], "pages=", 6))
            pages_wanted = !strcmp(arguments[n] + 6, "on");
        else
            return -1;
    }
    if (!path[0]) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
