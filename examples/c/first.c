/* Rules, a claim, and what to write. */
#include <slotwise.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static slotwise_error *error;

static void check(uint32_t code) {
    if (code != SLOTWISE_OK) {
        fprintf(stderr, "%s\n", slotwise_error_text(error));
        exit(1);
    }
}

int main(void) {
    /* The operator's rules and names, as in Nova's [pci]device_spec and [pci]alias. */
    const char *rules = "[{\"vendor_id\": \"15b3\", \"product_id\": \"101e\", \"physical_network\": \"blue\"}]";
    /* A physical function with three virtual ones, and a workload that wants two. */
    const char *devices =
        "[{\"address\": \"0000:3b:00.0\", \"vendor_id\": \"15b3\", \"product_id\": \"101d\", \"dev_type\": \"type-PF\"},"
        " {\"address\": \"0000:3b:00.2\", \"vendor_id\": \"15b3\", \"product_id\": \"101e\", \"dev_type\": \"type-VF\","
        "  \"parent_addr\": \"0000:3b:00.0\"},"
        " {\"address\": \"0000:3b:00.3\", \"vendor_id\": \"15b3\", \"product_id\": \"101e\", \"dev_type\": \"type-VF\","
        "  \"parent_addr\": \"0000:3b:00.0\"},"
        " {\"address\": \"0000:3b:00.4\", \"vendor_id\": \"15b3\", \"product_id\": \"101e\", \"dev_type\": \"type-VF\","
        "  \"parent_addr\": \"0000:3b:00.0\"}]";
    const char *wanted = "{\"requests\": [{\"count\": 2, \"alternatives\": [{\"vendor_id\": \"15b3\", "
                         "\"product_id\": \"101e\", \"dev_type\": \"type-VF\"}]}]}";

    slotwise_specs *specs;
    slotwise_tracker *host;
    slotwise_workload *two_nics;
    slotwise_string report;
    check(slotwise_specs_parse(rules, strlen(rules), false, &specs, &error));
    check(slotwise_tracker_new(specs, NULL, 0, &host, &error));
    check(slotwise_tracker_sync(host, devices, strlen(devices), &report, &error));
    check(slotwise_workload_parse(wanted, strlen(wanted), &two_nics, &error));

    const char *owners[] = {"vm-1", "vm-2"};
    for (int i = 0; i < 2; i++) {
        uint32_t outcome;
        slotwise_string fit;
        check(slotwise_tracker_claim(host, owners[i], strlen(owners[i]), two_nics, &outcome, &fit, &error));
        printf("%s: %s\n", owners[i], outcome == SLOTWISE_OUTCOME_FITS ? fit.data : "does not fit");
        slotwise_string_free(&fit);
    }

    slotwise_string_free(&report);
    slotwise_workload_free(two_nics);
    slotwise_tracker_free(host);
    slotwise_specs_free(specs);
    return 0;
}
