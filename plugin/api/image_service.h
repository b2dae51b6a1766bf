// Images.Check of api.proto: the decision for an image without a container, with the whole reasoning. Starts nothing and
// records nothing.
#pragma once

#include <memory>

#include "bulwark/v1/api.grpc.pb.h"
#include "plugin/admission/identity_resolver.h"
#include "plugin/admission/image_judge.h"
#include "plugin/policy/policy_store.h"

namespace bulwark::api {

// None is owned; all outlive the service.
std::unique_ptr<grpc::Service> MakeImageService(policy::PolicyStore& policies, admission::IdentityResolver& resolver,
                                                admission::ImageJudge& judge);

}  // namespace bulwark::api
