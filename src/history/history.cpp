// SPDX-License-Identifier: Apache-2.0
#include "history/history.h"

#include <algorithm>
#include <array>

#include "history/sqlite.h"

namespace sluice::history {
namespace {

constexpr std::int64_t kApplicationId = 0x534c4348;  ///< "SLCH", in the header of the file.
constexpr std::int64_t kSchema = 1;

/// Equal texts are kept once: a rollback writes one small row.
constexpr const char* kCreate = R"(
CREATE TABLE texts (
    digest TEXT PRIMARY KEY NOT NULL,
    text   TEXT NOT NULL
) STRICT;
CREATE TABLE generations (
    generation  INTEGER PRIMARY KEY AUTOINCREMENT,
    base        INTEGER NOT NULL,
    restores    INTEGER NOT NULL,
    digest      TEXT NOT NULL REFERENCES texts (digest),
    file        TEXT NOT NULL,
    file_digest TEXT NOT NULL,
    author      TEXT NOT NULL,
    message     TEXT NOT NULL,
    road        TEXT NOT NULL DEFAULT '',
    at_us       INTEGER NOT NULL,
    ended_us    INTEGER,
    confirm_us  INTEGER,
    outcome     TEXT NOT NULL DEFAULT 'applying',
    error       TEXT NOT NULL DEFAULT ''
) STRICT;
PRAGMA application_id = 0x534c4348;
PRAGMA user_version = 1;
)";

/// The columns of record_of(), in order; `text` is the last.
#define SLC_COLUMNS                                                                        \
    "SELECT generation, base, restores, digest, file, file_digest, author, message, road," \
    " at_us, ended_us, confirm_us, outcome, error"
constexpr const char* kList = SLC_COLUMNS " FROM generations ORDER BY generation DESC LIMIT ?";
constexpr const char* kGet =
    SLC_COLUMNS ", text FROM generations JOIN texts USING (digest) WHERE generation = ?";
constexpr const char* kInForce = SLC_COLUMNS
    ", text FROM generations JOIN texts USING (digest) WHERE outcome IN ('in_force', 'awaiting')"
    " ORDER BY generation DESC LIMIT 1";
constexpr const char* kUnfinished = SLC_COLUMNS
    ", text FROM generations JOIN texts USING (digest) WHERE outcome = 'applying'"
    " ORDER BY generation";
#undef SLC_COLUMNS

constexpr std::array kOutcomes = {Outcome::applying, Outcome::in_force, Outcome::awaiting,
                                  Outcome::replaced, Outcome::undone,   Outcome::refused,
                                  Outcome::canary,   Outcome::withdrawn};

std::int64_t micros_of(WallTime time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

std::optional<std::int64_t> micros_of(const std::optional<WallTime>& time) {
    if (!time) return std::nullopt;
    return micros_of(*time);
}

std::optional<WallTime> time_of(const Statement& row, int column) {
    if (row.is_null(column)) return std::nullopt;
    return WallTime(std::chrono::duration_cast<WallTime::duration>(
        std::chrono::microseconds(row.number(column))));
}

Result<Record> record_of(const Statement& row, const Connection& connection, bool with_text) {
    Record out;
    out.generation = static_cast<std::uint32_t>(row.number(0));
    out.base = static_cast<std::uint32_t>(row.number(1));
    out.restores = static_cast<std::uint32_t>(row.number(2));
    out.digest = row.text(3);
    out.file = row.text(4);
    out.file_digest = row.text(5);
    out.author = row.text(6);
    out.message = row.text(7);
    out.road = row.text(8);
    out.at = time_of(row, 9).value_or(WallTime{});
    out.ended = time_of(row, 10);
    out.confirm_by = time_of(row, 11);
    out.error = row.text(13);
    if (with_text) out.text = row.text(14);
    const std::string outcome = row.text(12);
    for (const Outcome known : kOutcomes) {
        if (outcome != name_of(known)) continue;
        out.outcome = known;
        return out;
    }
    return fail(connection.not_ours("generation " + std::to_string(out.generation) +
                                    " has an outcome that this sluice does not know"));
}

Result<void> check_version(const Connection& connection) {
    const std::int64_t id = SLC_TRY(connection.number("PRAGMA application_id"), "version");
    const std::int64_t version = SLC_TRY(connection.number("PRAGMA user_version"), "version");
    if (id != kApplicationId)
        return fail(connection.not_ours("it is a database, but not a history of Sluice"));
    if (version > kSchema)
        return fail(Errc::unsupported,
                    "history " + connection.path() + ": version " + std::to_string(version) +
                        " is newer than this sluice, which reads " + std::to_string(kSchema),
                    "start the sluiced that wrote it, or a later one");
    if (version < 1) return fail(connection.not_ours("it says no version"));
    return {};
}

Result<void> create(Connection& connection) {
    Transaction transaction = SLC_TRY(Transaction::begin(connection), "create");
    SLC_CHECK(connection.run(kCreate), "create");
    return transaction.commit();
}

/// The statements are right for tables of this version: what they cannot find is missing.
Result<void> check_tables(const Connection& connection) {
    for (const char* sql : {kList, kGet, kInForce, kUnfinished})
        if (auto statement = Statement::prepare(connection, sql); !statement)
            return fail(std::move(statement).error());
    return {};
}

bool takes_effect(Outcome outcome) {
    return outcome == Outcome::in_force || outcome == Outcome::awaiting;
}

}  // namespace

struct History::Database {
    Connection connection;

