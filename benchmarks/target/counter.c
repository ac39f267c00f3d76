/* Count the instructions of an emulated ARM program, by sections that the program itself marks.
 *
 * A TCG plugin for qemu-user 7.2. Every translation block adds its instructions and its VFP multiply-accumulates to two
 * running counts when it is executed. The program marks the end of a section by seeking to n on file descriptor 199,
 * where it has put /dev/null: what ran since the last mark is then counted as section n. At exit the file named by
 * out=FILE gets one line per section: n, marks, instructions, macs.
 *
 * The counts depend on the program alone: not on the machine, its load or its clock.
 *
 * Debian 12 packages qemu-user but not qemu-plugin.h, so the dozen functions used here are declared by hand; this is
 * version 1 of that interface. Later ones differ, and QEMU refuses a plugin of a version it does not know.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- qemu-plugin.h, version 1 ---- */

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD_U64 = 0 };

typedef void (*translate_callback)(plugin_id id, struct qemu_plugin_tb *block);
typedef void (*syscall_callback)(plugin_id id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                                 uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
typedef void (*exit_callback)(plugin_id id, void *user);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translate_callback callback);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int op, void *counter, uint64_t immediate);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id id, syscall_callback callback);
void qemu_plugin_register_atexit_cb(plugin_id id, exit_callback callback, void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *instruction);

EXPORT int qemu_plugin_version = 1;

/* ---- the counter ---- */

enum { SECTIONS = 4096, LLSEEK = 140, MARK_FD = 199 };

struct counts {
    uint64_t instructions, macs;
};

static struct counts running, at_mark;
static struct counts sections[SECTIONS];
static uint64_t marks[SECTIONS];
static const char *out = "counts.txt";

/* Whether it multiplies and accumulates in VFP (vmla, vmls, vnmla, vnmls), one number at a time: the A8 does not
 * pipeline these. A vector register, q or a list of lanes, is NEON's, which it does pipeline. */
static bool is_mac(const struct qemu_plugin_insn *instruction)
{
    char *text = qemu_plugin_insn_disas(instruction);
    bool is = text && (!strncmp(text, "vmla", 4) || !strncmp(text, "vmls", 4) || !strncmp(text, "vnml", 4)) &&
              strstr(text, ".f") && !strchr(text, 'q');
    free(text);
    return is;
}

static void translate(plugin_id id, struct qemu_plugin_tb *block)
{
    size_t n = qemu_plugin_tb_n_insns(block), macs = 0;
    (void)id;
    for (size_t i = 0; i < n; i++)
        macs += is_mac(qemu_plugin_tb_get_insn(block, i));
    qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &running.instructions, n);
    if (macs)
        qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &running.macs, macs);
}

static void on_syscall(plugin_id id, unsigned int cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3,
                       uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a2, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != LLSEEK || a1 != MARK_FD || a3 >= SECTIONS)
        return;
    marks[a3]++;
    sections[a3].instructions += running.instructions - at_mark.instructions;
    sections[a3].macs += running.macs - at_mark.macs;
    at_mark = running;
}

static void on_exit_write(plugin_id id, void *user)
{
    FILE *file = fopen(out, "w");
    (void)id, (void)user;
    if (!file) {
        perror(out);
        return;
    }
    for (int n = 0; n < SECTIONS; n++)
        if (marks[n])
            fprintf(file, "%d %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", n, marks[n], sections[n].instructions,
                    sections[n].macs);
    fclose(file);
}

/* What QEMU calls first; 0 for "go on". `info` is of no use here. */
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = strdup(argv[i] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
    return 0;
}
