// SPDX-License-Identifier: Apache-2.0

/// The short form: mutations of the corpus from a fixed seed, the same on every machine and with
/// every compiler. Usage: config_mutations COUNT FILE...

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/config_fuzz.h"

namespace {

/// splitmix64 (Steele et al. 2014): standard distributions differ between libraries.
class Random {
 public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::size_t below(std::size_t limit) {
        state_ += 0x9e3779b97f4a7c15u;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        return static_cast<std::size_t>((mixed ^ (mixed >> 31)) % limit);
    }

 private:
    std::uint64_t state_;
};

/// Pieces that change the meaning of a configuration more often than single bytes do.
const std::vector<std::string> kPieces = {
    "version: 1\n",
    "version: 2\n",
    "tests:\n",
    "sequence:\n",
    "packet: tcp 192.0.2.1:1 > 192.0.2.10:80 syn",
    "expect: {backend: same}",
    "expect: {verdict: forward, service: web, backend: 10.0.0.5}",
    "pcap: a.pcap",
    "frame: 1",
    "after: 250ms",
    "proof: {max_moved: 0.5%}",
    "sampling: 64",
    "keep_generations: 0",
    "node:\n",
    "groups:\n",
    "services:\n",
    "protected:\n",
    "- ",
    "  ",
    "\n",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "| ",
    "> ",
    "? ",
    "---\n",
    "...\n",
    "~",
    "null",
    "0",
    "1",
    "65535",
    "65536",
    "99999999999",
    "-1",
    "any",
    "80-90",
    "local",
    "l2",
    "both",
    "group: web",
    "backends: []",
    "vip: 192.0.2.1",
    "192.0.2.10",
    "10.0.0.5",
    "2001:db8::1",
    "::ffff:1.2.3.4",
    "/0",
    "/32",
    "/129",
    "weight: 0",
    "state: drain",
    "state: down",
    "server_id: 7",
    "server_id: 0x0a0b0c",
    "route_by: katran",
    "route_by: {quic-lb: {server_id_length: 2}}",
    "tracking: never",
    "lifetimes: {udp: 1m30s}",
    "deadline: 1h",
    "on_down: keep",
    "flows: {share: 60%, ceiling: 70%}",
    "flows: {entries: 513}",
    "99999999999999999999d",
    "pass",
    "\t",
    "\r\n",
    std::string(1, '\0'),
    "\x04",
    "\x7f",
    "\xc3\xbc",
    "\xff",
    "\xef\xbb\xbf",
    "\\x1b",
    "<<: *a",
    "%YAML 1.2\n",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
};

class Mutator {
 public:
    Mutator(std::vector<std::string> corpus, std::uint64_t seed)
        : corpus_(std::move(corpus)), random_(seed) {}

    std::string next() {
        std::string text = corpus_[random_.below(corpus_.size())];
        const std::size_t steps = random_.below(6);
        for (std::size_t i = 0; i < steps; ++i) mutate(text);
        return text;
    }

 private:
    void mutate(std::string& text) {
        const std::size_t at = random_.below(text.size() + 1);
        const std::size_t length = random_.below(40);
        switch (random_.below(8)) {
            case 0:  // Flip a bit.
                if (at < text.size())
                    text[at] = static_cast<char>(text[at] ^ (1 << random_.below(8)));
                break;
            case 1:  // Drop a few bytes.
                text.erase(at, random_.below(8));
                break;
            case 2:  // Cut off the rest.
                if (random_.below(4) == 0) text.resize(at);
                break;
            case 3:  // Repeat a stretch somewhere else.
                text.insert(random_.below(text.size() + 1), text.substr(at, length));
                break;
            case 4:  // A line again: repeated keys, doubles, overlaps.
                repeat_line(text, at);
                break;
            case 5: {  // A stretch of another file.
                const std::string& other = corpus_[random_.below(corpus_.size())];
                text.insert(at, other.substr(random_.below(other.size() + 1), length * 4));
                break;
            }
            default:
                text.insert(at, kPieces[random_.below(kPieces.size())]);
        }
    }

    static void repeat_line(std::string& text, std::size_t at) {
        if (text.empty()) return;
        const std::size_t before = text.rfind('\n', at == 0 ? 0 : at - 1);
        const std::size_t first = before == std::string::npos ? 0 : before + 1;
        const std::size_t end = std::min(text.find('\n', at), text.size() - 1);
        if (first <= end) text.insert(first, text.substr(first, end + 1 - first));
    }

    std::vector<std::string> corpus_;
    Random random_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s COUNT FILE...\n", argv[0]);
        return 64;
    }
    std::vector<std::string> corpus;
    for (int i = 2; i < argc; ++i) {
        std::ifstream in(argv[i], std::ios::binary);
        if (!in.is_open()) {
            std::fprintf(stderr, "error: cannot open %s\n", argv[i]);
            return 1;
        }
        corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    for (const std::string& text : corpus) sluice::fuzz::check_config(text);
    const long count = std::strtol(argv[1], nullptr, 10);
    Mutator mutator(corpus, 0x5eed);
    for (long i = 0; i < count; ++i) sluice::fuzz::check_config(mutator.next());
    std::printf("%ld mutations of %zu texts hold\n", count, corpus.size());
    return 0;
}
