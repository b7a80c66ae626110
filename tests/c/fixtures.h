/* What the program that tries every argument of every function hands over: a new handle of each type, and texts that are
 * valid where `{}` is not. bindings/c/tests/arguments.rs writes that program from slotwise.h; where a handle is missing
 * here it says so.
 *
 * EXAMPLE_name is handed over for every text parameter of that name, EXAMPLE_function_name for that of one function. */
#ifndef SLOTWISE_TESTS_FIXTURES_H
#define SLOTWISE_TESTS_FIXTURES_H

#include "check.h"
#include "slotwise.h"

#define RULE "{\"vendor_id\": \"8086\", \"product_id\": \"1520\", \"physical_network\": \"blue\"}"
#define ALIAS "{\"name\": \"nic\", \"vendor_id\": \"8086\", \"product_id\": \"1520\"}"
#define DEVICE "{\"address\": \"0000:81:00.0\", \"vendor_id\": \"8086\", \"product_id\": \"1520\", \"numa_node\": 0}"

#define EXAMPLE_address "0000:81:00.0"
#define EXAMPLE_changes "[]"
#define EXAMPLE_batch "{\"items\": []}"
#define EXAMPLE_claims "[]"
#define EXAMPLE_delta "{\"base\": 1, \"version\": 2}"
#define EXAMPLE_demand "[]"
#define EXAMPLE_device DEVICE
#define EXAMPLE_devices "[" DEVICE ", {\"address\": \"0000:82:00.0\", \"vendor_id\": \"8086\", \"product_id\": \"1520\"}]"
#define EXAMPLE_entries "[" RULE "]"
#define EXAMPLE_flavor "nic:1"
#define EXAMPLE_format "nova.conf"
#define EXAMPLE_keys "[\"vendor_id\"]"
#define EXAMPLE_lines "[" ALIAS "]"
#define EXAMPLE_slotwise_fleet_load_lines "{\"host\": \"compute-2\", \"pools\": null}"
#define EXAMPLE_host "compute-1"
#define EXAMPLE_name "nic"
#define EXAMPLE_numa_policy "legacy"
#define EXAMPLE_owner "vm-1"
#define EXAMPLE_owners "[\"vm-1\"]"
#define EXAMPLE_pools "[{\"vendor_id\": \"8086\", \"product_id\": \"1520\", \"numa_node\": 0, \"count\": 2}]"
#define EXAMPLE_placed "{\"outcome\": \"placed\", \"items\": [], \"impossible\": [], \"sequence\": 0}"
#define EXAMPLE_rows "[]"
#define EXAMPLE_scope "all"
#define EXAMPLE_tags "{\"rack\": \"r1\"}"
#define EXAMPLE_text "[pci]\ndevice_spec = " RULE "\nalias = " ALIAS "\n"
#define EXAMPLE_workload "{\"requests\": [{\"alternatives\": [{\"vendor_id\": \"8086\"}]}]}"

/* POLICIES is where the example policies were built, CACHE a folder for what they are compiled to. */
#define EXAMPLE_path POLICIES "/avoid-hot-racks.wasm"
#define EXAMPLE_slotwise_policy_load_options "{\"cache\": \"" CACHE "\", \"limits\": {\"time_ms\": 60000, \"instances\": 1}}"
#define EXAMPLE_slotwise_policy_filter_hosts "[{\"name\": \"a\"}]"
#define EXAMPLE_slotwise_policy_score_hosts EXAMPLE_slotwise_policy_filter_hosts

/* A literal as text and length. */
#define LITERAL(text) (text), (sizeof(text) - 1)

static slotwise_specs *make_slotwise_specs(void) {
    slotwise_specs *specs = NULL;
    CHECK(slotwise_specs_parse(LITERAL(EXAMPLE_entries), false, &specs, NULL) == SLOTWISE_OK);
    return specs;
}

static slotwise_aliases *make_slotwise_aliases(void) {
    slotwise_aliases *aliases = NULL;
    CHECK(slotwise_aliases_parse(LITERAL(EXAMPLE_lines), false, &aliases, NULL) == SLOTWISE_OK);
    return aliases;
}

static slotwise_config *make_slotwise_config(void) {
    slotwise_config *config = NULL;
    CHECK(slotwise_config_parse(LITERAL(EXAMPLE_format), LITERAL(EXAMPLE_text), &config, NULL) == SLOTWISE_OK);
    return config;
}

static slotwise_workload *make_slotwise_workload(void) {
    slotwise_workload *workload = NULL;
    CHECK(slotwise_workload_parse(LITERAL(EXAMPLE_workload), &workload, NULL) == SLOTWISE_OK);
    return workload;
}

static slotwise_pools *make_slotwise_pools(void) {
    slotwise_pools *pools = NULL;
    CHECK(slotwise_pools_parse(LITERAL(EXAMPLE_pools), NULL, 0, &pools, NULL) == SLOTWISE_OK);
    return pools;
}

/* Two devices, one of them claimed for vm-1. */
static slotwise_tracker *make_slotwise_tracker(void) {
    slotwise_specs *specs = make_slotwise_specs();
    slotwise_workload *workload = make_slotwise_workload();
    slotwise_tracker *tracker = NULL;
    slotwise_string report;
    uint32_t outcome;
    CHECK(slotwise_tracker_new(specs, NULL, 0, &tracker, NULL) == SLOTWISE_OK);
    CHECK(slotwise_tracker_sync(tracker, LITERAL(EXAMPLE_devices), &report, NULL) == SLOTWISE_OK);
    CHECK(slotwise_tracker_claim(tracker, LITERAL(EXAMPLE_owner), workload, &outcome, NULL, NULL) == SLOTWISE_OK);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS);
    slotwise_string_free(&report);
    slotwise_workload_free(workload);
    slotwise_specs_free(specs);
    return tracker;
}

/* A host with two devices, one of them reserved for vm-1. */
static slotwise_fleet *make_slotwise_fleet(void) {
    slotwise_workload *workload = make_slotwise_workload();
    slotwise_fleet *fleet = NULL;
    slotwise_string update;
    uint32_t outcome;
    CHECK(slotwise_fleet_new(&fleet, NULL) == SLOTWISE_OK);
    CHECK(slotwise_fleet_put(fleet, LITERAL(EXAMPLE_host), LITERAL(EXAMPLE_pools), NULL, 0, NULL, &update, NULL)
          == SLOTWISE_OK);
    CHECK(slotwise_fleet_reserve(
              fleet, LITERAL(EXAMPLE_owner), LITERAL(EXAMPLE_host), workload, 10, &outcome, NULL, NULL)
          == SLOTWISE_OK);
    CHECK(outcome == SLOTWISE_OUTCOME_FITS);
    slotwise_string_free(&update);
    slotwise_workload_free(workload);
    return fleet;
}

static slotwise_policy *make_slotwise_policy(void) {
    slotwise_policy *policy = NULL;
    CHECK(slotwise_policy_load(LITERAL(EXAMPLE_path), NULL, 0, LITERAL(EXAMPLE_slotwise_policy_load_options), &policy, NULL)
          == SLOTWISE_OK);
    return policy;
}

static slotwise_error *make_slotwise_error(void) {
    slotwise_error *error = NULL;
    slotwise_workload *none = NULL;
    CHECK(slotwise_workload_parse("{", 1, &none, &error) == SLOTWISE_ERROR_INVALID_JSON);
    return error;
}

#endif
