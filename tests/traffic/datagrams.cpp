// SPDX-License-Identifier: Apache-2.0
#include "traffic/datagrams.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "traffic/stream.h"

namespace sluice::traffic {

Result<void> Datagrams::begin() {
    flows_.resize(settings_.datagrams);
    for (std::uint64_t i = 0; i < flows_.size(); ++i) {
        Flow& flow = flows_[i];
        const Settings::Tuple tuple = settings_.tuple(Kind::datagrams, i);
        const SocketAddress to(tuple.to);
        flow.fd = SLC_TRY(bound_socket(SOCK_DGRAM, tuple.from), "datagrams");
        flow.start_ns = flow.sent_ns = now_ns();
        flow.seed = flow.start_ns * 0x9e3779b97f4a7c15ull + i;
        // Connected: an answer from another address is not accepted.
        if (::connect(flow.fd.get(), to.get(), to.len) != 0) {
            const int saved = errno;
            return fail(sys_error(saved, "connect " + tuple.text()));
        }
        SLC_CHECK(loop_.watch(flow.fd.get(), first_key_ + i, EPOLLIN), "datagrams");
        loop_.at(flow.start_ns + settings_.interval_ns * i / flows_.size(), first_key_ + i);
        ++report_[Kind::datagrams].begun;
    }
    return {};
}

void Datagrams::judge(Flow& flow, std::uint64_t number, const std::string& backend) {
    Counts& counts = report_[Kind::datagrams];
    OfBackend& of = counts.backends[backend];
    if (flow.backend.empty()) {
        ++counts.opened;
        ++of.opened;
        of.last_start_ns = std::max(of.last_start_ns, flow.start_ns);
    } else if (flow.backend != backend) {
        ++counts.broken;
        ++counts.backends[flow.backend].broken;
        if (report_.troubles.size() < Report::kMaxTroubles)
            report_.troubles.push_back(
                {Kind::datagrams, "datagram " + std::to_string(number) + " answered by " + backend,
                 settings_.tuple(Kind::datagrams, static_cast<std::uint64_t>(&flow - flows_.data()))
                     .text(),
                 flow.backend, flow.start_ns, now_ns()});
    }
    flow.backend = backend;
}

void Datagrams::on_event(std::uint64_t key) {
    Flow& flow = flows_[key - first_key_];
    Counts& counts = report_[Kind::datagrams];
    struct Answer {
        char name[kNameLen];
        Datagram datagram;
    } answer{};
    while (true) {
        const ssize_t got = ::recv(flow.fd.get(), &answer, sizeof answer, 0);
        if (got < 0) return;
        const std::uint64_t at = answer.datagram.number * sizeof answer.datagram.bytes;
        if (got != sizeof answer || answer.datagram.seed != flow.seed ||
            !Stream::down(flow.seed).matches(at, answer.datagram.bytes)) {
            ++counts.corrupt;
            continue;
        }
        ++counts.rounds;
        counts.down_bytes += static_cast<std::uint64_t>(got);
        if (answer.datagram.number < flow.judged_from) continue;
        judge(flow, answer.datagram.number, {answer.name, ::strnlen(answer.name, kNameLen)});
    }
}

void Datagrams::on_time(std::uint64_t key) {
    Flow& flow = flows_[key - first_key_];
    Counts& counts = report_[Kind::datagrams];
    const std::uint64_t now = now_ns();
    Datagram datagram{flow.seed, flow.number, {}};
    Stream(flow.seed).fill(flow.number * sizeof datagram.bytes, datagram.bytes);
    if (::send(flow.fd.get(), &datagram, sizeof datagram, MSG_NOSIGNAL) == sizeof datagram) {
        ++flow.number;
        ++sent_;
        counts.up_bytes += sizeof datagram;
    }
    if (now_ns() - flow.sent_ns >= settings_.idle_datagrams_ns) {
        // Held up for too long to prove anything: whoever answers now is its backend.
        ++counts.overslept;
        flow.backend.clear();
        flow.judged_from = flow.number - 1;
    }
    flow.sent_ns = now;
    counts.lost = sent_ - std::min(sent_, counts.rounds);
    loop_.at(now + settings_.interval_ns, key);
}

}  // namespace sluice::traffic
