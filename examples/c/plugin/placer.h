/* What a scheduler asks of a device plugin: one table of functions, which the plugin hands out by version.
 *
 * The scheduler loads the plugin with dlopen(), gets the table from placer_plugin(), and calls it from as many threads as it
 * has workers. A plugin of a later version may append functions to the table: `size` says how far it goes. */
#ifndef PLACER_H
#define PLACER_H

#include <stddef.h>
#include <stdint.h>

#define PLACER_VERSION 1

/* The plugin's state; the scheduler holds only the pointer. */
typedef struct placer placer;

enum placer_answer { PLACER_YES = 0, PLACER_NO = 1, PLACER_BAD_INPUT = 2 };

typedef struct placer_table {
    uint32_t version;
    size_t size;
    /* Reads the operator's configuration; NULL on failure, with the reason in `why`. */
    placer *(*open)(const char *config, char *why, size_t why_size);
    /* Takes over the devices of one node, as JSON; one thread at a time, while no other is in a call. */
    enum placer_answer (*add_node)(placer *self, const char *node, const char *devices, char *why, size_t why_size);
    /* Whether the devices a job asks for, such as "nic:2", are free on the node; any number of threads. */
    enum placer_answer (*check)(const placer *self, const char *node, const char *wanted, char *why, size_t why_size);
    /* Takes them for the job; one thread at a time per node. */
    enum placer_answer (*reserve)(placer *self, const char *node, const char *job, const char *wanted, char *why,
                                  size_t why_size);
    /* Gives back what the job holds on the node; one thread at a time per node. */
    enum placer_answer (*release)(placer *self, const char *node, const char *job, char *why, size_t why_size);
    /* Frees everything; the plugin may be unloaded then. */
    void (*close)(placer *self);
} placer_table;

/* The only symbol of a plugin: its table for this version, or NULL if it does not have it. */
typedef const placer_table *placer_plugin_function(uint32_t version);
#define PLACER_SYMBOL "placer_plugin"

#endif
