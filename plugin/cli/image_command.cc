// bulwarkctl image check: what would happen if this image were started now.
#include <stdio.h>
#include <stdlib.h>

#include <memory>

#include "plugin/audit/record_json.h"
#include "plugin/cli/commands.h"
#include "plugin/cli/daemon_connection.h"
#include "plugin/cli/reasoning.h"

namespace bulwark::cli {
namespace {

struct CheckArguments {
  std::string reference;
  std::string containerd_namespace = "default";
  std::string layout;
};

int Check(const Context& context, const CheckArguments& arguments) {
  v1::CheckImageRequest request;
  request.set_reference(arguments.reference);
  request.set_containerd_namespace(arguments.containerd_namespace);
  if (!arguments.layout.empty()) {
    const std::unique_ptr<char, decltype(&free)> absolute(realpath(arguments.layout.c_str(), nullptr), &free);
    if (!absolute) {
      fprintf(stderr, "bulwarkctl: there is no directory %s\n", arguments.layout.c_str());
      return kExitUsage;
    }
    request.set_oci_layout(absolute.get());
  }
  grpc::ClientContext call;
  SetDeadline(call);
  v1::CheckImageResponse response;
  const grpc::Status result = v1::Images::NewStub(Connect(context))->Check(&call, request, &response);
  if (!result.ok()) return ReportFailure(context, "check image " + arguments.reference, result);
  if (context.is_json()) {
    PrintJson(response, true);
  } else {
    printf("%s: %s\n%s\n\n", audit::OutcomeName(response.outcome()).c_str(),
           Printable(response.reason_code()).c_str(), Printable(response.message()).c_str());
    PrintReasoning(response.reasoning());
  }
  return response.outcome() == v1::ALLOWED ? kExitOk : kExitRefused;
}

}  // namespace

void AddImageCommands(CLI::App& app, Context& context) {
  CLI::App* image = app.add_subcommand("image", "Images")->require_subcommand(1);
  CLI::App* check = image->add_subcommand("check", "Judge an image as a start would, with the whole reasoning; starts nothing");
  auto arguments = std::make_shared<CheckArguments>();
  check->add_option("REFERENCE", arguments->reference, "The image's name in containerd, or in the layout")->required();
  check->add_option("-n,--namespace", arguments->containerd_namespace, "containerd namespace")->capture_default_str();
  check->add_option("--layout", arguments->layout, "Judge an image in this OCI layout directory instead");
  check->callback([&context, arguments] { context.exit_status = Check(context, *arguments); });
}

}  // namespace bulwark::cli
