// SPDX-License-Identifier: Apache-2.0
//
// What the fake node says of a packet: by its destination port, or that it is ICMP.
#include "packet/notation.h"
#include "tests/cli/fake_observation.h"

namespace sluice::test {
namespace {

using control::Walk;

bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

Walk forwarded(const std::string& backend) {
    Walk out;
    out.verdict = "redirect";
    out.stage = "forward";
    out.reason = "forwarded";
    out.text = "sent to the backend that the ring chose";
    out.service = "web";
    out.group = "web";
    out.customer = "acme";
    out.backend = "web/" + backend;
    out.encapsulation = "ipip";
    out.egress = "eth1";
    out.hash = 0x0123456789abcdefULL;
    out.slot = 17;
    out.steps = {{"service", "192.0.2.10 is a VIP"},
                 {"service", "TCP port 443 is service web, by that very port"},
                 {"pick", "the 5-tuple hashes to 0123456789abcdef, slot 17 of 256"},
                 {"forward", "to web/" + backend + " by IP in IP"},
                 {"exit", "sent out of eth1: " + out.text}};
    out.out = *packet::build("ipip 10.255.0.1 > " + backend +
                             " { tcp 198.51.100.7:1234 > 192.0.2.10:443 syn }");
    out.out_text = packet::describe(out.out);
    return out;
}

Walk refused() {
    Walk out;
    out.verdict = "drop";
    out.stage = "service";
    out.reason = "no_such_port";
    out.text = "VIP without a service on that protocol and port";
    out.remedy = "add a service, or set unmatched: pass";
    out.steps = {{"service", "192.0.2.10 is a VIP; no service of it takes TCP port 81"},
                 {"exit", "dropped: " + out.text}};
    return out;
}

Walk answered(const std::vector<std::uint8_t>& frame) {
    Walk out;
    out.verdict = "tx";
    out.stage = "icmp";
    out.reason = "echo_replied";
    out.text = "echo request to a VIP answered";
    out.egress = "eth0";
    out.steps = {{"icmp", "an echo request: it is answered here, and no backend is asked"},
                 {"exit", "sent out of eth0: " + out.text}};
    out.out = frame;
    out.out_text = "icmp 192.0.2.10 > 198.51.100.7 echo-reply";
    out.assumptions = {"rate: fewer than 1000 answers a second"};
    return out;
}

void put_begin(Walk& walk, std::uint32_t generation, const std::string& entry) {
    walk.generation = generation;
    walk.steps.insert(walk.steps.begin(), control::ExplanationStep{"entry", entry});
}

}  // namespace

Result<control::Explanation> FakeObservation::explain(const control::ExplanationRequest& request) {
    control::Explanation out;
    out.packet = packet::describe(request.frame);
    out.frame = request.frame;
    out.interface = request.interface.empty() ? "eth0" : request.interface;
    if (out.interface == "eth9")
        return fail(Errc::not_found, "no interface eth9",
                    "sluice node show lists those of this node");
    out.now = has(out.packet, "icmp ")  ? answered(request.frame)
              : has(out.packet, ":81 ") ? refused()
                                        : forwarded("10.0.0.5");
    put_begin(out.now, 3, "received by " + out.interface + "; generation 3 takes it");
    if (request.against.empty()) return out;
    const bool is_same = has(request.against, "# nothing-new");
    out.planned = is_same ? out.now : forwarded("10.0.0.6");
    if (is_same) out.planned->steps.erase(out.planned->steps.begin());
    put_begin(*out.planned, 0, "the planned configuration takes it");
    out.differences = proof::differences(out.now, *out.planned);
    return out;
}

}  // namespace sluice::test
