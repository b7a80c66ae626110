/* Generated from bindings/c by `cargo xtask header`; do not edit.
 *
 * slotwise decides which PCI device goes to which workload, and remembers it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * API conventions
 * ===============
 *
 * Results. A function that can fail returns a slotwise_code as uint32_t: SLOTWISE_OK, which is 0, or what was wrong.
 *   Results go to the last parameters, which are written only on success. They are checked before anything is done,
 *   so a call with a NULL result parameter changes nothing. Where NULL is allowed, the function says so.
 * Errors. The last parameter, `slotwise_error **error`, may be NULL. Otherwise a failed call writes an error that the
 *   caller owns and frees with slotwise_error_free(); what was there is overwritten, not freed. A call that succeeds
 *   does not touch it. There is no errno and no last error per thread.
 *   A workload that does not fit is an answer (slotwise_outcome), not an error.
 * All or nothing. A call that fails leaves its handles exactly as they were, except for SLOTWISE_ERROR_INTERNAL, a
 *   fault in slotwise itself: then free the handles that the call was given. No call ends the process on bad input.
 * Pointers. Every pointer is checked for NULL, which gives SLOTWISE_ERROR_INVALID_ARGUMENT unless said otherwise.
 * Texts are given as pointer and length in bytes; a NUL need not follow, and one inside is a character like any other.
 *   They must be UTF-8, else SLOTWISE_ERROR_INVALID_UTF8. A text that may be left out is left out as (NULL, 0) or with
 *   length 0. The library keeps no pointer to what it is given.
 *   Texts that come out as slotwise_string are owned by the caller, UTF-8, and followed by a NUL.
 * Documents are texts in JSON, with the same keys in every language: docs/documents.md has those of rules, aliases,
 *   devices, pools and changes, docs/allocation.md those of workloads and answers. The limits on their size are those of
 *   the engine (64 MiB), past which a call fails with SLOTWISE_ERROR_LIMIT_EXCEEDED.
 * Words such as a policy or a scope are texts too, never enumerations that a caller fills in.
 * Parameters. Under each function stand its parameters with what the call does with them; that is worked out from their
 *   types. Lengths are in bytes or elements, as is said there.
 * Handles (slotwise_specs, slotwise_tracker, ...) are made by a function that takes a pointer to a handle, are owned by
 *   the caller, and are freed once by the function of their name that ends in _free, which accepts NULL. No handle
 *   refers to another: they may be freed in any order.
 * Threads. There is no global state but what slotwise_log_set() and slotwise_limits_set() set for the process. Different
 *   handles may be used by different threads at the same time. One handle may be used by many threads at the same time in
 *   functions that take it as const; a function that takes it as non-const, and _free, need it for themselves. A handle
 *   may move from one thread to another.
 * Memory. What a call allocates grows with what it is given and with what its handle holds, both of which have limits
 *   (slotwise_limits(), slotwise_limits_set()). When the system itself has no memory left the process ends, as in every
 *   library written in Rust.
 * Unloading. The library starts no thread but those of policies, which end with them, registers nothing and keeps nothing:
 *   once all handles and results are freed, the log function is set back to NULL and no call runs, a plugin that contains
 *   it may be unloaded and loaded again. If a policy was loaded, some hundred bytes of its runtime are lost each time.
 * Compatibility. Structs that are declared here with their members never change; handles are opaque. Later versions
 *   may add functions and codes. The library's SONAME, libslotwise.so.0, changes with every incompatible change.
 */

#ifndef SLOTWISE_H
#define SLOTWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTWISE_VERSION_MAJOR 0
#define SLOTWISE_VERSION_MINOR 1
#define SLOTWISE_VERSION_PATCH 0
#define SLOTWISE_VERSION "0.1.0"

/** A string literal as the two arguments that a text is given as. */
#define SLOTWISE_LITERAL(text) ("" text), (sizeof(text) - 1)

/**
 * What functions return: 0, or the code of the kind of error.
 *
 * Functions return it as uint32_t, because a later version may have codes that this header does not know.
 * The codes are the same in every language; slotwise_error_kinds() gives the table.
 */
enum slotwise_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The call succeeded.
     */
    SLOTWISE_OK = 0,
    /**
     * The text is not JSON, or not of the documented shape.
     */
    SLOTWISE_ERROR_INVALID_JSON = 1,
    /**
     * A PCI address is malformed or out of range.
     */
    SLOTWISE_ERROR_INVALID_ADDRESS = 2,
    /**
     * A device lacks a field or has one that contradicts another.
     */
    SLOTWISE_ERROR_INVALID_DEVICE = 3,
    /**
     * A device spec (operator rule) is not valid.
     */
    SLOTWISE_ERROR_INVALID_SPEC = 4,
    /**
     * An alias is not valid, or contradicts another line of the same name.
     */
    SLOTWISE_ERROR_INVALID_ALIAS = 5,
    /**
     * A request is not valid: a count, a policy or an alternative.
     */
    SLOTWISE_ERROR_INVALID_REQUEST = 6,
    /**
     * A configuration file cannot be read as nova.conf or TOML.
     */
    SLOTWISE_ERROR_INVALID_CONFIG = 7,
    /**
     * A host's pool data is not valid.
     */
    SLOTWISE_ERROR_INVALID_POOL = 8,
    /**
     * The same PCI address is listed twice.
     */
    SLOTWISE_ERROR_DUPLICATE_DEVICE = 9,
    /**
     * A VF or vDPA device names no parent, or one that is not listed.
     */
    SLOTWISE_ERROR_MISSING_PARENT = 10,
    /**
     * Parent links form a cycle, or lead to a device that cannot be a parent.
     */
    SLOTWISE_ERROR_PARENT_CYCLE = 11,
    /**
     * A snapshot is truncated, altered, or contradicts itself.
     */
    SLOTWISE_ERROR_INVALID_SNAPSHOT = 12,
    /**
     * A snapshot was written by a version that this one does not read.
     */
    SLOTWISE_ERROR_UNSUPPORTED_VERSION = 13,
    /**
     * Text is not UTF-8, or holds a NUL where none may be.
     */
    SLOTWISE_ERROR_INVALID_UTF8 = 14,
    /**
     * An argument is missing, null or out of its range.
     */
    SLOTWISE_ERROR_INVALID_ARGUMENT = 15,
    /**
     * No alias of that name is defined.
     */
    SLOTWISE_ERROR_UNKNOWN_ALIAS = 16,
    /**
     * No device of that address is known.
     */
    SLOTWISE_ERROR_UNKNOWN_DEVICE = 17,
    /**
     * That owner holds no device.
     */
    SLOTWISE_ERROR_UNKNOWN_OWNER = 18,
    /**
     * Something of that name is defined already.
     */
    SLOTWISE_ERROR_ALREADY_EXISTS = 19,
    /**
     * The device or claim is in a state that does not allow the call.
     */
    SLOTWISE_ERROR_INVALID_STATE = 20,
    /**
     * The device is held for another owner.
     */
    SLOTWISE_ERROR_WRONG_OWNER = 21,
    /**
     * The input is larger than a documented limit.
     */
    SLOTWISE_ERROR_LIMIT_EXCEEDED = 22,
    /**
     * What was found earlier no longer holds, because the host changed since.
     */
    SLOTWISE_ERROR_CONFLICT = 23,
    /**
     * A fault in slotwise itself; please report it.
     */
    SLOTWISE_ERROR_INTERNAL = 24,
    /**
     * A policy cannot be loaded: its component, its limits or its configuration are not accepted.
     */
    SLOTWISE_ERROR_INVALID_POLICY = 25,
    /**
     * A policy failed, or gave an answer that cannot be used, and fails closed.
     */
    SLOTWISE_ERROR_POLICY_FAILED = 26,
    /**
     * No host of that name is known.
     */
    SLOTWISE_ERROR_UNKNOWN_HOST = 27,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum slotwise_code slotwise_code;
#else
typedef uint32_t slotwise_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How much a log line matters; a level includes those of smaller numbers.
 *
 * Functions take and give it as uint32_t.
 */
enum slotwise_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * No line.
     */
    SLOTWISE_LOG_OFF = 0,
    /**
     * A fault in slotwise itself.
     */
    SLOTWISE_LOG_ERROR = 1,
    /**
     * Something allowed that is probably not meant.
     */
    SLOTWISE_LOG_WARNING = 2,
    /**
     * Something changed, or a workload was turned away.
     */
    SLOTWISE_LOG_INFO = 3,
    /**
     * Nothing changed, or a call failed, which its caller learns anyway.
     */
    SLOTWISE_LOG_DEBUG = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum slotwise_log_level slotwise_log_level;
#else
typedef uint32_t slotwise_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The answer to a workload; bad input is none of them, but an error.
 *
 * Functions write it as uint32_t.
 */
enum slotwise_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * All requests can be served together.
     */
    SLOTWISE_OUTCOME_FITS = 0,
    /**
     * They cannot, whatever is tried.
     */
    SLOTWISE_OUTCOME_NO_FIT = 1,
    /**
     * The search budget ran out before either was shown.
     */
    SLOTWISE_OUTCOME_UNDECIDED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum slotwise_outcome slotwise_outcome;
#else
typedef uint32_t slotwise_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The operator's names for kinds of devices.
 *
 * Owned by the caller; free it with slotwise_aliases_free(). Any number of threads may use it in functions that take
 * it as const; a function that changes it needs it for itself.
 */
typedef struct slotwise_aliases slotwise_aliases;

