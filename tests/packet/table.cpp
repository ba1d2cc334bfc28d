// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/packet/pcap.h"
#include "tests/packet/report.h"
#include "tests/packet/twin_check.h"

namespace sluice::packet {
namespace {

std::vector<Case>& rows_kept() {
    static std::vector<Case> rows;
    return rows;
}

std::set<Reason>& reasons_kept() {
    static std::set<Reason> reasons;
    return reasons;
}

/// enum slc_famproto by what the layers say, or nothing where they say it in no simple way.
std::optional<std::uint32_t> famproto_of(const Packet& packet) {
    std::optional<bool> six;
    std::optional<std::uint8_t> stated;
    for (const Layer& layer : packet.layers) {
        if (const auto* ip = std::get_if<Ip4>(&layer); ip != nullptr && !six) {
            six = false;
            stated = ip->proto;
        } else if (std::holds_alternative<Ip6>(layer) && !six) {
            six = true;
        } else if (six && std::holds_alternative<Tcp>(layer)) {
            return *six ? SLC_FAMPROTO_IP6_TCP : SLC_FAMPROTO_IP4_TCP;
        } else if (six && std::holds_alternative<Udp>(layer)) {
            return *six ? SLC_FAMPROTO_IP6_UDP : SLC_FAMPROTO_IP4_UDP;
        } else if (six && std::holds_alternative<Icmp>(layer)) {
            return *six ? SLC_FAMPROTO_IP6_ICMP : SLC_FAMPROTO_IP4_ICMP;
        } else if (six && !std::holds_alternative<Extension>(layer) &&
                   !std::holds_alternative<Fragment6>(layer)) {
            return {};
        }
        if (stated) return {};
    }
    return {};
}

std::string text_of(const std::vector<ReasonMove>& moves) {
    std::string out;
    for (const ReasonMove& move : moves)
        out += fmt::format("{}[{}] +{} packets +{} bytes; ", label_of(move.reason), move.famproto,
                           move.packets, move.bytes);
    return out.empty() ? "none" : out;
}

std::string text_of(const std::vector<Moved>& moves) {
    std::string out;
    for (const Moved& move : moves) out += fmt::format("{} +{}; ", move.name, move.packets);
    return out.empty() ? "none" : out;
}

/// One reason, one packet, all bytes of the frame.
void check_reason(const Case& row, const Outcome& got, std::size_t size) {
    ASSERT_EQ(got.reasons.size(), 1U) << "reasons: " << text_of(got.reasons);
    const ReasonMove& move = got.reasons.front();
    EXPECT_EQ(label_of(move.reason), std::string(label_of(row.want.reason)));
    EXPECT_EQ(move.packets, 1U);
    EXPECT_EQ(move.bytes, size);
    const bool read = row.want.verdict == Verdict::tx || row.want.verdict == Verdict::redirect;
    if (const auto famproto = famproto_of(row.in); famproto && read) {
        EXPECT_EQ(move.famproto, *famproto) << "family and protocol";
    }
}

void check_service(const Case& row, const Outcome& got, std::size_t size) {
    if (row.service.empty()) {
        EXPECT_LE(got.services.size(), 1U) << text_of(got.services);
        return;
    }
    ASSERT_EQ(got.services.size(), 1U) << "services: " << text_of(got.services);
    const Moved& move = got.services.front();
    const bool dropped = row.want.verdict == Verdict::drop;
    EXPECT_EQ(move.name, row.service);
    EXPECT_EQ(move.packets, 1U);
    EXPECT_EQ(move.bytes, size);
    EXPECT_EQ(move.dropped_packets, dropped ? 1U : 0U);
    EXPECT_EQ(move.dropped_bytes, dropped ? size : 0U);
}

void check_backend(const Case& row, const Outcome& got, std::size_t size) {
    if (row.backend.empty()) {
        EXPECT_LE(got.backends.size(), 1U) << text_of(got.backends);
        return;
    }
    ASSERT_EQ(got.backends.size(), 1U) << "backends: " << text_of(got.backends);
    EXPECT_EQ(got.backends.front().name, row.backend);
    EXPECT_EQ(got.backends.front().packets, 1U);
    EXPECT_EQ(got.backends.front().bytes, size);
}

/// Leaves the wanted frame and the one that came where a person can open them.
std::string leave_behind(const std::string& name, const Bytes& in, const Bytes& want,
                         const Bytes& got) {
    const std::string path = std::string(SLUICE_PACKET_OUT) + "/failed_" + name + ".pcapng";
    auto file = PcapWriter::open(path);
    if (!file) return "(not written: " + file.error().what + ")";
    file->write(in, "sent");
    file->write(want, "wanted");
    file->write(got, "came");
    return path;
}

void check_frame(const Case& row, const Bytes& in, const Bytes& want, const Outcome& got) {
    if (row.want.verdict == Verdict::drop) return;  // what is left of a dropped frame is nobody's
    if (want == got.run.frame) return;
    ADD_FAILURE() << diff(want, got.run.frame) << "see "
                  << leave_behind(row.name, in, want, got.run.frame);
}

}  // namespace

void check(const Case& row) {
    Bench& bench = bench_for(row.config);
    bench.reset_state();
    if (row.prepare) row.prepare(bench);
    const Bytes in = row.in.bytes();
    const auto twin = answer_of_twin(bench, row);
    for (const Packet& packet : row.before) (void)bench.run(packet.bytes());
    const auto explained = explanation(bench, in);
    const Outcome got = bench.run(in);

    const std::optional<Flow> flow = row.flow ? row.flow : flow_of(row.in);
    const std::uint64_t hash = flow ? bench.hash_of(*flow, bench.affinity_of(row.service)) : 0;
    const Bytes want = row.want.frame ? row.want.frame->bytes(hash) : in;

    EXPECT_EQ(name_of(got.run.verdict), std::string(name_of(row.want.verdict)))
        << "reasons: " << text_of(got.reasons);
    check_reason(row, got, in.size());
    check_service(row, got, in.size());
    check_backend(row, got, in.size());
    EXPECT_EQ(got.counts, row.counts) << "counted " << text_of(got.counts);
    check_frame(row, in, want, got);
    check_sample(bench, in, got.run);
    check_twin(bench, twin, got.run);
    check_explanation(bench, row, explained, got.run);
    if (row.want.frame && got.run.verdict != Verdict::drop)
        record(row.name, *row.want.frame, got.run.frame, row.inner_sums);
}

void record(const std::string& name, const Packet& expected, const Bytes& frame, bool inner_sums) {
    static auto file = PcapWriter::open(std::string(SLUICE_PACKET_OUT) + "/sent.pcapng");
    ASSERT_TRUE(file) << file.error().what;
    file->write(frame, note_of(name, expected, inner_sums));
    ASSERT_TRUE(file->ok());
}

std::vector<Case> registered(std::vector<Case> rows) {
    rows_kept().insert(rows_kept().end(), rows.begin(), rows.end());
    return rows;
}

const std::vector<Case>& all_rows() {
    return rows_kept();
}

std::string name_of_row(const testing::TestParamInfo<Case>& row) {
    return row.param.name;
}

bool provokes(Reason reason) {
    return reasons_kept().insert(reason).second;
}

const std::set<Reason>& provoked_elsewhere() {
    return reasons_kept();
}

}  // namespace sluice::packet