    /// Rows of a statement whose parameters are bound.
    Result<std::vector<Record>> records(Statement& statement, bool with_text) const {
        std::vector<Record> out;
        while (SLC_TRY(statement.step(), "list"))
            out.push_back(SLC_TRY(record_of(statement, connection, with_text), "list"));
        return out;
    }
};

History::History(std::unique_ptr<Database> database) : database_(std::move(database)) {}
History::History(History&&) noexcept = default;
History& History::operator=(History&&) noexcept = default;
History::~History() = default;

const char* name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::applying:
            return "applying";
        case Outcome::in_force:
            return "in_force";
        case Outcome::awaiting:
            return "awaiting";
        case Outcome::replaced:
            return "replaced";
        case Outcome::undone:
            return "undone";
        case Outcome::refused:
            return "refused";
        case Outcome::canary:
            return "canary";
        case Outcome::withdrawn:
            return "withdrawn";
    }
    return "?";
}

Result<History> History::open(const std::string& path) {
    auto database = std::make_unique<Database>(Database{SLC_TRY(Connection::open(path), "open")});
    Connection& connection = database->connection;
    // Nothing is written before it is known whose file this is.
    const bool is_empty =
        SLC_TRY(connection.number("SELECT count(*) FROM sqlite_schema"), "open") == 0;
    if (!is_empty) SLC_CHECK(check_version(connection), "open");
    SLC_CHECK(connection.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                             "PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 16777216"),
              "open");
    if (is_empty) SLC_CHECK(create(connection), "open");
    SLC_CHECK(check_tables(connection), "open");
    return History(std::move(database));
}