/**
 * What a configuration file says about PCI devices.
 *
 * Owned by the caller; free it with slotwise_config_free(). It never changes: any number of threads may use it.
 */
typedef struct slotwise_config slotwise_config;

/**
 * What was wrong in a failed call.
 *
 * Owned by the caller; free it with slotwise_error_free(). It never changes: any number of threads may read it.
 * The texts that the functions below return live as long as the error. In them a NUL, which only a hostile input can
 * bring in, is replaced by U+FFFD.
 */
typedef struct slotwise_error slotwise_error;

/**
 * Many hosts' pools in one index, for a scheduler that asks thousands of times a second.
 *
 * A host has a name, and a small number (its id) that stays the same until it is removed. A set of hosts is a bitmap:
 * host `id` is bit `id % 8`, the lowest first, of byte `id / 8`; zeros at its end are left out.
 *
 * Owned by the caller; free it with slotwise_fleet_free(). Any number of threads may ask it at the same time (functions
 * that take it as const); a function that changes it needs it for itself, so that threads that ask while another
 * changes share a lock for readers and writers.
 */
typedef struct slotwise_fleet slotwise_fleet;

/**
 * A placement policy: a WebAssembly component that is run under limits and without trust.
 *
 * Owned by the caller; free it with slotwise_policy_free(). Any number of threads may ask it at the same time. It keeps one
 * thread of its own, which ends with it, and starts another one in a process that was forked. Each call that loads, asks or
 * frees it does so in a thread that ends with the call, some 20 microseconds, so that nothing of it stays in the caller's.
 */
typedef struct slotwise_policy slotwise_policy;

/**
 * The free devices of one host, grouped so that those in a pool are interchangeable.
 *
 * Owned by the caller; free it with slotwise_pools_free(). Any number of threads may use it in functions that take it
 * as const; a function that changes it needs it for itself.
 */
typedef struct slotwise_pools slotwise_pools;

/**
 * The operator's rules: which devices may be handed out, and the tags they get. The first rule that matches decides.
 *
 * Owned by the caller; free it with slotwise_specs_free(). It never changes: any number of threads may use it.
 */
typedef struct slotwise_specs slotwise_specs;

/**
 * One host's truth: its devices, who holds them, and what is not yet written to the caller's database.
 *
 * Owned by the caller; free it with slotwise_tracker_free(). Any number of threads may use it in functions that take
 * it as const; a function that changes it needs it for itself. A call that fails leaves it exactly as it was.
 */
typedef struct slotwise_tracker slotwise_tracker;

/**
 * What one workload asks of one host; parsed once, so that many hosts can be asked without parsing again.
 *
 * Owned by the caller; free it with slotwise_workload_free(). It never changes: any number of threads may use it.
 */
typedef struct slotwise_workload slotwise_workload;

/**
 * A text that the library made and the caller owns; free it with slotwise_string_free().
 *
 * It is UTF-8. A NUL follows after the last byte, so that it can be printed as it is.
 */
typedef struct slotwise_string {
    /**
     * The first byte; never NULL in a result.
     */
    char *data;
    /**
     * How many bytes, without the NUL that follows.
     */
    size_t len;
} slotwise_string;

/**
 * Bytes that the library made and the caller owns; free them with slotwise_bytes_free().
 */
typedef struct slotwise_bytes {
    /**
     * The first byte; never NULL in a result.
     */
    uint8_t *data;
    /**
     * How many bytes.
     */
    size_t len;
} slotwise_bytes;

/**
 * Receives one log line.
 *
 * `context` is what slotwise_log_set() was given, `level` a slotwise_log_level, `function` the name of the function that was
 * called (for a policy's lines `slotwise_policy`), and `message` a UTF-8 text of `message_len` bytes followed by a NUL. Both
 * texts live until it returns.
 * It is called by the thread that called the library (for a policy's lines by one that this thread waits for), by several at the
 * same time if they do, and while that thread's handle is in use: it must not use that handle, must not throw or jump out, and
 * calls that it makes itself are not logged.
 */
