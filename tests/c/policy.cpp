// Policies through the C++ layer. POLICIES is where the examples were built.

#include <string>
#include <type_traits>

#include "check.h"
#include "slotwise.hpp"

namespace {

const char HOSTS[] = R"([{"name": "a", "attributes": {"inlet_celsius": 22}}, {"name": "b", "attributes": {"inlet_celsius": 33}}])";
const char WORKLOAD[] = R"({"requests": [{"alternatives": [{"product_id": "1018"}]}]})";
const char NARROW[] = R"({"address": "0000:01:00.0", "vendor_id": "15b3", "product_id": "1018",
                          "extra_info": {"current_link_width": "1", "max_link_width": "16"}})";
const char WIDE[] = R"({"address": "0000:02:00.0", "vendor_id": "15b3", "product_id": "1018"})";

bool holds(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

void hosts_are_refused_and_scored() {
    static_assert(std::is_nothrow_move_constructible_v<slotwise::Policy>);
    static_assert(!std::is_copy_constructible_v<slotwise::Policy>);
    const auto hot = slotwise::Policy::load(
        POLICIES "/avoid-hot-racks.wasm", "refuse_over=32 prefer_below=20", R"({"name": "hot"})");
    CHECK(holds(hot.filter(HOSTS), "[null,\"policy hot: the air inlet has 33"));
    CHECK(hot.score(HOSTS, R"({"facts": {"project_id": "p"}})") == "[-2.0,-13.0]");
    CHECK(holds(hot.describe(), "\"name\":\"hot\""));

    slotwise::Fleet fleet;
    const char *const pools = R"([{"vendor_id": "15b3", "product_id": "1018", "count": 4}])";
    fleet.put("a", pools);
    fleet.put("b", pools);
    fleet.set_tags("b", R"({"inlet_celsius": "33"})");
    const auto workload = slotwise::Workload::parse(WORKLOAD);
    CHECK(fleet.filter(workload) == slotwise::Fleet::Hosts{3});
    CHECK(fleet.filter(workload, {hot.get()}) == slotwise::Fleet::Hosts{1});
}

void devices_are_ordered() {
    const auto narrow = slotwise::Policy::load(POLICIES "/narrow-links-last.wasm");
    const std::string devices = std::string("[") + NARROW + "," + WIDE + "]";
    CHECK(holds(narrow.prefer(devices), ","));
    slotwise::Tracker tracker(slotwise::Specs::parse(R"([{"vendor_id": "15b3"}])"));
    tracker.sync(devices);
    const auto ordered = tracker.prefer(slotwise::Workload::parse(WORKLOAD), {narrow.get()});
    CHECK(holds(tracker.claim("vm", ordered).json, "0000:02:00.0"));
}

void what_is_no_policy_is_refused() {
    try {
        slotwise::Policy::load("no/such.wasm");
        CHECK(false);
    } catch (const slotwise::Error &error) {
        CHECK(error.code() == SLOTWISE_ERROR_INVALID_POLICY && holds(error.what(), "no/such.wasm"));
    }
}

} // namespace

int main() try {
    hosts_are_refused_and_scored();
    devices_are_ordered();
    what_is_no_policy_is_refused();
    std::printf("policy.cpp: %u checks\n", checks);
    return 0;
} catch (const slotwise::Error &error) {
    std::fprintf(stderr, "policy.cpp: %s\n", error.what());
    return 1;
}
