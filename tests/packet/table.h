// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Tables of packet cases as GoogleTest suites: one test for each row, named as its sentence.

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/packet/case.h"

namespace sluice::packet {

/// Runs one row and reports everything that is not as wanted. On a mismatch both frames are left as
/// a pcapng file whose name the failure tells.
void check(const Case& row);

/// Keeps the rows for the walk over all reasons and for the fuzzer, and returns them.
std::vector<Case> registered(std::vector<Case> rows);
const std::vector<Case>& all_rows();

/// For tests that are no row of a table but provoke a reason.
bool provokes(Reason reason);
const std::set<Reason>& provoked_elsewhere();

/// Appends a frame that left to the file that verify.py judges.
void record(const std::string& name, const Packet& expected, const Bytes& frame, bool inner_sums);

class PacketTable : public testing::TestWithParam<Case> {};

inline void PrintTo(const Case& row, std::ostream* out) {
    *out << row.name;
}

std::string name_of_row(const testing::TestParamInfo<Case>& row);

#define SLC_PACKET_TABLE(suite, rows)    \
    class suite : public PacketTable {}; \
    TEST_P(suite, Row) {                 \
        check(GetParam());               \
    }                                    \
    INSTANTIATE_TEST_SUITE_P(Packets, suite, testing::ValuesIn(registered(rows)), name_of_row)

}  // namespace sluice::packet