typedef void (*slotwise_log_function)(void *context,
                                      uint32_t level,
                                      const char *function,
                                      const char *message,
                                      size_t message_len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is linked, such as `0.1.0`; SLOTWISE_VERSION is that of this header.
 *
 * The text is a constant: never free it.
 *
 * @return a constant; never free it
 */
const char *slotwise_version(void);

/**
 * Frees an error; NULL is nothing to free.
 *
 * @param error  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_error_free(struct slotwise_error *error);

/**
 * The code, as the failed function returned it; 0 when `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return the number
 */
uint32_t slotwise_error_code(const struct slotwise_error *error);

/**
 * The stable name of the kind, such as `invalid_address`; NULL when `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return a text that belongs to `error` and lives as long; never free it
 */
const char *slotwise_error_kind(const struct slotwise_error *error);

/**
 * What was wrong, in one sentence without place and remedy; NULL when `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return a text that belongs to `error` and lives as long; never free it
 */
const char *slotwise_error_message(const struct slotwise_error *error);

/**
 * Where, as the path inside the input, such as `device_spec[2].address.bus`; empty when the whole input is meant.
 *
 * For an argument that is NULL or not UTF-8 it is the parameter's name. NULL when `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return a text that belongs to `error` and lives as long; never free it
 */
const char *slotwise_error_path(const struct slotwise_error *error);

/**
 * The line in the input text, counted from 1; 0 when there is none to tell or `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return the number
 */
uint32_t slotwise_error_line(const struct slotwise_error *error);

/**
 * The column in that line, in characters, counted from 1; 0 when there is none to tell or `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return the number
 */
uint32_t slotwise_error_column(const struct slotwise_error *error);

/**
 * What to do about it; NULL when the message says it all or `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return a text that belongs to `error` and lives as long; never free it
 */
const char *slotwise_error_help(const struct slotwise_error *error);

/**
 * Message, place and remedy as one line to log; NULL when `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return a text that belongs to `error` and lives as long; never free it
 */
const char *slotwise_error_text(const struct slotwise_error *error);

/**
 * The error as a JSON document `{"kind", "message", "place": {"path", "line", "column"}, "help"}`.
 *
 * NULL when `error` is NULL.
 *
 * @param error  only read: many threads may use it at the same time
 * @return a text that belongs to `error` and lives as long; never free it
 */
const char *slotwise_error_json(const struct slotwise_error *error);

/**
 * Gives all kinds of errors: a JSON array of `{"code", "kind", "meaning"}`, ordered by code.
 *
 * @param kinds  result: the caller's, freed with slotwise_string_free()
 * @param error  what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_error_kinds(struct slotwise_string *kinds, struct slotwise_error **error);

/**
 * Frees what a text holds and empties it, so that freeing it again does nothing.
 *
 * NULL, and a text of all zeros, are nothing to free. The struct itself is the caller's and stays.
 *
 * @param text  emptied; NULL does nothing
 */
void slotwise_string_free(struct slotwise_string *text);

/**
 * Frees what the bytes hold and empties them, so that freeing them again does nothing.
 *
 * NULL, and bytes of all zeros, are nothing to free. The struct itself is the caller's and stays.
 *
 * @param bytes  emptied; NULL does nothing
 */
void slotwise_bytes_free(struct slotwise_bytes *bytes);

/**
 * Sends log lines of `level` (a slotwise_log_level) and less to `function`, for the whole process; NULL or
 * SLOTWISE_LOG_OFF ends that.
 *
 * `context` is handed to `function` as it is; both may be NULL. When this call has returned, the function that was set before
 * is not running and is not called again, so that its code and context may go. It must not be called from inside `function`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_ARGUMENT for another level, and with SLOTWISE_ERROR_INVALID_STATE inside `function`; what
 * was set stays then.
 *
 * @param function  kept until it is replaced; may be NULL
 * @param context   kept until it is replaced; may be NULL
 * @param level     a value, as said above
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_log_set(slotwise_log_function function,
                          void *context,
                          uint32_t level,
                          struct slotwise_error **error);

/**
 * Refuses from now on, in the whole process, arguments (texts, documents, snapshots) of more than `bytes` bytes.
 *
 * What a call allocates grows with its arguments and with what its handle holds, which came in through arguments: this bounds
 * both. 0 sets the engine's own limits again, which slotwise_limits() tells and which hold besides.
 *
 * Fails only as the conventions say. Calls that are refused fail with SLOTWISE_ERROR_LIMIT_EXCEEDED, before anything is read.
 *
 * @param bytes  a value, as said above
 * @param error  what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_limits_set(size_t bytes,
                             struct slotwise_error **error);

/**
 * Gives the engine's limits on what it is handed: a JSON object of names and numbers, such as `"max_devices": 1048576`.
 *
 * Names that end in `_bytes` are in bytes, the others count.
 *
 * @param limits  result: the caller's, freed with slotwise_string_free()
 * @param error   what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_limits(struct slotwise_string *limits,
                         struct slotwise_error **error);

/**
 * Parses the configuration `text`, whose `format` is `nova.conf` (the INI dialect of oslo.config) or `toml`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_CONFIG where the text itself cannot be read, and otherwise as slotwise_specs_parse() and
 * slotwise_aliases_parse() do; with the line and column in `text`. SLOTWISE_ERROR_INVALID_ARGUMENT for another format.
 *
 * @param format      UTF-8, read during the call
 * @param format_len  how many bytes `format` has
 * @param text        UTF-8, read during the call
 * @param text_len    how many bytes `text` has
 * @param config      result: the caller's, freed with slotwise_config_free()
 * @param error       what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_config_parse(const char *format,
                               size_t format_len,
                               const char *text,
                               size_t text_len,
                               struct slotwise_config **config,
                               struct slotwise_error **error);

/**
 * Frees a configuration; NULL is nothing to free. Handles taken from it are not touched.
 *
 * @param config  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_config_free(struct slotwise_config *config);

/**
 * Gives the rules of `[pci]device_spec` as a handle of its own, which outlives the configuration.
 *
 * @param config  only read: many threads may use it at the same time
 * @param specs   result: the caller's, freed with slotwise_specs_free()
 * @param error   what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_config_specs(const struct slotwise_config *config,
                               struct slotwise_specs **specs,
                               struct slotwise_error **error);

/**
 * Gives the aliases of `[pci]alias` as a handle of its own, which outlives the configuration.
 *
 * @param config   only read: many threads may use it at the same time
 * @param aliases  result: the caller's, freed with slotwise_aliases_free()
 * @param error    what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_config_aliases(const struct slotwise_config *config,
                                 struct slotwise_aliases **aliases,
                                 struct slotwise_error **error);

/**
 * Gives the two switches `[pci]report_in_placement` and `[filter_scheduler]pci_in_placement`.
 *
 * @param config               only read: many threads may use it at the same time
 * @param report_in_placement  result
 * @param pci_in_placement     result
 * @param error                what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_config_placement(const struct slotwise_config *config,
                                   bool *report_in_placement,
                                   bool *pci_in_placement,
                                   struct slotwise_error **error);

/**
 * Gives what is allowed in the file but probably not meant, rules and aliases included: a JSON array of sentences.
 *
 * @param config    only read: many threads may use it at the same time
 * @param warnings  result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_config_warnings(const struct slotwise_config *config,
                                  struct slotwise_string *warnings,
                                  struct slotwise_error **error);

/**
 * Parses rules: `entries` is a JSON array of which each item is a rule, a list of rules, or a text that holds either, as
 * the entries of Nova's `[pci]device_spec` do.
 *
 * `report_in_placement` is Nova's option of that name: whether the rules may name resource classes and traits.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_SPEC or SLOTWISE_ERROR_LIMIT_EXCEEDED. The path counts rules
 * from 0 over all entries, as in `device_spec[2].address.bus`; line and column are those in the entry.
 *
 * @param entries              UTF-8, read during the call
 * @param entries_len          how many bytes `entries` has
 * @param report_in_placement  a value, as said above
 * @param specs                result: the caller's, freed with slotwise_specs_free()
 * @param error                what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_specs_parse(const char *entries,
                              size_t entries_len,
                              bool report_in_placement,
                              struct slotwise_specs **specs,
                              struct slotwise_error **error);

/**
 * Frees rules; NULL is nothing to free. Trackers made from them are not touched.
 *
 * @param specs  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_specs_free(struct slotwise_specs *specs);

/**
 * Gives the rules in canonical form: a JSON array with one object per rule, in order.
 *
 * @param specs  only read: many threads may use it at the same time
 * @param rules  result: the caller's, freed with slotwise_string_free()
 * @param error  what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_specs_list(const struct slotwise_specs *specs,
                             struct slotwise_string *rules,
                             struct slotwise_error **error);

/**
 * Gives what is allowed in the rules but probably not meant: a JSON array of sentences.
 *
 * @param specs     only read: many threads may use it at the same time
 * @param warnings  result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_specs_warnings(const struct slotwise_specs *specs,
                                 struct slotwise_string *warnings,
                                 struct slotwise_error **error);

/**
 * Says of one device whether it may be handed out and why: `device` is a JSON object; the answer is
 * `{"assignable", "rule", "tags", "rules": [{"rule", "matches", "reason"}]}`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ADDRESS, SLOTWISE_ERROR_INVALID_DEVICE or
 * SLOTWISE_ERROR_LIMIT_EXCEEDED for a device that is not valid.
 *
 * @param specs        only read: many threads may use it at the same time
 * @param device       UTF-8, read during the call
 * @param device_len   how many bytes `device` has
 * @param explanation  result: the caller's, freed with slotwise_string_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_specs_explain(const struct slotwise_specs *specs,
                                const char *device,
                                size_t device_len,
                                struct slotwise_string *explanation,
                                struct slotwise_error **error);

/**
 * Parses aliases: `lines` is a JSON array of which each item is an alias line, or a text that holds one, as the entries of
 * Nova's `[pci]alias` do. Lines of one name are alternatives.
 *
 * `pci_in_placement` is Nova's option of that name: whether aliases may name resource classes and traits.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ALIAS or SLOTWISE_ERROR_LIMIT_EXCEEDED. The path counts lines
 * from 0, as in `alias[1].vendor_id`; line and column are those in that text.
 *
 * @param lines             UTF-8, read during the call
 * @param lines_len         how many bytes `lines` has
 * @param pci_in_placement  a value, as said above
 * @param aliases           result: the caller's, freed with slotwise_aliases_free()
 * @param error             what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_aliases_parse(const char *lines,
                                size_t lines_len,
                                bool pci_in_placement,
                                struct slotwise_aliases **aliases,
                                struct slotwise_error **error);

/**
 * Frees aliases; NULL is nothing to free.
 *
 * @param aliases  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_aliases_free(struct slotwise_aliases *aliases);

/**
 * Adds the alias that these `lines` define, all of one new name, and gives it as a JSON object.
 *
 * Fails with SLOTWISE_ERROR_ALREADY_EXISTS where there is one of that name, with SLOTWISE_ERROR_INVALID_ALIAS where the lines
 * are of several names or there is none, and as slotwise_aliases_parse() does.
 *
 * @param aliases    changed: the call needs it for itself
 * @param lines      UTF-8, read during the call
 * @param lines_len  how many bytes `lines` has
 * @param alias      result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_aliases_create(struct slotwise_aliases *aliases,
                                 const char *lines,
                                 size_t lines_len,
                                 struct slotwise_string *alias,
                                 struct slotwise_error **error);

/**
 * Replaces the alias of the name that these `lines` bear, and gives it as a JSON object.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_ALIAS where there is none, with SLOTWISE_ERROR_INVALID_ALIAS where the lines are of several
 * names or there is none, and as slotwise_aliases_parse() does.
 *
 * @param aliases    changed: the call needs it for itself
 * @param lines      UTF-8, read during the call
 * @param lines_len  how many bytes `lines` has
 * @param alias      result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_aliases_update(struct slotwise_aliases *aliases,
                                 const char *lines,
                                 size_t lines_len,
                                 struct slotwise_string *alias,
                                 struct slotwise_error **error);

/**
 * Removes the alias of that `name`, and gives what it was as a JSON object.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_ALIAS where there is none.
 *
 * @param aliases   changed: the call needs it for itself
 * @param name      UTF-8, read during the call
 * @param name_len  how many bytes `name` has
 * @param alias     result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_aliases_delete(struct slotwise_aliases *aliases,
                                 const char *name,
                                 size_t name_len,
                                 struct slotwise_string *alias,
                                 struct slotwise_error **error);

/**
 * Gives all aliases in the order they were defined: a JSON array of `{"name", "numa_policy", "alternatives"}`.
 *
 * @param aliases  only read: many threads may use it at the same time
 * @param list     result: the caller's, freed with slotwise_string_free()
 * @param error    what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_aliases_list(const struct slotwise_aliases *aliases,
                               struct slotwise_string *list,
                               struct slotwise_error **error);

/**
 * Gives what is allowed in the aliases but probably not meant: a JSON array of sentences.
 *
 * @param aliases   only read: many threads may use it at the same time
 * @param warnings  result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_aliases_warnings(const struct slotwise_aliases *aliases,
                                   struct slotwise_string *warnings,
                                   struct slotwise_error **error);

/**
 * Turns the flavor form `a:2,b:1` of `flavor` into requests: a JSON array, which is the `requests` of a workload.
 *
 * `numa_policy` is `required`, `preferred`, `legacy` or `socket` and overrides the aliases' own; it may be left out.
 *
 * Fails with SLOTWISE_ERROR_INVALID_REQUEST where an item is not `name:count` or a count is out of range, with
 * SLOTWISE_ERROR_UNKNOWN_ALIAS, SLOTWISE_ERROR_LIMIT_EXCEEDED, or SLOTWISE_ERROR_INVALID_JSON for another policy; the path counts
 * items from 0, as in `flavor[1]`.
 *
 * @param aliases          only read: many threads may use it at the same time
 * @param flavor           UTF-8, read during the call
 * @param flavor_len       how many bytes `flavor` has
 * @param numa_policy      UTF-8, read during the call
 * @param numa_policy_len  how many bytes `numa_policy` has
 * @param requests         result: the caller's, freed with slotwise_string_free()
 * @param error            what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_aliases_requests(const struct slotwise_aliases *aliases,
                                   const char *flavor,
                                   size_t flavor_len,
                                   const char *numa_policy,
                                   size_t numa_policy_len,
                                   struct slotwise_string *requests,
                                   struct slotwise_error **error);

/**
 * Parses a `workload`: a JSON object `{"requests": [...], "numa_cells": [0], "numa_cells_from", "constraints", "prefer":
 * "stable", "spread_over", "prefer_devices", "provider_mapping", "strategy": "exact", "budget": 100000}`, of which only
 * `requests` is needed. The budget counts search steps.
 *
 * Each request is `{"count": 1, "alternatives": [{"vendor_id": "15b3", ...}, ...], "numa_policy": "legacy", "otherwise", "isolate":
 * false, "same", "distinct", "prefer_same", "request_id", "requester_id", "alias_name"}`, of which only `alternatives` is needed;
 * a device must match all entries of at least one. docs/allocation.md says what each key asks for.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_REQUEST or SLOTWISE_ERROR_LIMIT_EXCEEDED, with a path such as
 * `workload.requests[0].count`.
 *
 * @param workload      UTF-8, read during the call
 * @param workload_len  how many bytes `workload` has
 * @param parsed        result: the caller's, freed with slotwise_workload_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_workload_parse(const char *workload,
                                 size_t workload_len,
                                 struct slotwise_workload **parsed,
                                 struct slotwise_error **error);

/**
 * Frees a workload; NULL is nothing to free.
 *
 * @param workload  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_workload_free(struct slotwise_workload *workload);

/**
 * Parses a host's `pools` in the form that Nova keeps them: a JSON array of `{"vendor_id", "product_id", "numa_node",
 * "tags", "count"}`, one such object, a versioned PciDevicePoolList, or null.
 *
 * `numa_topology` is a JSON object `{"cells": [{"id": 0, "socket": 0}, ...]}`, which the NUMA policy `socket` needs; it
 * may be left out.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_POOL or SLOTWISE_ERROR_LIMIT_EXCEEDED, with the place.
 *
 * @param pools              UTF-8, read during the call
 * @param pools_len          how many bytes `pools` has
 * @param numa_topology      UTF-8, read during the call
 * @param numa_topology_len  how many bytes `numa_topology` has
 * @param parsed             result: the caller's, freed with slotwise_pools_free()
 * @param error              what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_pools_parse(const char *pools,
                              size_t pools_len,
                              const char *numa_topology,
                              size_t numa_topology_len,
                              struct slotwise_pools **parsed,
                              struct slotwise_error **error);

/**
 * Frees pools; NULL is nothing to free.
 *
 * @param pools  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_pools_free(struct slotwise_pools *pools);

/**
 * Says whether the workload fits these pools, without taking anything.
 *
 * Writes a slotwise_outcome to `outcome`. With `fit` NULL that is all, and nothing is allocated at this boundary: a
 * scheduler asks thousands of hosts this way. Otherwise `fit` gets the whole answer as JSON: `{"outcome": "fits",
 * "requests": [...]}` with the pools to take from, and `"cut_short": true` where the search budget ran out before anything
 * better was ruled out; or `"no_fit"` with the reasons, or `"undecided"`.
 *
 * @param pools     only read: many threads may use it at the same time
 * @param workload  only read: many threads may use it at the same time
 * @param outcome   result
 * @param fit       result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_pools_fit(const struct slotwise_pools *pools,
                            const struct slotwise_workload *workload,
                            uint32_t *outcome,
                            struct slotwise_string *fit,
                            struct slotwise_error **error);

/**
 * Takes what an assignment uses, so that the next workload sees what is left, and gives the pools as JSON.
 *
 * `assignment` is the JSON that slotwise_pools_fit() gave for a workload that fits, as it is.
 *
 * Fails with SLOTWISE_ERROR_INVALID_STATE where the pools do not hold what the assignment uses, and with
 * SLOTWISE_ERROR_INVALID_JSON; nothing is taken then.
 *
 * @param pools           changed: the call needs it for itself
 * @param assignment      UTF-8, read during the call
 * @param assignment_len  how many bytes `assignment` has
 * @param list            result: the caller's, freed with slotwise_string_free()
 * @param error           what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_pools_consume(struct slotwise_pools *pools,
                                const char *assignment,
                                size_t assignment_len,
                                struct slotwise_string *list,
                                struct slotwise_error **error);

/**
 * Gives the pools in their stable order: a JSON array.
 *
 * @param pools  only read: many threads may use it at the same time
 * @param list   result: the caller's, freed with slotwise_string_free()
 * @param error  what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_pools_list(const struct slotwise_pools *pools,
                             struct slotwise_string *list,
                             struct slotwise_error **error);

/**
 * Groups and counts the free devices by the values of `keys`, a JSON array of attribute or tag names.
 *
 * Gives a JSON array of `{"values", "total", "free", "devices"}`, ordered by the values.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON where `keys` is something else.
 *
 * @param pools     only read: many threads may use it at the same time
 * @param keys      UTF-8, read during the call
 * @param keys_len  how many bytes `keys` has
 * @param groups    result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_pools_group_by(const struct slotwise_pools *pools,
                                 const char *keys,
                                 size_t keys_len,
                                 struct slotwise_string *groups,
                                 struct slotwise_error **error);

/**
 * Makes a tracker without devices, with a copy of these rules.
 *
 * `options` is a JSON object of which every key, or the whole, may be left out: `{"numa_topology": {"cells": [{"id": 0,
 * "socket": 0}, ...]}, "pool_keys": ["rack"], "allow_missing_parents": false, "device_groups": [{"name": "pair", "devices":
 * ["0000:17:00.0", ...]}]}`. The keys are extra info that splits pools; groups are handed out as a whole.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ARGUMENT for options that contradict themselves, or
 * SLOTWISE_ERROR_LIMIT_EXCEEDED.
 *
 * @param specs        only read: many threads may use it at the same time
 * @param options      UTF-8, read during the call
 * @param options_len  how many bytes `options` has
 * @param tracker      result: the caller's, freed with slotwise_tracker_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_new(const struct slotwise_specs *specs,
                              const char *options,
                              size_t options_len,
                              struct slotwise_tracker **tracker,
                              struct slotwise_error **error);

/**
 * Makes a tracker that takes up from the rows of the caller's database, which count as written.
 *
 * `options` are those of slotwise_tracker_new(). `rows` is a JSON array of objects in the form that
 * slotwise_tracker_devices() gives.
 *
 * Fails as slotwise_tracker_new() does, and with SLOTWISE_ERROR_DUPLICATE_DEVICE, SLOTWISE_ERROR_INVALID_DEVICE for a row whose
 * status and owner contradict each other, or SLOTWISE_ERROR_INVALID_STATE where a PF and one of its VFs are both held; with the
 * row as place.
 *
 * @param specs        only read: many threads may use it at the same time
 * @param options      UTF-8, read during the call
 * @param options_len  how many bytes `options` has
 * @param rows         UTF-8, read during the call
 * @param rows_len     how many bytes `rows` has
 * @param tracker      result: the caller's, freed with slotwise_tracker_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_load(const struct slotwise_specs *specs,
                               const char *options,
                               size_t options_len,
                               const char *rows,
                               size_t rows_len,
                               struct slotwise_tracker **tracker,
                               struct slotwise_error **error);

/**
 * Frees a tracker; NULL is nothing to free. To free the devices of an owner, see slotwise_tracker_free_owner().
 *
 * @param tracker  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_tracker_free(struct slotwise_tracker *tracker);

/**
 * Takes over what the host has now: `devices` is a JSON array of all its devices, assignable or not.
 *
 * Gives `{"added", "updated", "removed", "deferred"}`. The same devices again change nothing.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ADDRESS, SLOTWISE_ERROR_INVALID_DEVICE,
 * SLOTWISE_ERROR_DUPLICATE_DEVICE, SLOTWISE_ERROR_MISSING_PARENT, SLOTWISE_ERROR_PARENT_CYCLE, SLOTWISE_ERROR_INVALID_SPEC for a
 * rule that this host contradicts, or SLOTWISE_ERROR_LIMIT_EXCEEDED; nothing is taken over then.
 *
 * @param tracker      changed: the call needs it for itself
 * @param devices      UTF-8, read during the call
 * @param devices_len  how many bytes `devices` has
 * @param report       result: the caller's, freed with slotwise_string_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_sync(struct slotwise_tracker *tracker,
                               const char *devices,
                               size_t devices_len,
                               struct slotwise_string *report,
                               struct slotwise_error **error);

/**
 * Replaces the rules by a copy of these; with `dry_run` only says what that would change.
 *
 * Gives `{"added", "retagged", "removed", "held"}`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_SPEC for a rule that this host contradicts; nothing is replaced then.
 *
 * @param tracker  changed: the call needs it for itself
 * @param specs    only read: many threads may use it at the same time
 * @param dry_run  a value, as said above
 * @param diff     result: the caller's, freed with slotwise_string_free()
 * @param error    what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_replace_specs(struct slotwise_tracker *tracker,
                                        const struct slotwise_specs *specs,
                                        bool dry_run,
                                        struct slotwise_string *diff,
                                        struct slotwise_error **error);

/**
 * Gives the free devices, pooled: a JSON array that slotwise_pools_parse() reads.
 *
 * @param tracker  only read: many threads may use it at the same time
 * @param pools    result: the caller's, freed with slotwise_string_free()
 * @param error    what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_pools(const struct slotwise_tracker *tracker,
                                struct slotwise_string *pools,
                                struct slotwise_error **error);

/**
 * Groups and counts the assignable devices, free or held, by `keys`: a JSON array of names of fields, tags or extra info.
 *
 * Gives a JSON array of `{"values", "total", "free", "devices"}`, ordered by the values.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON where `keys` is something else.
 *
 * @param tracker   only read: many threads may use it at the same time
 * @param keys      UTF-8, read during the call
 * @param keys_len  how many bytes `keys` has
 * @param groups    result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_group_by(const struct slotwise_tracker *tracker,
                                   const char *keys,
                                   size_t keys_len,
                                   struct slotwise_string *groups,
                                   struct slotwise_error **error);

/**
 * Gives the assignable devices, ordered by address: a JSON array of devices with `status`, `owner`, `request_id` and
 * `requester_id`.
 *
 * @param tracker  only read: many threads may use it at the same time
 * @param devices  result: the caller's, freed with slotwise_string_free()
 * @param error    what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_devices(const struct slotwise_tracker *tracker,
                                  struct slotwise_string *devices,
                                  struct slotwise_error **error);

/**
 * Says why the device of that `address`, such as `0000:3b:00.1`, is or is not assignable; the answer is that of
 * slotwise_specs_explain().
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_DEVICE where the host has none of that address, or SLOTWISE_ERROR_INVALID_ADDRESS.
 *
 * @param tracker      only read: many threads may use it at the same time
 * @param address      UTF-8, read during the call
 * @param address_len  how many bytes `address` has
 * @param explanation  result: the caller's, freed with slotwise_string_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_explain(const struct slotwise_tracker *tracker,
                                  const char *address,
                                  size_t address_len,
                                  struct slotwise_string *explanation,
                                  struct slotwise_error **error);

/**
 * Says whether and how the workload fits, without claiming anything.
 *
 * Writes a slotwise_outcome to `outcome`. With `fit` NULL that is all, and nothing is allocated at this boundary; otherwise
 * `fit` gets the whole answer as JSON, as in slotwise_pools_fit().
 *
 * Fails with SLOTWISE_ERROR_INVALID_REQUEST for a workload that names an attribute which no device of this host has.
 *
 * @param tracker   only read: many threads may use it at the same time
 * @param workload  only read: many threads may use it at the same time
 * @param outcome   result
 * @param fit       result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_fit(const struct slotwise_tracker *tracker,
                              const struct slotwise_workload *workload,
                              uint32_t *outcome,
                              struct slotwise_string *fit,
                              struct slotwise_error **error);

/**
 * Asks policies in which order they would give the free devices away, and makes the workload with that order as its
 * `prefer_devices`, to be fitted or claimed like any other.
 *
 * What the first of `policies` that prefers finds equal is ordered by the next; if none prefers, the workload stays as it is. `facts`
 * may be left out: a JSON object of what policies are told about the workload beyond itself.
 *
 * Fails with SLOTWISE_ERROR_POLICY_FAILED where a policy fails and is to fail closed, or SLOTWISE_ERROR_INVALID_REQUEST for a workload of
 * strategy `nova`, which knows no preference.
 *
 * @param tracker       only read: many threads may use it at the same time
 * @param workload      only read: many threads may use it at the same time
 * @param facts         UTF-8, read during the call
 * @param facts_len     how many bytes `facts` has
 * @param policies      array of handles, which are only read: many threads may use them at the same time
 * @param policies_len  how many elements `policies` has
 * @param ordered       result: the caller's, freed with slotwise_workload_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_prefer(const struct slotwise_tracker *tracker,
                                 const struct slotwise_workload *workload,
                                 const char *facts,
                                 size_t facts_len,
                                 struct slotwise_policy *const *policies,
                                 size_t policies_len,
                                 struct slotwise_workload **ordered,
                                 struct slotwise_error **error);

/**
 * Claims devices for `owner`: all that the workload asks for, or none.
 *
 * The answer is that of slotwise_tracker_fit(); devices are claimed when `outcome` is SLOTWISE_OUTCOME_FITS, and the JSON
 * then names them. `fit` may be NULL.
 *
 * Fails with SLOTWISE_ERROR_INVALID_ARGUMENT for an empty owner, and as slotwise_tracker_fit() does; nothing is claimed then.
 *
 * @param tracker    changed: the call needs it for itself
 * @param owner      UTF-8, read during the call
 * @param owner_len  how many bytes `owner` has
 * @param workload   only read: many threads may use it at the same time
 * @param outcome    result
 * @param fit        result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_claim(struct slotwise_tracker *tracker,
                                const char *owner,
                                size_t owner_len,
                                const struct slotwise_workload *workload,
                                uint32_t *outcome,
                                struct slotwise_string *fit,
                                struct slotwise_error **error);

/**
 * Claims for `owner` exactly the devices that slotwise_tracker_fit() found earlier, if they can still be had.
 *
 * `assignment` is the JSON that slotwise_tracker_fit() gave for a workload that fits, as it is.
 *
 * Fails with SLOTWISE_ERROR_CONFLICT where it no longer holds: fit again. Otherwise as slotwise_tracker_claim() does, and with
 * SLOTWISE_ERROR_INVALID_JSON; nothing is claimed then.
 *
 * @param tracker         changed: the call needs it for itself
 * @param owner           UTF-8, read during the call
 * @param owner_len       how many bytes `owner` has
 * @param workload        only read: many threads may use it at the same time
 * @param assignment      UTF-8, read during the call
 * @param assignment_len  how many bytes `assignment` has
 * @param error           what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_claim_fit(struct slotwise_tracker *tracker,
                                    const char *owner,
                                    size_t owner_len,
                                    const struct slotwise_workload *workload,
                                    const char *assignment,
                                    size_t assignment_len,
                                    struct slotwise_error **error);

/**
 * Claims devices for several workloads together: for all of them, or for none.
 *
 * `claims` is a JSON array of `{"owner", "workload"}`. The answer is that of slotwise_tracker_fit(), spanning the requests of
 * all workloads in order; devices are claimed when `outcome` is SLOTWISE_OUTCOME_FITS. `fit` may be NULL.
 *
 * If one of several workloads has strategy `nova`, they are only served one after the other, and a *no* is about the first for
 * which those before it left too little: it names that claim, and counts the requests of it alone.
 *
 * Fails as slotwise_workload_parse() and slotwise_tracker_claim() do, with the index of the claim in the path, and with
 * SLOTWISE_ERROR_INVALID_REQUEST where one of several workloads leaves its NUMA cells to be chosen.
 *
 * @param tracker     changed: the call needs it for itself
 * @param claims      UTF-8, read during the call
 * @param claims_len  how many bytes `claims` has
 * @param outcome     result
 * @param fit         result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error       what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_claim_all(struct slotwise_tracker *tracker,
                                    const char *claims,
                                    size_t claims_len,
                                    uint32_t *outcome,
                                    struct slotwise_string *fit,
                                    struct slotwise_error **error);

/**
 * Turns the claims of `owner` into allocations, and gives the devices: a JSON array of addresses, ordered.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_OWNER where it holds nothing.
 *
 * @param tracker    changed: the call needs it for itself
 * @param owner      UTF-8, read during the call
 * @param owner_len  how many bytes `owner` has
 * @param addresses  result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_allocate(struct slotwise_tracker *tracker,
                                   const char *owner,
                                   size_t owner_len,
                                   struct slotwise_string *addresses,
                                   struct slotwise_error **error);

/**
 * Frees the devices of `owner`, and gives them: a JSON array of addresses, ordered; empty if it holds none.
 *
 * `scope` is `all` (also when it is left out), `claims` or `allocations`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON for another scope.
 *
 * @param tracker    changed: the call needs it for itself
 * @param owner      UTF-8, read during the call
 * @param owner_len  how many bytes `owner` has
 * @param scope      UTF-8, read during the call
 * @param scope_len  how many bytes `scope` has
 * @param addresses  result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_free_owner(struct slotwise_tracker *tracker,
                                     const char *owner,
                                     size_t owner_len,
                                     const char *scope,
                                     size_t scope_len,
                                     struct slotwise_string *addresses,
                                     struct slotwise_error **error);

/**
 * Frees one device of `owner`, by its `address` such as `0000:3b:00.1`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_ADDRESS, SLOTWISE_ERROR_UNKNOWN_DEVICE, SLOTWISE_ERROR_INVALID_STATE where it is not held, or
 * SLOTWISE_ERROR_WRONG_OWNER.
 *
 * @param tracker      changed: the call needs it for itself
 * @param owner        UTF-8, read during the call
 * @param owner_len    how many bytes `owner` has
 * @param address      UTF-8, read during the call
 * @param address_len  how many bytes `address` has
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_free_device(struct slotwise_tracker *tracker,
                                      const char *owner,
                                      size_t owner_len,
                                      const char *address,
                                      size_t address_len,
                                      struct slotwise_error **error);

/**
 * Frees the devices of all owners that are not in `owners`, a JSON array of texts, and gives those devices: a JSON array
 * of addresses, ordered.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON where `owners` is something else; nothing is freed then.
 *
 * @param tracker     changed: the call needs it for itself
 * @param owners      UTF-8, read during the call
 * @param owners_len  how many bytes `owners` has
 * @param addresses   result: the caller's, freed with slotwise_string_free()
 * @param error       what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_retain_owners(struct slotwise_tracker *tracker,
                                        const char *owners,
                                        size_t owners_len,
                                        struct slotwise_string *addresses,
                                        struct slotwise_error **error);

/**
 * Gives the held devices that `query` selects, with the facts a network service configures them by.
 *
 * `query` is a JSON object of which every key may be left out: `{"owner", "request_id", "requester_id"}`; those given must
 * all match. The answer is a JSON array in the order in which the devices were claimed.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON for another query.
 *
 * @param tracker    only read: many threads may use it at the same time
 * @param query      UTF-8, read during the call
 * @param query_len  how many bytes `query` has
 * @param bindings   result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_bindings(const struct slotwise_tracker *tracker,
                                   const char *query,
                                   size_t query_len,
                                   struct slotwise_string *bindings,
                                   struct slotwise_error **error);

/**
 * Gives what must be written to the caller's database now: a JSON array of `{"address", "action", "fields"}`, ordered by
 * address. It stays the same until slotwise_tracker_written() or another change.
 *
 * @param tracker  only read: many threads may use it at the same time
 * @param changes  result: the caller's, freed with slotwise_string_free()
 * @param error    what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_changes(const struct slotwise_tracker *tracker,
                                  struct slotwise_string *changes,
                                  struct slotwise_error **error);

/**
 * Notes that these `changes`, in the form slotwise_tracker_changes() gave them, have been written.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, or SLOTWISE_ERROR_UNKNOWN_DEVICE for an update of a row that this tracker does not know;
 * nothing is noted then.
 *
 * @param tracker      changed: the call needs it for itself
 * @param changes      UTF-8, read during the call
 * @param changes_len  how many bytes `changes` has
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_written(struct slotwise_tracker *tracker,
                                  const char *changes,
                                  size_t changes_len,
                                  struct slotwise_error **error);

/**
 * Gives a number that grows with every call that changed anything.
 *
 * @param tracker  only read: many threads may use it at the same time
 * @param version  result
 * @param error    what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_version(const struct slotwise_tracker *tracker,
                                  uint64_t *version,
                                  struct slotwise_error **error);

/**
 * Gives the whole state as versioned, checksummed bytes.
 *
 * @param tracker   only read: many threads may use it at the same time
 * @param snapshot  result: the caller's, freed with slotwise_bytes_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_snapshot(const struct slotwise_tracker *tracker,
                                   struct slotwise_bytes *snapshot,
                                   struct slotwise_error **error);

/**
 * Makes a tracker from the bytes of `snapshot`, which slotwise_tracker_snapshot() gave.
 *
 * Fails with SLOTWISE_ERROR_INVALID_SNAPSHOT for bytes that are truncated, altered or contradict themselves, with
 * SLOTWISE_ERROR_UNSUPPORTED_VERSION or SLOTWISE_ERROR_LIMIT_EXCEEDED.
 *
 * @param snapshot      bytes, read during the call
 * @param snapshot_len  how many bytes `snapshot` has
 * @param tracker       result: the caller's, freed with slotwise_tracker_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_restore(const uint8_t *snapshot,
                                  size_t snapshot_len,
                                  struct slotwise_tracker **tracker,
                                  struct slotwise_error **error);

/**
 * Gives the whole state as a JSON document.
 *
 * @param tracker   only read: many threads may use it at the same time
 * @param snapshot  result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_tracker_snapshot_json(const struct slotwise_tracker *tracker,
                                        struct slotwise_string *snapshot,
                                        struct slotwise_error **error);

/**
 * Makes a tracker from the document `snapshot`, which slotwise_tracker_snapshot_json() gave.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, and as slotwise_tracker_restore() does.
 *
 * @param snapshot      UTF-8, read during the call
 * @param snapshot_len  how many bytes `snapshot` has
 * @param tracker       result: the caller's, freed with slotwise_tracker_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_tracker_restore_json(const char *snapshot,
                                       size_t snapshot_len,
                                       struct slotwise_tracker **tracker,
                                       struct slotwise_error **error);

/**
 * Makes a fleet without hosts.
 *
 * @param made   result: the caller's, freed with slotwise_fleet_free()
 * @param error  what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_new(struct slotwise_fleet **made, struct slotwise_error **error);

/**
 * Frees a fleet; NULL is nothing to free.
 *
 * @param fleet  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_fleet_free(struct slotwise_fleet *fleet);

/**
 * Inserts a host, or replaces what is known of it; `host` is its name, UTF-8, and `pools` and `numa_topology` are as in
 * slotwise_pools_parse().
 *
 * Text that the host was last read from is recognised and not read again. `version` may be NULL: then it counts on from
 * the one that is there. `update` gets `{"id", "version", "outcome"}`, the outcome being `inserted`, `updated` or `unchanged`.
 *
 * Fails with SLOTWISE_ERROR_CONFLICT for a version that is older than the one that is there, and as slotwise_pools_parse().
 *
 * @param fleet              changed: the call needs it for itself
 * @param host               UTF-8, read during the call
 * @param host_len           how many bytes `host` has
 * @param pools              UTF-8, read during the call
 * @param pools_len          how many bytes `pools` has
 * @param numa_topology      UTF-8, read during the call
 * @param numa_topology_len  how many bytes `numa_topology` has
 * @param version            read during the call; may be NULL
 * @param update             result: the caller's, freed with slotwise_string_free()
 * @param error              what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_put(struct slotwise_fleet *fleet,
                            const char *host,
                            size_t host_len,
                            const char *pools,
                            size_t pools_len,
                            const char *numa_topology,
                            size_t numa_topology_len,
                            const uint64_t *version,
                            struct slotwise_string *update,
                            struct slotwise_error **error);

/**
 * Inserts or replaces many hosts: `lines` has one JSON document per line, `{"host", "pools"}` and where wanted
 * `numa_topology`, `version` and `tags`.
 *
 * All lines are taken over or none; a fleet that has hosts already is copied for that. `loaded` gets `{"inserted", "updated",
 * "unchanged"}`. Fails as slotwise_fleet_put(), with a path such as `lines[17].pools`.
 *
 * @param fleet      changed: the call needs it for itself
 * @param lines      UTF-8, read during the call
 * @param lines_len  how many bytes `lines` has
 * @param loaded     result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_load(struct slotwise_fleet *fleet,
                             const char *lines,
                             size_t lines_len,
                             struct slotwise_string *loaded,
                             struct slotwise_error **error);

/**
 * Applies what changed on a host; `host` is its name, UTF-8.
 *
 * `delta` is a JSON object `{"base", "version", "removed", "pools", "released"}`; `update` is as in slotwise_fleet_put().
 *
 * Fails with SLOTWISE_ERROR_CONFLICT when the delta does not follow on the version that is there.
 *
 * @param fleet      changed: the call needs it for itself
 * @param host       UTF-8, read during the call
 * @param host_len   how many bytes `host` has
 * @param delta      UTF-8, read during the call
 * @param delta_len  how many bytes `delta` has
 * @param update     result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_apply(struct slotwise_fleet *fleet,
                              const char *host,
                              size_t host_len,
                              const char *delta,
                              size_t delta_len,
                              struct slotwise_string *update,
                              struct slotwise_error **error);

/**
 * Removes a host with all that is reserved on it; `host` is its name, UTF-8.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
 *
 * @param fleet     changed: the call needs it for itself
 * @param host      UTF-8, read during the call
 * @param host_len  how many bytes `host` has
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_remove(struct slotwise_fleet *fleet,
                               const char *host,
                               size_t host_len,
                               struct slotwise_error **error);

/**
 * Gives the host named `host` its `tags`, a JSON object of texts, in place of those it had; `changed` says whether that
 * changed anything.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
 *
 * @param fleet     changed: the call needs it for itself
 * @param host      UTF-8, read during the call
 * @param host_len  how many bytes `host` has
 * @param tags      UTF-8, read during the call
 * @param tags_len  how many bytes `tags` has
 * @param changed   result
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_set_tags(struct slotwise_fleet *fleet,
                                 const char *host,
                                 size_t host_len,
                                 const char *tags,
                                 size_t tags_len,
                                 bool *changed,
                                 struct slotwise_error **error);

/**
 * Gives the tags of the host named `host`, UTF-8, as a JSON object.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
 *
 * @param fleet     only read: many threads may use it at the same time
 * @param host      UTF-8, read during the call
 * @param host_len  how many bytes `host` has
 * @param tags      result: the caller's, freed with slotwise_string_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_tags(const struct slotwise_fleet *fleet,
                             const char *host,
                             size_t host_len,
                             struct slotwise_string *tags,
                             struct slotwise_error **error);

/**
 * Gives the id and the version of the host named `host`, UTF-8.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
 *
 * @param fleet     only read: many threads may use it at the same time
 * @param host      UTF-8, read during the call
 * @param host_len  how many bytes `host` has
 * @param id        result
 * @param version   result
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_id(const struct slotwise_fleet *fleet,
                           const char *host,
                           size_t host_len,
                           uint32_t *id,
                           uint64_t *version,
                           struct slotwise_error **error);

/**
 * Gives the pools of the host named `host`, UTF-8, less what is reserved on it.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
 *
 * @param fleet     only read: many threads may use it at the same time
 * @param host      UTF-8, read during the call
 * @param host_len  how many bytes `host` has
 * @param pools     result: the caller's, freed with slotwise_pools_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_pools(const struct slotwise_fleet *fleet,
                              const char *host,
                              size_t host_len,
                              struct slotwise_pools **pools,
                              struct slotwise_error **error);

/**
 * Gives the ids of all hosts as a bitmap.
 *
 * @param fleet  only read: many threads may use it at the same time
 * @param hosts  result: the caller's, freed with slotwise_bytes_free()
 * @param error  what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_hosts(const struct slotwise_fleet *fleet,
                              struct slotwise_bytes *hosts,
                              struct slotwise_error **error);

/**
 * Gives the names of the hosts of the bitmap `hosts`, or of all if it is left out, in the order of their ids: a JSON array.
 *
 * Ids without a host are passed over.
 *
 * Fails with SLOTWISE_ERROR_LIMIT_EXCEEDED for a bitmap of over 2^32 bits.
 *
 * @param fleet      only read: many threads may use it at the same time
 * @param hosts      bytes, read during the call
 * @param hosts_len  how many bytes `hosts` has
 * @param names      result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_names(const struct slotwise_fleet *fleet,
                              const uint8_t *hosts,
                              size_t hosts_len,
                              struct slotwise_string *names,
                              struct slotwise_error **error);

/**
 * Says whether and how a workload fits the host named `host`, UTF-8; nothing is held.
 *
 * `outcome` gets a slotwise_outcome, and `fit` the answer as JSON, both as in slotwise_pools_fit(); `fit` may be NULL.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_HOST, and as slotwise_pools_fit().
 *
 * @param fleet     only read: many threads may use it at the same time
 * @param host      UTF-8, read during the call
 * @param host_len  how many bytes `host` has
 * @param workload  only read: many threads may use it at the same time
 * @param outcome   result
 * @param fit       result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_fit(const struct slotwise_fleet *fleet,
                            const char *host,
                            size_t host_len,
                            const struct slotwise_workload *workload,
                            uint32_t *outcome,
                            struct slotwise_string *fit,
                            struct slotwise_error **error);

/**
 * Says which hosts fit a workload.
 *
 * `options` may be left out: `{"hosts": [{"host", "numa_cells", "mappings"}], "limit", "facts"}`. `among` is a bitmap of the hosts
 * that are asked; all if it is left out. `policies` are asked about the hosts that fit; none if it is left out.
 *
 * `hosts` gets the bitmap of those that fit. `undecided` may be NULL; it gets that of those for which the search budget ran
 * out.
 * `answer` may be NULL; it gets all of it as JSON, with lists of ids, and in `refused` the reasons of the policies.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_UNKNOWN_HOST for an option that names one, SLOTWISE_ERROR_INVALID_REQUEST
 * for a mapping that does not go with the workload, SLOTWISE_ERROR_LIMIT_EXCEEDED, or SLOTWISE_ERROR_POLICY_FAILED where a policy
 * fails and is to fail closed.
 *
 * @param fleet         only read: many threads may use it at the same time
 * @param workload      only read: many threads may use it at the same time
 * @param options       UTF-8, read during the call
 * @param options_len   how many bytes `options` has
 * @param among         bytes, read during the call
 * @param among_len     how many bytes `among` has
 * @param policies      array of handles, which are only read: many threads may use them at the same time
 * @param policies_len  how many elements `policies` has
 * @param hosts         result: the caller's, freed with slotwise_bytes_free()
 * @param undecided     result: the caller's, freed with slotwise_bytes_free(); may be NULL
 * @param answer        result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_filter(const struct slotwise_fleet *fleet,
                               const struct slotwise_workload *workload,
                               const char *options,
                               size_t options_len,
                               const uint8_t *among,
                               size_t among_len,
                               struct slotwise_policy *const *policies,
                               size_t policies_len,
                               struct slotwise_bytes *hosts,
                               struct slotwise_bytes *undecided,
                               struct slotwise_string *answer,
                               struct slotwise_error **error);

/**
 * Ranks the hosts that fit a workload, the best first.
 *
 * `options` may be left out: `{"filter": {...}, "weighers": [{"kind": "fewest_free", "multiplier": 1.0}], "policy_multiplier", "limit"}`,
 * the filter being the options of slotwise_fleet_filter() with `among` as a list of ids; kinds are `fewest_free`, `best_fit` and
 * `fragmentation`. `policies` as there; those that score are weighers too, after the others.
 *
 * `ids` and `scores` get the ids and totals as far as there is room, `count` how many there are. `ranking` may be NULL; it gets
 * all of it as JSON, with the weights of each weigher.
 *
 * Fails as slotwise_fleet_filter() does, and with SLOTWISE_ERROR_INVALID_ARGUMENT for a multiplier that is no finite number.
 *
 * @param fleet         only read: many threads may use it at the same time
 * @param workload      only read: many threads may use it at the same time
 * @param options       UTF-8, read during the call
 * @param options_len   how many bytes `options` has
 * @param policies      array of handles, which are only read: many threads may use them at the same time
 * @param policies_len  how many elements `policies` has
 * @param ids           array of the caller's that is written to
 * @param ids_len       how many elements `ids` has
 * @param scores        array of the caller's that is written to
 * @param scores_len    how many elements `scores` has
 * @param count         result
 * @param ranking       result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_rank(const struct slotwise_fleet *fleet,
                             const struct slotwise_workload *workload,
                             const char *options,
                             size_t options_len,
                             struct slotwise_policy *const *policies,
                             size_t policies_len,
                             uint32_t *ids,
                             size_t ids_len,
                             double *scores,
                             size_t scores_len,
                             size_t *count,
                             struct slotwise_string *ranking,
                             struct slotwise_error **error);

/**
 * Explains a workload over the fleet: how many hosts fit, and what rules out the others; `options` and `policies` as in
 * slotwise_fleet_filter().
 *
 * `explanation` gets a JSON object whose `message` is all of it as one sentence.
 *
 * Fails as slotwise_fleet_filter() does.
 *
 * @param fleet         only read: many threads may use it at the same time
 * @param workload      only read: many threads may use it at the same time
 * @param options       UTF-8, read during the call
 * @param options_len   how many bytes `options` has
 * @param policies      array of handles, which are only read: many threads may use them at the same time
 * @param policies_len  how many elements `policies` has
 * @param explanation   result: the caller's, freed with slotwise_string_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_explain(const struct slotwise_fleet *fleet,
                                const struct slotwise_workload *workload,
                                const char *options,
                                size_t options_len,
                                struct slotwise_policy *const *policies,
                                size_t policies_len,
                                struct slotwise_string *explanation,
                                struct slotwise_error **error);

/**
 * Finds a host for each item of a batch; each sees what the others take. Nothing is held.
 *
 * `batch` is `{"items": [{"owner", "workload"}], "rules": [{"items": [0, 1], "distinct": "host"}], "mode": "joint"}`, and where wanted
 * `among`, `weighers`, `facts` and `budget`. `policies` as in slotwise_fleet_rank(). `placed` gets `{"outcome", "items", "impossible",
 * "sequence"}`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ARGUMENT for items or rules that contradict each other,
 * SLOTWISE_ERROR_UNKNOWN_HOST, SLOTWISE_ERROR_LIMIT_EXCEEDED, or SLOTWISE_ERROR_POLICY_FAILED where a policy fails and is to fail
 * closed.
 *
 * @param fleet         only read: many threads may use it at the same time
 * @param batch         UTF-8, read during the call
 * @param batch_len     how many bytes `batch` has
 * @param policies      array of handles, which are only read: many threads may use them at the same time
 * @param policies_len  how many elements `policies` has
 * @param placed        result: the caller's, freed with slotwise_string_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_place(const struct slotwise_fleet *fleet,
                              const char *batch,
                              size_t batch_len,
                              struct slotwise_policy *const *policies,
                              size_t policies_len,
                              struct slotwise_string *placed,
                              struct slotwise_error **error);

/**
 * Reserves on a host what a workload needs, if it fits, until `expires`, a time in the caller's own unit.
 *
 * `owner` names who asks and `host` the host, both UTF-8. `outcome` gets a slotwise_outcome; only with
 * SLOTWISE_OUTCOME_FITS anything is reserved. `fit` may be NULL; it gets the answer as JSON.
 *
 * Fails with SLOTWISE_ERROR_ALREADY_EXISTS when the owner has a reservation already, or SLOTWISE_ERROR_UNKNOWN_HOST.
 *
 * @param fleet      changed: the call needs it for itself
 * @param owner      UTF-8, read during the call
 * @param owner_len  how many bytes `owner` has
 * @param host       UTF-8, read during the call
 * @param host_len   how many bytes `host` has
 * @param workload   only read: many threads may use it at the same time
 * @param expires    a value, as said above
 * @param outcome    result
 * @param fit        result: the caller's, freed with slotwise_string_free(); may be NULL
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_reserve(struct slotwise_fleet *fleet,
                                const char *owner,
                                size_t owner_len,
                                const char *host,
                                size_t host_len,
                                const struct slotwise_workload *workload,
                                uint64_t expires,
                                uint32_t *outcome,
                                struct slotwise_string *fit,
                                struct slotwise_error **error);

/**
 * Reserves what slotwise_fleet_place() found for a batch, all of it or nothing, until `expires`, a time in the caller's
 * own unit.
 *
 * `batch` is what slotwise_fleet_place() was asked and `placed` its answer, both as JSON.
 *
 * Fails with SLOTWISE_ERROR_CONFLICT when the fleet changed since, or a host's tags break a rule now, and with
 * SLOTWISE_ERROR_INVALID_ARGUMENT when `placed` is no answer to `batch`. Policies are not asked again.
 *
 * @param fleet       changed: the call needs it for itself
 * @param batch       UTF-8, read during the call
 * @param batch_len   how many bytes `batch` has
 * @param placed      UTF-8, read during the call
 * @param placed_len  how many bytes `placed` has
 * @param expires     a value, as said above
 * @param error       what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_reserve_placed(struct slotwise_fleet *fleet,
                                       const char *batch,
                                       size_t batch_len,
                                       const char *placed,
                                       size_t placed_len,
                                       uint64_t expires,
                                       struct slotwise_error **error);

/**
 * Ends the reservation of `owner`, UTF-8, and gives it: `{"host", "expires"}`.
 *
 * Fails with SLOTWISE_ERROR_UNKNOWN_OWNER.
 *
 * @param fleet        changed: the call needs it for itself
 * @param owner        UTF-8, read during the call
 * @param owner_len    how many bytes `owner` has
 * @param reservation  result: the caller's, freed with slotwise_string_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_release(struct slotwise_fleet *fleet,
                                const char *owner,
                                size_t owner_len,
                                struct slotwise_string *reservation,
                                struct slotwise_error **error);

/**
 * Ends all reservations that expire at `now` or before, and gives their owners in order: a JSON array.
 *
 * Fails only as the conventions say.
 *
 * @param fleet   changed: the call needs it for itself
 * @param now     a value, as said above
 * @param owners  result: the caller's, freed with slotwise_string_free()
 * @param error   what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_expire(struct slotwise_fleet *fleet,
                               uint64_t now,
                               struct slotwise_string *owners,
                               struct slotwise_error **error);

/**
 * Gives the reservations: a JSON object of owner and `{"host", "expires"}`.
 *
 * @param fleet         only read: many threads may use it at the same time
 * @param reservations  result: the caller's, freed with slotwise_string_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_reservations(const struct slotwise_fleet *fleet,
                                     struct slotwise_string *reservations,
                                     struct slotwise_error **error);

/**
 * Says what the fleet will be asked for, in place of what was declared before: `demand` is a JSON array of
 * `{"workload", "weight"}`.
 *
 * Fails with SLOTWISE_ERROR_INVALID_ARGUMENT or SLOTWISE_ERROR_LIMIT_EXCEEDED.
 *
 * @param fleet       changed: the call needs it for itself
 * @param demand      UTF-8, read during the call
 * @param demand_len  how many bytes `demand` has
 * @param error       what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_fleet_declare_demand(struct slotwise_fleet *fleet,
                                       const char *demand,
                                       size_t demand_len,
                                       struct slotwise_error **error);

/**
 * Counts a workload that was asked for into the recent demand, which fades as more is counted.
 *
 * Fails only as the conventions say.
 *
 * @param fleet     changed: the call needs it for itself
 * @param workload  only read: many threads may use it at the same time
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_observe_demand(struct slotwise_fleet *fleet,
                                       const struct slotwise_workload *workload,
                                       struct slotwise_error **error);

/**
 * Gives what the fleet expects to be asked for, what was declared first: a JSON array.
 *
 * @param fleet   only read: many threads may use it at the same time
 * @param demand  result: the caller's, freed with slotwise_string_free()
 * @param error   what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_demand(const struct slotwise_fleet *fleet,
                               struct slotwise_string *demand,
                               struct slotwise_error **error);

/**
 * Gives a number that grows with every change of what any host has free.
 *
 * @param fleet     only read: many threads may use it at the same time
 * @param sequence  result
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_sequence(const struct slotwise_fleet *fleet,
                                 uint64_t *sequence,
                                 struct slotwise_error **error);

/**
 * Gives how many bytes the fleet occupies: a JSON object by what they are for, with their `total`.
 *
 * @param fleet   only read: many threads may use it at the same time
 * @param memory  result: the caller's, freed with slotwise_string_free()
 * @param error   what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_memory(const struct slotwise_fleet *fleet,
                               struct slotwise_string *memory,
                               struct slotwise_error **error);

/**
 * Gives the whole state as versioned, checksummed bytes, reservations and demand included.
 *
 * @param fleet     only read: many threads may use it at the same time
 * @param snapshot  result: the caller's, freed with slotwise_bytes_free()
 * @param error     what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_snapshot(const struct slotwise_fleet *fleet,
                                 struct slotwise_bytes *snapshot,
                                 struct slotwise_error **error);

/**
 * Makes a fleet of `snapshot`, the bytes that slotwise_fleet_snapshot() gave.
 *
 * Fails with SLOTWISE_ERROR_INVALID_SNAPSHOT or SLOTWISE_ERROR_UNSUPPORTED_VERSION.
 *
 * @param snapshot      bytes, read during the call
 * @param snapshot_len  how many bytes `snapshot` has
 * @param restored      result: the caller's, freed with slotwise_fleet_free()
 * @param error         what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_fleet_restore(const uint8_t *snapshot,
                                size_t snapshot_len,
                                struct slotwise_fleet **restored,
                                struct slotwise_error **error);

/**
 * Reads, compiles and configures the policy in the file `path`.
 *
 * `configuration` is handed to the policy as it is, and may be left out. `options` is a JSON object, which may be left out as
 * every key in it: `{"name": "tenants", "limits": {"time_ms": 200, "fuel": null, "memory": 67108864, "table": 20000, "stack":
 * 524288, "result": 16777216, "instances": 8}, "on_failure": "closed" | "open" | {"drop_after": 3}, "keep_instances": false,
 * "cache": "/var/cache/slotwise"}`. The cache of compiled code must be private to this user.
 *
 * Lines of the policy's log, and one line for each kind of its failures, go to the function of slotwise_log_set(), which is
 * then called in a thread of the library while the caller's waits.
 *
 * Fails with SLOTWISE_ERROR_INVALID_POLICY for a component that is no policy, imports anything but its log, does not fit its
 * limits or refuses its configuration, and for a cache that others could write.
 *
 * @param path               UTF-8, read during the call
 * @param path_len           how many bytes `path` has
 * @param configuration      bytes, read during the call
 * @param configuration_len  how many bytes `configuration` has
 * @param options            UTF-8, read during the call
 * @param options_len        how many bytes `options` has
 * @param policy             result: the caller's, freed with slotwise_policy_free()
 * @param error              what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_policy_load(const char *path,
                              size_t path_len,
                              const uint8_t *configuration,
                              size_t configuration_len,
                              const char *options,
                              size_t options_len,
                              struct slotwise_policy **policy,
                              struct slotwise_error **error);

/**
 * Frees a policy; NULL is nothing to free.
 *
 * @param policy  given up: no thread may use it any more; NULL does nothing
 */
void slotwise_policy_free(struct slotwise_policy *policy);

/**
 * Asks which hosts may take a workload.
 *
 * `query` is a JSON object `{"workload": {...}, "facts": {"project_id": "p"}}`, which may be left out as both of its keys.
 * `hosts` is a JSON array of `{"name", "attributes", "pools"}`, of which only the name is needed. `verdicts` gets a JSON array
 * with null for each host that passes, else the reason why not.
 *
 * Fails with SLOTWISE_ERROR_POLICY_FAILED when the policy fails and is to fail closed.
 *
 * @param policy     only read: many threads may use it at the same time
 * @param query      UTF-8, read during the call
 * @param query_len  how many bytes `query` has
 * @param hosts      UTF-8, read during the call
 * @param hosts_len  how many bytes `hosts` has
 * @param verdicts   result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_policy_filter(const struct slotwise_policy *policy,
                                const char *query,
                                size_t query_len,
                                const char *hosts,
                                size_t hosts_len,
                                struct slotwise_string *verdicts,
                                struct slotwise_error **error);

/**
 * Asks how well each host suits a workload.
 *
 * `query` and `hosts` are JSON documents as for slotwise_policy_filter(). `scores` gets a JSON array with a number for each
 * host, more is better.
 *
 * Fails with SLOTWISE_ERROR_POLICY_FAILED where the policy fails and is to fail closed.
 *
 * @param policy     only read: many threads may use it at the same time
 * @param query      UTF-8, read during the call
 * @param query_len  how many bytes `query` has
 * @param hosts      UTF-8, read during the call
 * @param hosts_len  how many bytes `hosts` has
 * @param scores     result: the caller's, freed with slotwise_string_free()
 * @param error      what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_policy_score(const struct slotwise_policy *policy,
                               const char *query,
                               size_t query_len,
                               const char *hosts,
                               size_t hosts_len,
                               struct slotwise_string *scores,
                               struct slotwise_error **error);

/**
 * Asks how gladly each free device of one host is given away; `query` as for slotwise_policy_filter().
 *
 * `devices` is a JSON array of devices, as slotwise_tracker_sync() takes it. `preferences` gets a JSON array with a number for
 * each, of which the highest is taken first.
 *
 * Fails with SLOTWISE_ERROR_POLICY_FAILED where the policy fails and is to fail closed.
 *
 * @param policy       only read: many threads may use it at the same time
 * @param query        UTF-8, read during the call
 * @param query_len    how many bytes `query` has
 * @param devices      UTF-8, read during the call
 * @param devices_len  how many bytes `devices` has
 * @param preferences  result: the caller's, freed with slotwise_string_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL, SLOTWISE_ERROR_INVALID_UTF8 for a text that is not
 */
uint32_t slotwise_policy_prefer(const struct slotwise_policy *policy,
                                const char *query,
                                size_t query_len,
                                const char *devices,
                                size_t devices_len,
                                struct slotwise_string *preferences,
                                struct slotwise_error **error);

/**
 * Describes a policy: `{"name", "scope": ["filter", ...], "limits": {...}, "counters": {"calls", "failed", "failures",
 * "dropped", "log_lines", "log_lines_lost"}}`.
 *
 * @param policy       only read: many threads may use it at the same time
 * @param description  result: the caller's, freed with slotwise_string_free()
 * @param error        what was wrong, if the call fails; the caller's, freed with slotwise_error_free(); may be NULL
 * @return SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL
 */
uint32_t slotwise_policy_describe(const struct slotwise_policy *policy,
                                  struct slotwise_string *description,
                                  struct slotwise_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SLOTWISE_H */