Result<std::uint32_t> History::begin(const Begin& what, std::uint32_t least) {
    Connection& connection = database_->connection;
    Transaction transaction = SLC_TRY(Transaction::begin(connection), "begin");
    Statement known =
        SLC_TRY(Statement::prepare(connection, "SELECT 1 FROM texts WHERE digest = ?"), "begin");
    if (!SLC_TRY(known.bind(what.digest).step(), "begin")) {
        Statement text = SLC_TRY(
            Statement::prepare(connection, "INSERT INTO texts (digest, text) VALUES (?, ?)"),
            "begin");
        SLC_CHECK(text.bind(what.digest).bind(what.text).run(), "begin");
    }
    const std::int64_t last =
        SLC_TRY(connection.number("SELECT coalesce(max(seq), 0) FROM sqlite_sequence"), "begin");
    const auto generation = static_cast<std::uint32_t>(std::max<std::int64_t>(last, least) + 1);
    Statement row = SLC_TRY(
        Statement::prepare(connection,
                           "INSERT INTO generations (generation, base, restores, digest, file,"
                           " file_digest, author, message, at_us, confirm_us)"
                           " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        "begin");
    row.bind(std::int64_t{generation}).bind(std::int64_t{what.base});
    row.bind(std::int64_t{what.restores}).bind(what.digest).bind(what.file);
    row.bind(what.file_digest).bind(what.author).bind(what.message);
    row.bind(micros_of(std::chrono::system_clock::now())).bind(micros_of(what.confirm_by));
    SLC_CHECK(row.run(), "begin");
    SLC_CHECK(transaction.commit(), "begin");
    return generation;
}

Result<void> History::finish(std::uint32_t generation, Outcome outcome, std::string_view road,
                             std::string_view error) {
    Connection& connection = database_->connection;
    Transaction transaction = SLC_TRY(Transaction::begin(connection), "finish");
    if (takes_effect(outcome)) {
        Statement others = SLC_TRY(
            Statement::prepare(connection,
                               "UPDATE generations SET outcome = 'replaced'"
                               " WHERE outcome IN ('in_force', 'awaiting') AND generation <> ?"),
            "finish");
        SLC_CHECK(others.bind(std::int64_t{generation}).run(), "finish");
    }
    Statement row =
        SLC_TRY(Statement::prepare(connection,
                                   "UPDATE generations SET outcome = ?1, ended_us = ?2,"
                                   " road = iif(?3 = '', road, ?3), error = iif(?4 = '', error, ?4)"
                                   " WHERE generation = ?5"),
                "finish");
    row.bind(std::string_view(name_of(outcome)));
    row.bind(micros_of(std::chrono::system_clock::now())).bind(road).bind(error);
    if (SLC_TRY(row.bind(std::int64_t{generation}).run(), "finish") == 0)
        return fail(Errc::not_found, "no generation " + std::to_string(generation));
    return transaction.commit();
}

Result<void> History::confirm(std::uint32_t generation) {
    Statement row =
        SLC_TRY(Statement::prepare(
                    database_->connection,
                    "UPDATE generations SET outcome = 'in_force', confirm_us = NULL"
                    " WHERE generation = ? AND outcome IN ('in_force', 'awaiting', 'applying')"),
                "confirm");
    if (SLC_TRY(row.bind(std::int64_t{generation}).run(), "confirm") == 0)
        return fail(Errc::not_found,
                    "generation " + std::to_string(generation) + " waits for no confirmation");
    return {};
}

Result<std::vector<Record>> History::list(std::uint32_t limit) const {
    Statement rows = SLC_TRY(Statement::prepare(database_->connection, kList), "list");
    rows.bind(std::int64_t{limit});
    return database_->records(rows, false);
}

Result<Record> History::get(std::uint32_t generation) const {
    Statement row = SLC_TRY(Statement::prepare(database_->connection, kGet), "get");
    row.bind(std::int64_t{generation});
    if (!SLC_TRY(row.step(), "get"))
        return fail(Errc::not_found, "no generation " + std::to_string(generation),
                    "sluice config history lists them");
    return record_of(row, database_->connection, true);
}

Result<std::optional<Record>> History::in_force() const {
    Statement row = SLC_TRY(Statement::prepare(database_->connection, kInForce), "get");
    if (!SLC_TRY(row.step(), "get")) return std::optional<Record>();
    return std::optional<Record>(SLC_TRY(record_of(row, database_->connection, true), "get"));
}

Result<std::vector<Record>> History::unfinished() const {
    Statement rows = SLC_TRY(Statement::prepare(database_->connection, kUnfinished), "list");
    return database_->records(rows, true);
}

Result<void> History::prune(std::uint32_t keep) {
    Connection& connection = database_->connection;
    Transaction transaction = SLC_TRY(Transaction::begin(connection), "prune");
    Statement rows = SLC_TRY(
        Statement::prepare(
            connection,
            "DELETE FROM generations WHERE generation IN (SELECT generation FROM generations"
            " WHERE outcome NOT IN ('applying', 'in_force', 'awaiting', 'canary')"
            " ORDER BY generation DESC LIMIT -1 OFFSET ?)"),
        "prune");
    SLC_CHECK(rows.bind(std::int64_t{keep}).run(), "prune");
    SLC_CHECK(
        connection.run("DELETE FROM texts WHERE digest NOT IN (SELECT digest FROM generations)"),
        "prune");
    return transaction.commit();
}

}  // namespace sluice::history
