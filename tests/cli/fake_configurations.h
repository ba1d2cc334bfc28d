// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a fixed node answers about configurations. A text says itself what becomes of it, by the
/// words that are in it:
///   "nothing-new"   no change            "fails"   two of its tests do not hold
///   "far"           too much would move  "broken"  it is no configuration
/// Any other is four changes by all roads.

#include <string>
#include <vector>

#include "control/configurations.h"

namespace sluice::test {

enum class Waiting {
    nothing,
    confirmation,  ///< Generation 3 is in force until it is confirmed.
    canary,        ///< Generation 4 is a canary.
};

class FakeConfigurations : public control::Configurations {
 public:
    explicit FakeConfigurations(Waiting waiting = Waiting::nothing);

    Result<control::PlanReport> plan(const control::ApplyRequest& request) override;
    Result<control::ApplyReport> apply(const control::ApplyRequest& request) override;
    Result<void> confirm() override;
    Result<control::ApplyReport> rollback(std::optional<std::uint32_t> generation,
                                          const std::string& author,
                                          const std::string& message) override;
    Result<std::vector<control::GenerationStatus>> history(std::uint32_t limit) override;
    Result<control::GenerationStatus> generation(std::uint32_t number) override;
    Result<std::vector<plan::Change>> drift(const std::string& text,
                                            const std::string& file) override;
    Result<std::string> file_text() override;
    std::optional<control::CanaryStatus> canary() override;
    Result<control::ApplyReport> end_canary(bool promote) override;

    control::ApplyRequest last_request;  ///< Of plan and apply.
    std::string last_author, last_message;

 private:
    control::ApplyReport put_into_force(const control::ApplyRequest& request,
                                        control::PlanReport plan);

    Waiting waiting_;
    std::vector<control::GenerationStatus> generations_;  ///< Newest first.
};

}  // namespace sluice::test
