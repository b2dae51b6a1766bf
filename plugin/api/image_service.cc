#include "plugin/api/image_service.h"

#include <string>
#include <utility>

#include "lib/oci/image_reference.h"
#include "plugin/admission/decision_record.h"
#include "plugin/evidence/layout.h"
#include "plugin/policy/evaluator.h"

namespace bulwark::api {
namespace {

constexpr char kDefaultNamespace[] = "default";

admission::ResolvedIdentity ResolveFromLayout(const std::string& path, const std::string& reference) {
  admission::ResolvedIdentity found;
  found.step.check = "identity";
  found.step.code = policy::reason::kIdentityInvalid;
  const auto layout = evidence::Layout::Open(path);
  if (!layout) {
    found.step.detail = layout.error().message();
    return found;
  }
  auto image = layout->ResolveImage(reference);
  if (!image) {
    found.step.detail = image.error().message();
    return found;
  }
  found.image = std::move(image).value();
  found.step = {"identity", true, std::string(policy::reason::kOk),
                fmt::format("{} in layout {} is manifest {}", reference, path, found.image.manifest_digest),
                {found.image.manifest_digest, found.image.config_digest}};
  return found;
}

class ImageService final : public v1::Images::Service {
 public:
  ImageService(policy::PolicyStore& policies, admission::IdentityResolver& resolver, admission::ImageJudge& judge)
      : policies_(policies), resolver_(resolver), judge_(judge) {}

  grpc::Status Check(grpc::ServerContext*, const v1::CheckImageRequest* request,
                     v1::CheckImageResponse* response) override {
    const bool is_layout = !request->oci_layout().empty();
    if (is_layout && request->oci_layout().front() != '/') {
      return {grpc::StatusCode::INVALID_ARGUMENT, "the layout directory must be an absolute path"};
    }
    const std::string ns =
        request->containerd_namespace().empty() ? kDefaultNamespace : request->containerd_namespace();
    admission::ResolvedIdentity resolved = is_layout ? ResolveFromLayout(request->oci_layout(), request->reference())
                                                     : resolver_.ResolveImage(ns, request->reference());
    const auto policies = policies_.Current();
    std::vector<policy::ReasonStep> steps = {resolved.step};
    const policy::Rule* rule = nullptr;
    if (resolved.step.satisfied) {
      admission::JudgedImage judged = judge_.Judge(*policies, resolved.image, is_layout ? "" : ns, "");
      rule = judged.rule;
      for (policy::ReasonStep& step : judged.steps) steps.push_back(std::move(step));
    }
    policy::Decision decision = policy::Combine(*policies, rule, std::move(steps));
    policy::Summarise(decision, resolved.image, "start");
    admission::AdmittedContainer subject;
    subject.containerd_namespace = is_layout ? "" : ns;
    subject.image = std::move(resolved.image);
    response->set_outcome(admission::OutcomeOf(decision));
    response->set_reason_code(decision.reason_code);
    response->set_message(decision.message);
    admission::FillContainer(subject, response->mutable_container());
    admission::FillPolicy(decision, response->mutable_policy());
    admission::FillReasoning(decision, response->mutable_reasoning());
    return grpc::Status::OK;
  }

 private:
  policy::PolicyStore& policies_;
  admission::IdentityResolver& resolver_;
  admission::ImageJudge& judge_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeImageService(policy::PolicyStore& policies, admission::IdentityResolver& resolver,
                                                admission::ImageJudge& judge) {
  return std::make_unique<ImageService>(policies, resolver, judge);
}

}  // namespace bulwark::api
