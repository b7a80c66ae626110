/* A scheduler in small: loads a device plugin, asks it from several threads, unloads it, and does it all again.
 *
 * Usage: host PLUGIN.so */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "placer.h"

enum { WORKERS = 8, QUESTIONS = 50, ROUNDS = 3 };

static const char CONFIG[] =
    "[pci]\n"
    "device_spec = {\"vendor_id\": \"15b3\", \"product_id\": \"101e\"}\n"
    "alias = {\"name\": \"nic\", \"vendor_id\": \"15b3\", \"product_id\": \"101e\", \"device_type\": \"type-PCI\"}\n";
static const char DEVICES[] =
    "[{\"address\": \"0000:3b:00.2\", \"vendor_id\": \"15b3\", \"product_id\": \"101e\"},"
    " {\"address\": \"0000:3b:00.3\", \"vendor_id\": \"15b3\", \"product_id\": \"101e\"}]";

static char why[512];

static void die(const char *what) {
    fprintf(stderr, "host: %s\n", what);
    exit(1);
}

struct worker {
    const placer_table *table;
    const placer *state;
    unsigned yes, no, bad;
};

static void *ask(void *argument) {
    struct worker *worker = (struct worker *)argument;
    char reason[128];
    for (int i = 0; i < QUESTIONS; i++) {
        const placer *state = worker->state;
        worker->yes += worker->table->check(state, "node-1", "nic:2", reason, sizeof reason) == PLACER_YES;
        worker->no += worker->table->check(state, "node-1", "nic:3", reason, sizeof reason) == PLACER_NO;
        worker->bad += worker->table->check(state, "node-1", "fpga:1", reason, sizeof reason) == PLACER_BAD_INPUT;
    }
    return NULL;
}

static void work(const placer_table *table) {
    pthread_t threads[WORKERS];
    struct worker workers[WORKERS];
    placer *state;
    if (table->open("[pci]\nalias = {\"name\": 7}\n", why, sizeof why) != NULL) die("a bad configuration was taken");
    state = table->open(CONFIG, why, sizeof why);
    if (state == NULL) die(why);
    if (table->add_node(state, "node-1", DEVICES, why, sizeof why) != PLACER_YES) die(why);
    for (int i = 0; i < WORKERS; i++) {
        struct worker worker = {table, state, 0, 0, 0};
        workers[i] = worker;
        if (pthread_create(&threads[i], NULL, ask, &workers[i]) != 0) die("no thread");
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].yes != QUESTIONS || workers[i].no != QUESTIONS || workers[i].bad != QUESTIONS) {
            die("a worker got another answer");
        }
    }
    if (table->reserve(state, "node-1", "job-1", "nic:2", why, sizeof why) != PLACER_YES) die(why);
    if (table->check(state, "node-1", "nic:1", why, sizeof why) != PLACER_NO) die("a device was given twice");
    if (table->release(state, "node-1", "job-1", why, sizeof why) != PLACER_YES) die(why);
    if (table->check(state, "node-1", "nic:2", why, sizeof why) != PLACER_YES) die("a device was not given back");
    table->close(state);
}

int main(int argc, char **argv) {
    if (argc != 2) die("usage: host PLUGIN.so");
    for (int round = 1; round <= ROUNDS; round++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        placer_plugin_function *plugin = NULL;
        const placer_table *table;
        void *symbol;
        if (library == NULL) die(dlerror());
        symbol = dlsym(library, PLACER_SYMBOL);
        if (symbol == NULL) die(dlerror());
        /* A pointer to data becomes one to a function, as POSIX has it. */
        memcpy(&plugin, &symbol, sizeof plugin);
        if (plugin(PLACER_VERSION + 1) != NULL) die("the plugin has a version that does not exist");
        table = plugin(PLACER_VERSION);
        if (table == NULL || table->size < sizeof *table) die("the plugin does not have this version");
        work(table);
        if (dlclose(library) != 0) die(dlerror());
        /* It must be gone, or an upgrade of it would not be seen. */
        if (dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL) die("the plugin is still loaded");
        printf("round %d: %d threads asked %d questions; the plugin is unloaded\n", round, WORKERS,
               WORKERS * QUESTIONS * 3);
    }
    return 0;
}
