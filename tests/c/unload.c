/* A library that is loaded and unloaded again and again, with a policy asked by several threads in between. Nothing of it may
 * stay: no thread, no handler of signals, nothing that this thread has to do at its end, no mapping.
 *
 * Usage: unload LIBRARY POLICY */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "slotwise.h"

enum { WORKERS = 8, QUESTIONS = 5, ROUNDS = 3 };

#define TEXT(text) (text), (sizeof(text) - 1)
#define HOSTS "[{\"name\": \"a\", \"attributes\": {\"inlet_celsius\": 22}}]"

/* The functions that are used, found by name as a scheduler that loads a plugin does. */
static __typeof__(&slotwise_policy_load) load;
static __typeof__(&slotwise_policy_filter) filter;
static __typeof__(&slotwise_policy_free) free_policy;
static __typeof__(&slotwise_string_free) free_string;

static void find(void *library, const char *name, void *place) {
    void *symbol = dlsym(library, name);
    CHECK(symbol != NULL);
    memcpy(place, &symbol, sizeof symbol);
}

static void *ask(void *argument) {
    const slotwise_policy *policy = (const slotwise_policy *)argument;
    for (int i = 0; i < QUESTIONS; i++) {
        slotwise_string verdicts = {NULL, 0};
        if (filter(policy, NULL, 0, TEXT(HOSTS), &verdicts, NULL) != SLOTWISE_OK) return argument;
        if (strcmp(verdicts.data, "[null]") != 0) return argument;
        free_string(&verdicts);
    }
    return NULL;
}

static unsigned threads(void) {
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

enum { SIGNALS = 6 };

/* What belongs to the program: its handlers of signals, and this thread's stack for them. */
struct signals {
    struct sigaction actions[SIGNALS];
    stack_t stack;
};

static struct signals look(void) {
    static const int NUMBERS[SIGNALS] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGPIPE};
    struct signals found;
    for (int i = 0; i < SIGNALS; i++) CHECK(sigaction(NUMBERS[i], NULL, &found.actions[i]) == 0);
    CHECK(sigaltstack(NULL, &found.stack) == 0);
    return found;
}

static bool same(const struct signals *one, const struct signals *other) {
    for (int i = 0; i < SIGNALS; i++) {
        if (one->actions[i].sa_handler != other->actions[i].sa_handler) return false;
    }
    return one->stack.ss_sp == other->stack.ss_sp && one->stack.ss_flags == other->stack.ss_flags;
}

int main(int argc, char **argv) {
    struct signals before, now;
    unsigned alone;
    CHECK(argc == 3);
    alone = threads();
    before = look();
    for (int round = 0; round < ROUNDS; round++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        slotwise_policy *policy = NULL;
        pthread_t workers[WORKERS];
        if (library == NULL) fprintf(stderr, "%s\n", dlerror());
        CHECK(library != NULL);
        find(library, "slotwise_policy_load", &load);
        find(library, "slotwise_policy_filter", &filter);
        find(library, "slotwise_policy_free", &free_policy);
        find(library, "slotwise_string_free", &free_string);

        CHECK(load(TEXT("no/such.wasm"), NULL, 0, NULL, 0, &policy, NULL) == SLOTWISE_ERROR_INVALID_POLICY);
        CHECK(load(argv[2], strlen(argv[2]), NULL, 0, TEXT("{\"limits\": {\"time_ms\": 60000}}"), &policy, NULL) == SLOTWISE_OK);
        CHECK(ask(policy) == NULL);
        now = look();
        CHECK(same(&before, &now));
        for (int i = 0; i < WORKERS; i++) CHECK(pthread_create(&workers[i], NULL, ask, policy) == 0);
        for (int i = 0; i < WORKERS; i++) {
            void *failed = policy;
            CHECK(pthread_join(workers[i], &failed) == 0 && failed == NULL);
        }
        free_policy(policy);
        CHECK(threads() == alone);
        CHECK(dlclose(library) == 0);
        /* It must be gone, or an upgrade of it would not be seen. */
        CHECK(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL);
    }
    now = look();
    CHECK(same(&before, &now));
    printf("unload.c: %u checks\n", checks);
    return 0;
}
