/* What the C and C++ tests share: a check that counts, and says where it failed. */
#ifndef SLOTWISE_TESTS_CHECK_H
#define SLOTWISE_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

static unsigned checks;

/* Ends the program when the condition does not hold: what follows would rely on it. */
#define CHECK(condition)                                                               \
    do {                                                                               \
        checks++;                                                                      \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

#endif
