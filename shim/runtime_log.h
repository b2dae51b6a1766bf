// What the OCI runtime (runc, crun) says about its failures. With --log FILE --log-format json both
// write one JSON object a line: {"level":"error","msg":"…","time":"…"}. The last message of level
// "error" is why the call failed.
#pragma once

#include <string>
#include <string_view>

namespace bulwark::shim {

// The trimmed message of the last entry whose level is "error"; empty if there is none. Lines that
// are no JSON objects are passed over: the file is written by another program, possibly killed half
// way. Pure.
std::string LastErrorMessage(std::string_view log_json_lines);

// Reads at most the last 64 KiB of `path` and gives its LastErrorMessage; empty also if the file
// cannot be read.
std::string LastErrorOfLogFile(const std::string& path);

// Why a runtime call failed, in the words that clients of the stock shim match on: "PREFIX:
// MESSAGE", where MESSAGE is the log's last error, else what the runtime printed, else the exit
// status.
std::string RuntimeFailureText(std::string_view prefix, std::string_view log_error,
                               std::string_view output, int exit_status);

// Whether the text of a failed kill means that the process or container is gone already (runc and
// crun wordings).
bool SaysAlreadyGone(std::string_view runtime_text);

// Whether the text of a failed delete means that the runtime knows no such container (any more).
bool SaysDoesNotExist(std::string_view runtime_text);

}  // namespace bulwark::shim
