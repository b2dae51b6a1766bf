#include "shim/update_resources.h"

#include <gtest/gtest.h>

namespace bulwark::shim {
namespace {

TEST(UpdatableResources, LimitsComeThroughUnchanged) {
  const std::string limits =
      R"({"memory":{"limit":9223372036854775807},"cpu":{"shares":2,"cpus":"0-1"},)"
      R"("pids":{"limit":5},"blockIO":{"weight":10},)"
      R"("hugepageLimits":[{"pageSize":"2MB","limit":1}],"rdma":{"mlx5_0":{"hcaHandles":1}},)"
      R"("unified":{"memory.high":"1"},"network":{"classID":1}})";
  EXPECT_EQ(UpdatableResources(limits).value(), limits);
  EXPECT_EQ(UpdatableResources("{}").value(), "{}");
}

TEST(UpdatableResources, DevicesAreLeftOutInAnyCase) {
  EXPECT_EQ(UpdatableResources(R"({"devices":[{"allow":true,"access":"rwm"}],"pids":{"limit":5}})")
                .value(),
            R"({"pids":{"limit":5}})");
  EXPECT_EQ(UpdatableResources(R"({"Devices":[{"allow":true}]})").value(), "{}");
  EXPECT_EQ(UpdatableResources(R"({"somethingNew":1})").value(), "{}");
}

TEST(UpdatableResources, WhatTwoParsersCouldReadDifferentlyIsRefused) {
  for (const char* text : {R"({"pids":{},"pids":{}})", R"({"cpu":{},"CPU":{}})",
                           R"({"memory":{"limit":1,"limit":2}})", "", "null", "[]", "{} {}",
                           "{\"cpu\":"}) {
    const auto allowed = UpdatableResources(text);
    ASSERT_FALSE(allowed) << text;
    EXPECT_EQ(allowed.error().code(), base::Code::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace bulwark::shim
