/* Failing system calls; see faults.h. */
#define _GNU_SOURCE
#include "tests/support/faults.h"

#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000u
#endif
#ifdef __x86_64__
#define OUR_ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define OUR_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { MAX_FAULTS = 16, FAULT_INSTRUCTIONS = 7, OFFSET_ARGUMENT = 3 };

struct filter {
    struct sock_filter code[MAX_FAULTS * FAULT_INSTRUCTIONS + 4];
    unsigned short n;
};

static void add(struct filter *filter, unsigned code, uint32_t k, unsigned on_true, unsigned on_false)
{
    filter->code[filter->n++] =
        (struct sock_filter){(unsigned short)code, (unsigned char)on_true, (unsigned char)on_false, k};
}

static void load(struct filter *filter, size_t offset)
{
    add(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* Seven instructions; the jumps count how many are passed over. */
static void add_fault(struct filter *filter, const struct fault *fault)
{
    const size_t low = offsetof(struct seccomp_data, args) + 8 * OFFSET_ARGUMENT;
    load(filter, offsetof(struct seccomp_data, nr));
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)fault->number, 0, 5);
    if (fault->at_offset) {
        /* Offsets of tests are below 2^32; a larger one counts too. */
        load(filter, low + 4);
        add(filter, BPF_JMP | BPF_JGT | BPF_K, 0, 2, 0);
        load(filter, low);
        add(filter, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)fault->offset, 0, 1);
    } else {
        add(filter, BPF_JMP | BPF_JA, 3, 0, 0);
        add(filter, BPF_JMP | BPF_JA, 0, 0, 0);
        add(filter, BPF_JMP | BPF_JA, 0, 0, 0);
        add(filter, BPF_JMP | BPF_JA, 0, 0, 0);
    }
    add(filter, BPF_RET | BPF_K,
        fault->action == FAULT_KILLS ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (uint32_t)fault->action,
        0, 0);
}

struct rules {
    const struct fault *faults;
    size_t n_faults;
};

static int install(void *arg)
{
    const struct rules *rules = arg;
    struct filter filter = {.n = 0};
    load(&filter, offsetof(struct seccomp_data, arch));
    add(&filter, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCHITECTURE, 1, 0);
    add(&filter, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    for (size_t i = 0; i < rules->n_faults && i < MAX_FAULTS; i++)
        add_fault(&filter, &rules->faults[i]);
    add(&filter, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    struct sock_fprog program = {.len = filter.n, .filter = filter.code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

bool faults_are_possible(void)
{
    const struct fault fault = {.number = SYS_getppid, .action = 99};
    struct rules rules = {&fault, 1};
    pid_t child = fork();
    if (child == 0)
        _exit(install(&rules) == 0 && getppid() < 0 ? 0 : 1);
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct program_result faults_run(const char *directory, const char *const *arguments,
                                 const struct fault *faults, size_t n_faults)
{
    struct rules rules = {faults, n_faults};
    return program_run_prepared(directory, arguments, install, &rules);
}
#else
bool faults_are_possible(void)
{
    return false;
}

struct program_result faults_run(const char *directory, const char *const *arguments,
                                 const struct fault *faults, size_t n_faults)
{
    (void)faults, (void)n_faults;
    return program_run(directory, arguments);
}
#endif
